//! The flat options: scores a trial list, or evaluates a score file, and reports error rates.

use std::path::PathBuf;

use anyhow::Context;
use ffsvc_cli::UsageError;
use ffsvc_kaldi_io::{Table, TrialColumns, Trials};
use ffsvc_scoring::conditions::{self, By};
use ffsvc_scoring::metrics::{BootstrapOptions, DcfParameters, Definition, Measures};
use ffsvc_scoring::report::{BreakDown, Counts, Normalisation, Report, ScoreSource, SourceFile};
use ffsvc_scoring::{Evaluation, MIN_TRIALS, TrialScores, score_file};
use tracing::{info, warn};

use crate::cohort::CohortArgs;
use crate::preparation::PreparationArgs;
use crate::{stream, whole_list};

#[derive(Debug, clap::Args)]
pub(crate) struct Score {
    /// Trial list
    #[arg(long, value_name = "FILE")]
    pub(crate) trials: PathBuf,

    /// Columns of the trial list: auto, label-first, label-last or no-label
    #[arg(long, value_name = "ORDER", default_value = "auto")]
    pub(crate) trial_columns: TrialColumns,

    /// Embeddings of the test utterances, and of the enrolment utterances unless they have a store of their own
    #[arg(long, value_name = "STORE", required_unless_present = "scores", conflicts_with = "scores")]
    embeddings: Option<PathBuf>,

    /// Embeddings of the enrolment utterances
    #[arg(long, value_name = "STORE", requires = "embeddings")]
    pub(crate) enrol_embeddings: Option<PathBuf>,

    /// Subtract the mean of these embeddings (in-domain audio, labels not needed) from all before scoring
    #[arg(long, value_name = "STORE", requires = "embeddings")]
    pub(crate) mean_subtract: Option<PathBuf>,

    /// Evaluate this score file instead of scoring
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,

    /// Write 'enrolment test score' lines
    #[arg(long, value_name = "FILE")]
    pub(crate) scores_out: Option<PathBuf>,

    /// Write the FFSVC submission file: one score a line, in the order of the trials
    #[arg(long, value_name = "FILE")]
    pub(crate) ffsvc_scores: Option<PathBuf>,

    /// Prior probabilities of a target trial for minDCF and actDCF, separated by commas [default: 0.01,0.05 unless
    /// --dcf is given]
    #[arg(long, value_name = "P,...", value_delimiter = ',')]
    p_target: Vec<f64>,

    /// Cost of a missed target, with --p-target
    #[arg(long, value_name = "COST", default_value_t = 1.0)]
    c_miss: f64,

    /// Cost of a false alarm, with --p-target
    #[arg(long, value_name = "COST", default_value_t = 1.0)]
    c_fa: f64,

    /// An operating point for minDCF and actDCF, after those of --p-target (may be repeated)
    #[arg(long, value_name = "P_TARGET,C_MISS,C_FA")]
    dcf: Vec<DcfParameters>,

    /// False-alarm rates at which to report the miss rate, separated by commas, e.g. 0.01,0.001
    #[arg(long, value_name = "FAR,...", value_delimiter = ',', conflicts_with = "compat")]
    far: Vec<f64>,

    /// Compute EER and minDCF, and nothing else, exactly as the FFSVC2022 baseline does
    #[arg(long)]
    compat: bool,

    /// Break the error rates down by a table of utterances or speakers (may be repeated)
    ///
    /// SIDES is what of a trial makes its condition: enrol or test, the value of that side; both (the default), the pair of
    /// values; relation, whether they are the same; gap, by how much the two numbers differ.
    #[arg(long, value_name = "[SIDES:]NAME=TABLE")]
    by: Vec<By>,

    /// Conditions with fewer target or non-target trials than this get no error rates
    #[arg(long, value_name = "N", default_value_t = MIN_TRIALS, requires = "by")]
    min_trials: usize,

    /// Speakers of the utterances, for --bootstrap and for --by with a table of speakers
    #[arg(long, value_name = "FILE")]
    utt2spk: Option<PathBuf>,

    /// Confidence intervals by resampling the speakers this many times
    #[arg(long, value_name = "N", requires = "utt2spk", conflicts_with = "compat")]
    bootstrap: Option<usize>,

    /// Seed of the bootstrap
    #[arg(long, value_name = "N", default_value_t = 0, requires = "bootstrap")]
    seed: u64,

    /// Confidence of the intervals
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, requires = "bootstrap")]
    level: f64,

    /// Leave out trials without embedding or score or value in a table (they are counted) instead of failing
    #[arg(long)]
    pub(crate) skip_missing: bool,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    /// Write the report as JSON to this file as well
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

pub(crate) const PROGRAM: &str = concat!("ffsvc-score ", env!("CARGO_PKG_VERSION"));

/// The scores of a list that is in memory, what they came from, and what was remarkable about them.
pub(crate) struct Scored {
    pub(crate) scores: TrialScores,
    pub(crate) source: ScoreSource,
    pub(crate) normalisation: Option<Normalisation>,
    pub(crate) matched_by_suffix: usize,
    pub(crate) surplus: usize,
}

impl Score {
    pub(crate) fn run(&self, preparation: &PreparationArgs, cohort: &CohortArgs) -> anyhow::Result<()> {
        let measures = self.measures().map_err(|error| UsageError::new(error.to_string()))?;
        match (&self.scores, &self.embeddings) {
            (Some(file), _) => {
                let trials = Trials::read(&self.trials, self.trial_columns)?;
                self.refuse_without_purpose(trials.labels.is_some())?;
                let read = score_file::read(file, &trials, self.skip_missing)?;
                let scored = Scored {
                    scores: read.scores,
                    source: ScoreSource::File(SourceFile::identify(file)?),
                    normalisation: None,
                    matched_by_suffix: read.matched_by_suffix,
                    surplus: read.surplus,
                };
                self.evaluate(&trials, scored, &measures)
            }
            (None, Some(store)) => {
                let prepared = preparation.prepare(self, store)?;
                // Conditions and resampled speakers are of trials that are remembered.
                if prepared.needs_whole_list() || !self.by.is_empty() || self.bootstrap.is_some() {
                    whole_list::run(self, cohort, &measures, &prepared)
                } else {
                    stream::run(self, cohort, &measures, &prepared)
                }
            }
            (None, None) => Err(UsageError::new("give --embeddings or --scores").into()),
        }
    }

    fn measures(&self) -> ffsvc_scoring::Result<Measures> {
        let default: &[f64] = if self.dcf.is_empty() { &[0.01, 0.05] } else { &[] };
        let priors = if self.p_target.is_empty() { default } else { &self.p_target };
        let with_prior = |&p_target| DcfParameters::new(p_target, self.c_miss, self.c_fa);
        let mut costs = priors.iter().map(with_prior).collect::<ffsvc_scoring::Result<Vec<_>>>()?;
        costs.extend(&self.dcf);
        Measures::new(&costs).with_miss_at_fa(&self.far)
    }

    pub(crate) fn definition(&self) -> Definition {
        if self.compat { Definition::Compat } else { Definition::Tied }
    }

    /// Without labels there are no error rates, so the scores must be what is wanted.
    pub(crate) fn refuse_without_purpose(&self, has_labels: bool) -> anyhow::Result<()> {
        if has_labels || self.scores_out.is_some() || self.ffsvc_scores.is_some() {
            return Ok(());
        }
        Err(UsageError::new(format!(
            "{} has no labels, so there are no error rates to report: \
             say where the scores go with --scores-out or --ffsvc-scores",
            self.trials.display()
        ))
        .into())
    }

    /// Writes the scores where they are asked for, measures them and reports.
    pub(crate) fn evaluate(
        &self,
        trials: &Trials,
        scored: Scored,
        measures: &Measures,
    ) -> anyhow::Result<()> {
        let counts = Counts {
            matched_by_suffix: scored.matched_by_suffix,
            surplus_scores: scored.surplus,
            ..Counts::of(&scored.scores, trials.labels.as_deref())
        };
        warn_of(&counts);
        if let Some(path) = &self.scores_out {
            score_file::write(path, trials, &scored.scores)?;
            info!("scores are in {}", path.display());
        }
        if let Some(path) = &self.ffsvc_scores {
            score_file::write_ffsvc(path, &scored.scores)?;
            info!("the submission's scores are in {}", path.display());
        }
        let utt2spk = self.utt2spk.as_ref().map(Table::read).transpose()?;
        let (mut metrics, mut conditions) = (None, Vec::new());
        if let Some(labels) = &trials.labels {
            let mut evaluation = Evaluation::new(&scored.scores, labels, self.definition(), measures)?;
            if let (Some(replicates), Some(utt2spk)) = (self.bootstrap, &utt2spk) {
                let options = BootstrapOptions { replicates, seed: self.seed, level: self.level };
                evaluation = evaluation.with_bootstrap(options, trials, utt2spk)?;
            }
            let none = || format!("no error rates for {}", self.trials.display());
            metrics = Some(evaluation.all().with_context(none)?);
            for by in &self.by {
                conditions.push(break_down(self, trials, &evaluation, by, utt2spk.as_ref())?);
            }
        }
        self.finish(&Report {
            program: PROGRAM.to_owned(),
            trials: SourceFile::identify(&self.trials)?,
            skip_missing: self.skip_missing,
            counts,
            scores: scored.source,
            normalisation: scored.normalisation,
            metrics,
            utt2spk: self.utt2spk.as_ref().map(SourceFile::identify).transpose()?,
            conditions,
        })
    }

    /// Writes the report where it is asked for.
    pub(crate) fn finish(&self, report: &Report) -> anyhow::Result<()> {
        if let Some(path) = &self.report {
            let mut json = serde_json::to_vec_pretty(report)?;
            json.push(b'\n');
            ffsvc_atomic_file::write(path, json)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        if self.json {
            ffsvc_cli::print_json(report)
        } else {
            print!("{report}");
            Ok(())
        }
    }
}

fn break_down(
    args: &Score,
    trials: &Trials,
    evaluation: &Evaluation<'_>,
    by: &By,
    utt2spk: Option<&Table>,
) -> anyhow::Result<BreakDown> {
    let groups = conditions::group(trials, by, &Table::read(&by.table)?, utt2spk, args.skip_missing)?;
    if groups.without_value > 0 {
        warn!(
            "{} trials have no value in {} and are in no condition",
            groups.without_value,
            by.table.display()
        );
    }
    Ok(BreakDown {
        name: by.name.clone(),
        sides: by.sides,
        table: SourceFile::identify(&by.table)?,
        without_value: groups.without_value,
        min_trials: args.min_trials,
        conditions: evaluation.by_condition(&groups, args.min_trials)?,
    })
}

pub(crate) fn warn_of(counts: &Counts) {
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
}
