//! `ffsvc-score report`: the numbers of the page are those of the other commands, and names are never markup.

use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::Value;

fn run(dir: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut program = Command::new(env!("CARGO_BIN_EXE_ffsvc-score"));
    program.env_remove("RUST_LOG").current_dir(dir).args(arguments).assert()
}

fn json(dir: &Path, arguments: &[&str]) -> Value {
    let done = run(dir, &[arguments, &["--json"]].concat()).success();
    serde_json::from_slice(&done.get_output().stdout).unwrap()
}

/// Utterances whose names would be markup on a page that did not escape them.
fn name(speaker: usize, n: usize) -> String {
    format!("<script>alert({speaker})</script>&{n}\"'")
}

/// Eight speakers with three utterances each, all pairs; two systems of different quality.
fn workplace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let utterances: Vec<(usize, usize)> = (0..8).flat_map(|s| (0..3).map(move |n| (s, n))).collect();
    let (mut trials, mut good, mut poor) = (String::new(), String::new(), String::new());
    for (at, &(a, i)) in utterances.iter().enumerate() {
        for &(b, j) in &utterances[at + 1..] {
            let noise = (a * 83 + b * 131 + i * 37 + j * 59) % 97;
            let pair = format!("{} {}", name(a, i), name(b, j));
            trials += &format!("{} {pair}\n", u8::from(a == b));
            let score = |distance: f64| noise as f64 / 24.0 - 3.0 + if a == b { distance } else { 0.0 };
            good += &format!("{pair} {}\n", score(3.0));
            poor += &format!("{pair} {}\n", score(1.5));
        }
    }
    let table = |value: &dyn Fn(usize, usize) -> String| -> String {
        utterances.iter().map(|&(s, n)| format!("{} {}\n", name(s, n), value(s, n))).collect()
    };
    let files = [
        ("trials", trials),
        ("good", good),
        ("poor", poor),
        ("utt2spk", table(&|speaker, _| format!("<b>s{speaker}"))),
        ("utt2device", table(&|_, n| ["<i>far", "near"][n % 2].to_owned())),
    ];
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

const PAGE: [&str; 11] = [
    "report",
    "--trials",
    "trials",
    "--scores",
    "<em>good</em>=good",
    "--scores",
    "poor",
    "--table",
    "device=utt2device",
    "--output",
    "page.html",
];
const MEASURES: [&str; 10] = [
    "--utt2spk",
    "utt2spk",
    "--bootstrap",
    "50",
    "--by",
    "test:device=utt2device",
    "--min-trials",
    "5",
    "--fa-rate",
    "0.1",
];

fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).unwrap()
}

/// The section with this heading.
fn section<'a>(document: &'a Document<'_>, heading: &str) -> Node<'a, 'a> {
    let mut sections = document.descendants().filter(|node| node.has_tag_name("section"));
    let is_it = |section: &Node<'_, '_>| {
        section.children().any(|node| node.has_tag_name("h2") && node.text() == Some(heading))
    };
    sections.find(is_it).unwrap_or_else(|| panic!("no section {heading:?}"))
}

/// The rows of the table at `place` in a section: the text of each cell, the exact value of a number.
fn rows(section: Node<'_, '_>, place: usize) -> Vec<Vec<String>> {
    let table = section.descendants().filter(|node| node.has_tag_name("table")).nth(place).unwrap();
    let rows = table.descendants().filter(|node| node.has_tag_name("tr"));
    let cell = |node: Node<'_, '_>| {
        let value = node.descendants().find_map(|node| node.attribute("value"));
        value.map_or_else(|| node.text().unwrap_or_default().to_owned(), str::to_owned)
    };
    rows.map(|row| row.children().filter(Node::is_element).map(cell).collect()).collect()
}

/// Numbers of the measures of a report, in the order of the page.
fn measures(metrics: &Value) -> Vec<f64> {
    let number = |value: &Value| match value {
        Value::String(text) => text.parse().unwrap(),
        other => other.as_f64().unwrap(),
    };
    let list = |key: &str, field: &str| -> Vec<f64> {
        metrics[key].as_array().unwrap().iter().map(|one| number(&one[field])).collect()
    };
    let mut found = vec![number(&metrics["eer"])];
    found.extend(
        [("min_dcf", "cost"), ("act_dcf", "cost"), ("miss_at_fa", "p_miss")]
            .iter()
            .flat_map(|of| list(of.0, of.1)),
    );
    found.extend(["actual", "minimum"].map(|field| number(&metrics["cllr"][field])));
    found
}

/// `serde_json` reads the last digit of a number as it likes.
fn are_equal(found: &[f64], expected: &[f64]) {
    let is_close = |(a, b): (&f64, &f64)| a == b || (a - b).abs() <= 1e-15 * a.abs().max(1.0);
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(is_close),
        "{found:?} {expected:?}"
    );
}

fn numbers(row: &[String]) -> Vec<f64> {
    row.iter().map(|text| text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))).collect()
}

#[test]
fn the_numbers_are_those_of_the_other_commands() {
    let dir = workplace();
    run(dir.path(), &[&PAGE[..], &MEASURES].concat()).success().stdout("");
    let page = std::fs::read_to_string(dir.path().join("page.html")).unwrap();
    let document = parsed(&page);
    let systems = [("<em>good</em>", "good"), ("poor", "poor")];
    let overview = rows(section(&document, "Measures"), 0);
    assert_eq!(overview[0][..3], ["system", "EER", "minDCF(0.01)"]);
    let by_device = section(&document, "By device (of the test)");
    for (place, (name, file)) in systems.into_iter().enumerate() {
        let arguments = [&["--trials", "trials", "--scores", file][..], &MEASURES].concat();
        let report = json(dir.path(), &arguments);
        let row = &overview[place + 1];
        assert_eq!(row[0], name);
        are_equal(&numbers(&row[1..]), &measures(&report["metrics"]));
        // The interval stands below, with the digits of the text.
        let low = report["metrics"]["eer_interval"]["low"].as_f64().unwrap();
        assert!(page.contains(&format!("<small>[{:.3}, ", 100.0 * low)), "{low}");
        let conditions = report["conditions"][0]["conditions"].as_array().unwrap();
        let found = rows(by_device, place);
        assert_eq!(found.len(), 3);
        for (row, condition) in found[1..].iter().zip(conditions) {
            assert_eq!(row[0], condition["value"].as_str().unwrap());
            assert_eq!(
                numbers(&row[1..3]),
                ["target", "nontarget"].map(|key| condition[key].as_f64().unwrap())
            );
            are_equal(&numbers(&row[3..]), &measures(&condition["metrics"]));
        }

        let errors = json(
            dir.path(),
            &[
                "errors",
                "--trials",
                "trials",
                "--scores",
                file,
                "--utt2spk",
                "utt2spk",
                "--table",
                "device=utt2device",
            ],
        );
        // Misses, false alarms, utterances, speakers of each system.
        let misses = rows(section(&document, "Worst trials"), 4 * place);
        let worst = errors["misses"]["worst"].as_array().unwrap();
        assert!(!worst.is_empty() && misses.len() == worst.len() + 1);
        for (row, trial) in misses[1..].iter().zip(worst) {
            are_equal(&numbers(&row[..1]), &[trial["score"].as_f64().unwrap()]);
            assert_eq!(row[1..3], ["enrolment", "test"].map(|key| trial[key].as_str().unwrap()));
            let device = &trial["described"][0];
            assert_eq!(
                row[3],
                format!("{}, {}", device["enrolment"].as_str().unwrap(), device["test"].as_str().unwrap())
            );
        }
        let speakers = rows(section(&document, "Worst trials"), 4 * place + 3);
        assert_eq!(speakers[1][0], errors["speakers"][0]["name"].as_str().unwrap());

        let made_from = rows(section(&document, "Made from"), 0);
        let sha256 = report["scores"]["sha256"].as_str().unwrap();
        assert!(made_from.iter().any(|row| row[1..] == [file, sha256]), "{made_from:?}");
    }
}

#[test]
fn names_are_never_markup_and_the_bytes_are_the_same_again() {
    let dir = workplace();
    let arguments = [&PAGE[..], &MEASURES, &["--title", "</title><script>"]].concat();
    run(dir.path(), &arguments).success();
    let page = std::fs::read_to_string(dir.path().join("page.html")).unwrap();
    let document = parsed(&page);
    let mut names: Vec<&str> = document.descendants().map(|node| node.tag_name().name()).collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.contains(&"svg") && names.contains(&"table"));
    assert!(!["script", "em", "b", "i"].iter().any(|name| names.contains(name)), "{names:?}");
    assert!(page.contains("&lt;script&gt;alert(0)&lt;/script&gt;&amp;"));
    let svgs = || document.descendants().filter(|node| node.tag_name().name() == "svg");
    // DET, two histograms, calibration, priors, bars by device.
    assert_eq!(svgs().count(), 6);
    let mut in_chart = svgs().flat_map(|svg| svg.descendants()).filter_map(|node| node.text());
    assert!(in_chart.any(|text| text.trim().starts_with("<em>good</em>: EER")));

    run(dir.path(), &arguments).success();
    assert!(std::fs::read_to_string(dir.path().join("page.html")).unwrap() == page);
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let dir = workplace();
    // Both classes apart: no score is shared by both, so there is no calibration to draw.
    let pairs = |score: &dyn Fn(bool) -> f64| -> String {
        let trials = std::fs::read_to_string(dir.path().join("trials")).unwrap();
        trials.lines().map(|line| format!("{} {}\n", &line[2..], score(line.starts_with('1')))).collect()
    };
    std::fs::write(dir.path().join("perfect"), pairs(&|is_target| f64::from(u8::from(is_target)))).unwrap();
    let page = ["report", "--trials", "trials", "--scores", "perfect", "-o", "page.html"];
    run(dir.path(), &page).success();
    let text = std::fs::read_to_string(dir.path().join("page.html")).unwrap();
    parsed(&text);
    assert!(
        text.contains("<data value=\"0\">0.000 %</data>") && text.contains("No chart: nothing to draw"),
        "{text}"
    );

    let trials = std::fs::read_to_string(dir.path().join("trials")).unwrap();
    let unlabelled: String = trials.lines().map(|line| format!("{}\n", &line[2..])).collect();
    std::fs::write(dir.path().join("trials"), unlabelled).unwrap();
    run(dir.path(), &page).code(1).stderr(contains("found no labels").and(contains("trials")));
}

#[test]
fn the_baselines_numbers_are_in_the_tables_alone() {
    let dir = workplace();
    run(dir.path(), &[&PAGE[..], &["--compat"]].concat()).success();
    let text = std::fs::read_to_string(dir.path().join("page.html")).unwrap();
    let document = parsed(&text);
    let overview = rows(section(&document, "Measures"), 0);
    assert_eq!(overview[0], ["system", "EER", "minDCF(0.01)", "minDCF(0.05)"]);
    let report = json(dir.path(), &["--trials", "trials", "--scores", "poor", "--compat"]);
    are_equal(&numbers(&overview[2][1..2]), &[report["metrics"]["eer"].as_f64().unwrap()]);
}
