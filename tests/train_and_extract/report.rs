//! `ffsvc-train report` and the lines that a run shows.

use std::path::Path;

use ffsvc_trainer::{Event, TrainingLog};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use roxmltree::{Document, Node, ParsingOptions};

use crate::programs::{program, workplace};

fn page(folder: &Path, arguments: &[&str]) -> String {
    program("ffsvc-train").current_dir(folder).args(["report"]).args(arguments).assert().success();
    std::fs::read_to_string(folder.join("page.html")).unwrap()
}

fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).unwrap()
}

/// The exact numbers of the rows below a heading.
fn numbers(document: &Document<'_>, heading: &str) -> Vec<Vec<Option<f64>>> {
    let is_it = |node: &Node<'_, '_>| node.has_tag_name("h2") && node.text() == Some(heading);
    let heading = document.descendants().find(is_it).unwrap();
    let rows = heading.next_siblings().flat_map(|node| node.descendants());
    let rows = rows.filter(|node| node.has_tag_name("tr")).skip(1);
    let value =
        |cell: Node<'_, '_>| cell.descendants().find_map(|node| node.attribute("value"))?.parse().ok();
    rows.map(|row| row.children().filter(Node::is_element).map(value).collect()).collect()
}

#[test]
fn a_run_as_a_page() {
    let folder = workplace();
    let dir = folder.path();
    let config = std::fs::read_to_string(dir.join("tiny.toml")).unwrap();
    std::fs::write(
        dir.join("tiny.toml"),
        format!("{config}\n[augment.reverb]\nprobability = 1.0\nsimulated.rooms = 3\n\n[schedule.margin]\nbegin_epoch = 0.0\nend_epoch = 1.0\n"),
    )
    .unwrap();
    program("ffsvc-train").current_dir(dir).args(["tiny.toml", "<b>exp"]).assert().success().stderr(
        contains("epoch 1/2: loss ").and(contains("epoch 2/2: loss ")).and(contains(" utt/s, data wait ")),
    );
    let log = TrainingLog::read(dir.join("<b>exp/train.jsonl")).unwrap();

    // The event of an epoch has the means of its steps.
    let epochs = log.epochs();
    let of_events: Vec<&Event> =
        log.events.iter().filter(|event| matches!(event, Event::Epoch { .. })).collect();
    assert_eq!((epochs.len(), of_events.len()), (2, 2));
    for (epoch, event) in epochs.iter().zip(of_events) {
        let Event::Epoch { step, steps, loss, accuracy, data_wait, seconds, .. } = event else {
            unreachable!()
        };
        assert_eq!((*step, *steps), (epoch.step, 4));
        let losses = log.events.iter().filter_map(|event| match event {
            Event::Step { epoch: of, loss, .. } if *of == epoch.epoch => Some(f64::from(*loss)),
            _ => None,
        });
        assert!((loss - losses.sum::<f64>() / 4.0).abs() < 1e-12);
        assert!(epoch.means.loss().is_some_and(|mean| (mean - loss).abs() < 1e-12));
        assert!(accuracy.is_some_and(|share| (0.0..=1.0).contains(&share)));
        assert!((0.0..=1.0).contains(data_wait) && *seconds > 0.0);
    }

    let text = page(dir, &["<b>exp", "-o", "page.html"]);
    let document = parsed(&text);
    let table = numbers(&document, "Epochs");
    assert_eq!(table.len(), 2);
    for (row, epoch) in table.iter().zip(&epochs) {
        let validation = epoch.validation.as_ref().unwrap();
        assert_eq!(row[..3], [Some(epoch.epoch as f64), Some(epoch.step as f64), epoch.means.loss()]);
        assert_eq!(row[3..6], [epoch.means.accuracy(), Some(epoch.learning_rate), epoch.margin]);
        assert_eq!(row[9..], [Some(validation.eer), Some(validation.min_dcf)]);
    }
    // Loss, accuracy, learning rate, margin, two of the validations, throughput, data wait.
    let names: Vec<&str> = document.descendants().map(|node| node.tag_name().name()).collect();
    assert_eq!(names.iter().filter(|name| **name == "svg").count(), 8);
    assert!(!names.contains(&"b") && !text.contains("No chart"));
    let pre: Vec<&str> =
        document.descendants().filter(|n| n.has_tag_name("pre")).filter_map(|n| n.text()).collect();
    assert_eq!(pre[0], std::fs::read_to_string(dir.join("<b>exp/config.toml")).unwrap());
    // Five crops of the first batch of four: all four, each with its room.
    assert_eq!(text.matches("&quot;reverb&quot;:{&quot;simulated&quot;").count(), 4);
    assert_eq!(page(dir, &["<b>exp", "-o", "page.html"]), text);
}

#[test]
fn a_run_that_goes_on_has_a_page_too() {
    let folder = workplace();
    let dir = folder.path();
    program("ffsvc-train").current_dir(dir).args(["tiny.toml", "exp", "-q"]).assert().success();
    // As a run writes it that is at its third step.
    let log = std::fs::read_to_string(dir.join("exp/train.jsonl")).unwrap();
    let end = log.match_indices("\"event\":\"step\"").nth(2).unwrap().0 + 30;
    std::fs::write(dir.join("exp/train.jsonl"), &log[..end]).unwrap();
    let text = page(dir, &["exp", "-o", "page.html", "--title", "So far"]);
    assert_eq!(numbers(&parsed(&text), "Epochs").len(), 1);
    assert!(text.contains("<h1>So far</h1>") && text.contains("not ended") && text.contains("no validation"));

    std::fs::write(dir.join("exp/train.jsonl"), log.replacen("\"loss\":", "\"loss\":x", 1)).unwrap();
    let failed = program("ffsvc-train").current_dir(dir).args(["report", "exp", "-o", "other.html"]).assert();
    failed.code(1).stderr(contains("exp/train.jsonl: line ").and(contains("found no event of a run")));
    assert!(!dir.join("other.html").exists());
    let failed =
        program("ffsvc-train").current_dir(dir).args(["report", "data", "-o", "other.html"]).assert();
    failed.code(1).stderr(contains("data"));
}
