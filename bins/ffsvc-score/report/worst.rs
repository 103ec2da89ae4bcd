//! The trials that are most wrong, and the utterances and speakers with most errors.

use ffsvc_page::{Cell, Html, Table};
use ffsvc_scoring::error_analysis::{Erring, ErrorAnalysis, Errors};

use super::{System, each};

pub(super) fn errors(systems: &[System]) -> Html {
    each(systems, |html, system| {
        let ErrorAnalysis { threshold, misses, false_alarms, utterances, speakers } = &system.errors;
        let mut html = html.paragraph(format!(
            "At the threshold of the equal error rate, {threshold:.6}: {} of {} target trials missed, {} of {} non-target \
             trials accepted.",
            misses.errors, misses.trials, false_alarms.errors, false_alarms.trials
        ));
        for (heading, errors) in
            [("Misses, lowest score first", misses), ("False alarms, highest score first", false_alarms)]
        {
            if !errors.worst.is_empty() {
                html = html.heading(heading).table(&trials(errors));
            }
        }
        for (what, erring) in [("utterance", utterances), ("speaker", speakers)] {
            if !erring.is_empty() {
                html = html.heading(format!("The {what}s with most errors")).table(&names(what, erring));
            }
        }
        html
    })
}

fn trials(errors: &Errors) -> Table {
    let described = errors.worst.first().into_iter().flat_map(|trial| &trial.described);
    let described = described.map(|table| format!("{}, enrolment and test", table.name));
    let fixed = ["score", "enrolment", "test"].map(str::to_owned);
    let mut table = Table::new(fixed.into_iter().chain(described));
    for trial in &errors.worst {
        let fixed = [
            Cell::number(trial.score, format!("{:.6}", trial.score)),
            Cell::text(&trial.enrolment),
            Cell::text(&trial.test),
        ];
        let described = trial.described.iter().map(|of| Cell::text(format!("{}, {}", of.enrolment, of.test)));
        table.row(fixed.into_iter().chain(described));
    }
    table
}

fn names(what: &str, erring: &[Erring]) -> Table {
    let mut table = Table::new([what, "misses", "of target", "false alarms", "of non-target"]);
    for Erring { name, misses, target, false_alarms, nontarget } in erring {
        let counts = [*misses, *target, *false_alarms, *nontarget].map(Cell::count);
        table.row([Cell::text(name)].into_iter().chain(counts));
    }
    table
}
