//! Cosines of a trial list of any length: trials are read, scored and written block by block.

use anyhow::Context;
use ffsvc_kaldi_io::TrialReader;
use ffsvc_scoring::Scorer;
use ffsvc_scoring::metrics::{self, Measures};
use ffsvc_scoring::report::Report;
use ffsvc_scoring::score_file::ScoreWriter;
use tracing::info;

use crate::cohort::CohortArgs;
use crate::preparation::Prepared;
use crate::score::{PROGRAM, Score, warn_of};

pub(crate) fn run(
    args: &Score,
    cohort: &CohortArgs,
    measures: &Measures,
    prepared: &Prepared,
) -> anyhow::Result<()> {
    let trials = TrialReader::open(&args.trials, args.trial_columns)?;
    let has_labels = trials.layout().has_labels();
    args.refuse_without_purpose(has_labels)?;
    let cohort = cohort.read(prepared)?;
    let (enrolment, test) = prepared.sides();

    let mut outputs = Vec::new();
    outputs.extend(args.scores_out.as_ref().map(ScoreWriter::create).transpose()?);
    outputs.extend(args.ffsvc_scores.as_ref().map(ScoreWriter::create_ffsvc).transpose()?);
    let mut scorer = Scorer::new(enrolment, test, cohort.as_ref().map(|(cohort, _)| cohort))?;
    let found = scorer.score_stream(trials, args.skip_missing, &mut outputs)?;
    warn_of(&found.counts);
    for output in outputs {
        let path = output.path().to_path_buf();
        output.commit()?;
        info!("scores are in {}", path.display());
    }

    let metrics = match has_labels {
        false => None,
        true => Some(
            metrics::evaluate(&found.target, &found.nontarget, args.definition(), measures)
                .with_context(|| format!("no error rates for {}", args.trials.display()))?,
        ),
    };
    args.finish(&Report {
        program: PROGRAM.to_owned(),
        trials: found.trials,
        skip_missing: args.skip_missing,
        counts: found.counts,
        scores: prepared.source(args),
        normalisation: cohort.map(|(_, normalisation)| normalisation),
        metrics,
        utt2spk: None,
        conditions: Vec::new(),
    })
}
