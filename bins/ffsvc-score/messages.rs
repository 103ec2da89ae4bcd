//! What the program says on standard error: remarks about lists and stores, and the options that help where something failed.

use anyhow::anyhow;
use ffsvc_cli::UsageError;
use ffsvc_scoring::conditions::Sides;
use ffsvc_scoring::report::{Alternative, BreakDown, Counts, Report};
use ffsvc_scoring::{Error, Remark};
use tracing::warn;

/// Warns of what was remarkable about a list and the stores.
pub(crate) fn warn_of(counts: &Counts, remarks: &[Remark]) {
    if counts.matched_by_suffix > 0 {
        warn!(
            "{} utterance names matched only without, or only with, a .wav suffix",
            counts.matched_by_suffix
        );
    }
    if counts.skipped > 0 {
        warn!("{} of {} trials have no score and are left out", counts.skipped, counts.trials);
    }
    if counts.surplus_scores > 0 {
        warn!("{} scores belong to no trial of the list", counts.surplus_scores);
    }
    remarks.iter().for_each(|remark| warn!("{remark}"));
}

/// Warns of trials that are in no condition, and of conditions that are mostly too small, with what would work.
pub(crate) fn warn_of_conditions(report: &Report) {
    for by in report.conditions.iter().filter(|by| by.without_value > 0) {
        warn!("{} trials have no value in {} and are in no condition", by.without_value, by.table.path);
    }
    let too_small = |by: &&BreakDown| !by.conditions.is_empty() && by.is_mostly_too_small();
    for by in report.conditions.iter().filter(too_small) {
        warn!(
            "--by {}: {} of {} conditions have fewer than {} trials of a class; {}",
            option(by, by.sides),
            by.without_metrics(),
            by.conditions.len(),
            by.min_trials,
            what_would_work(by)
        );
    }
}

/// The value of `--by` for a table by these sides.
fn option(by: &BreakDown, sides: Sides) -> String {
    let edges: Vec<String> = by.edges.iter().map(ToString::to_string).collect();
    let edges = if edges.is_empty() { String::new() } else { format!(":{}", edges.join(",")) };
    format!("{}:{}{edges}={}", sides.word(), by.name, by.table.path)
}

/// How larger conditions can be had.
fn what_would_work(by: &BreakDown) -> String {
    let shown = |other: &Alternative| {
        let Alternative { sides, conditions, measurable } = other;
        format!("--by {} measures {measurable} of {conditions}", option(by, *sides))
    };
    let mut ways: Vec<String> = by.alternatives.iter().map(shown).collect();
    ways.push("a table with fewer values makes larger conditions".to_owned());
    let largest = by.conditions.iter().map(|condition| condition.target.min(condition.nontarget)).max();
    match largest.unwrap_or(0) {
        0 => ways.push("no condition has both target and non-target trials".to_owned()),
        most if most < by.min_trials => ways.push(format!("the largest has {most} (--min-trials)")),
        _ => {}
    }
    ways.join("; ")
}

/// Adds to an error of the library the option by which the user can change what it complains of.
pub(crate) fn name_options(error: anyhow::Error) -> anyhow::Error {
    let Some(cause) = error.chain().find_map(|cause| cause.downcast_ref::<Error>()) else { return error };
    match cause {
        Error::DirectionsWithPlda => UsageError::new(format!("--enrol-average directions: {cause}")).into(),
        Error::CohortWithPlda => UsageError::new(format!("--score-norm: {cause}")).into(),
        Error::MissingEmbeddings { .. }
        | Error::MissingValues { .. }
        | Error::MissingScores { .. }
        | Error::IncompleteModels { .. } => anyhow!("{error:#} (--skip-missing)"),
        Error::MixedModels(_) => anyhow!("{error:#} (--allow-other-model)"),
        Error::Cohort { .. } => anyhow!("{error:#} (--top)"),
        _ => error,
    }
}
