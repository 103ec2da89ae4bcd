//! Trial lists that are scored as a whole: by PLDA, where scores of enrolment utterances are averaged, and where trials must be
//! remembered to be evaluated.

use ffsvc_cli::UsageError;
use ffsvc_kaldi_io::Trials;
use ffsvc_scoring::backend::score_plda;
use ffsvc_scoring::metrics::Measures;
use ffsvc_scoring::{Cohort, Scorer, TrialScores};

use crate::cohort::CohortArgs;
use crate::preparation::Prepared;
use crate::score::{Score, Scored};

pub(crate) fn run(
    args: &Score,
    cohort: &CohortArgs,
    measures: &Measures,
    prepared: &Prepared,
) -> anyhow::Result<()> {
    if cohort.is_given() && prepared.plda().is_some() {
        let message = "--score-norm normalises cosines, and the back end compares by PLDA";
        return Err(UsageError::new(message).into());
    }
    let trials = Trials::read(&args.trials, args.trial_columns)?;
    args.refuse_without_purpose(trials.labels.is_some())?;
    let cohort = cohort.read(prepared)?;
    let of_cohort = cohort.as_ref().map(|(cohort, _)| cohort);
    let (scores, matched_by_suffix) = match prepared.list() {
        None => compare(&trials, prepared, of_cohort, args.skip_missing)?,
        Some(list) => {
            let expanded = list.expand(&trials)?;
            let (scores, by_suffix) = compare(&expanded.trials, prepared, of_cohort, args.skip_missing)?;
            (expanded.average(&trials, &scores)?, by_suffix)
        }
    };
    let source = prepared.source(args);
    let normalisation = cohort.map(|(_, normalisation)| normalisation);
    args.evaluate(&trials, Scored { scores, source, normalisation, matched_by_suffix, surplus: 0 }, measures)
}

/// Scores, and the number of names that matched by their suffix.
fn compare(
    trials: &Trials,
    prepared: &Prepared,
    cohort: Option<&Cohort>,
    skip_missing: bool,
) -> ffsvc_scoring::Result<(TrialScores, usize)> {
    let (enrolment, test) = prepared.sides();
    match prepared.plda() {
        Some(backend) => {
            let utterances = prepared.models().map(|models| &models.utterances);
            let (enrolment, test) = (enrolment.embeddings, test.embeddings);
            let plda = score_plda(trials, backend, enrolment, utterances, test, skip_missing)?;
            Ok((plda.scores, plda.matched_by_suffix))
        }
        None => {
            let cosines = Scorer::new(enrolment, test, cohort)?.score_trials(trials, skip_missing)?;
            Ok((cosines.scores, cosines.matched_by_suffix))
        }
    }
}
