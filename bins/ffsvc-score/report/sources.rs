//! What the page was made from.

use ffsvc_kaldi_io::Table;
use ffsvc_page::{Cell, Html};
use ffsvc_scoring::EvaluationOptions;
use ffsvc_scoring::report::{ScoreSource, SourceFile};

use super::System;

pub(super) fn made_from(
    systems: &[System],
    evaluation: &EvaluationOptions,
    tables: &[(String, Table)],
) -> Html {
    let mut files = ffsvc_page::Table::new(["what", "file", "SHA-256"]);
    let mut file = |what: String, SourceFile { path, sha256 }: &SourceFile| {
        files.row([Cell::text(what), Cell::text(path), Cell::text(sha256)]);
    };
    if let Some(system) = systems.first() {
        file("trial list".to_owned(), &system.report.trials);
    }
    for System { name, report, .. } in systems {
        if let ScoreSource::File(scores) = &report.scores {
            file(format!("scores of {name}"), scores);
        }
    }
    if let Some((_, utt2spk)) = &evaluation.utt2spk {
        file("speakers".to_owned(), utt2spk);
    }
    for (by, _, table) in &evaluation.by {
        file(format!("{} ({})", by.name, by.sides.in_words()), table);
    }
    for (name, table) in tables {
        file(format!("{name} of the worst trials"), &SourceFile::of_table(table));
    }
    let mut html = Html::new().table(&files).heading("Models");
    let mut models = ffsvc_page::Table::new(["system", "what", "value"]);
    for System { name, report, .. } in systems {
        let Some(model) = &report.model else {
            models.row([
                Cell::text(name),
                Cell::text("model"),
                Cell::text("not known: nothing beside the scores names it"),
            ]);
            continue;
        };
        let mut row = |what: &str, value: &str| {
            if !value.is_empty() && value != "null" {
                models.row([Cell::text(name), Cell::text(what), Cell::text(value)]);
            }
        };
        row("model", &model.model);
        row("SHA-256 of the model", &model.model_sha256);
        row("network", &model.architecture.to_string());
        row("front end", &model.front_end.to_string());
        row("channel of the recordings", &model.audio.channel);
        row("only speech, found by", model.audio.speech_only.as_deref().unwrap_or_default());
        row("convolutions in", model.precision.as_deref().unwrap_or_default());
        row("low-pass of the baseline", if model.audio.low_pass { "yes" } else { "no" });
        row("mean of the model subtracted", if model.mean_subtracted { "yes" } else { "no" });
        row("SHA-256 of the recordings' list", model.list_sha256.as_deref().unwrap_or_default());
        row("extracted by", &model.program);
    }
    html = html.table(&models);
    // What is remarkable about the list is the same of each system.
    let mut remarks: Vec<&str> = Vec::new();
    for remark in systems.iter().flat_map(|system| &system.report.remarks) {
        if !remarks.contains(&remark.message.as_str()) {
            remarks.push(&remark.message);
        }
    }
    if !remarks.is_empty() {
        html = html.heading("Remarks");
        html = remarks.into_iter().fold(html, |html, remark| html.paragraph(remark));
    }
    html.heading("Command").preformatted(ffsvc_cli::command_line(&["--output", "-o"]))
}
