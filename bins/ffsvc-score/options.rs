//! The options of scoring, in the groups in which the help shows them.

use std::path::{Path, PathBuf};

use ffsvc_cli::{OutputFile, Range, RangeArg, RunFiles, UsageError};
use ffsvc_kaldi_io::{Table, TrialColumns};
use ffsvc_scoring::conditions::By;
use ffsvc_scoring::metrics::{BootstrapOptions, DcfParameters, Definition, Measures};
use ffsvc_scoring::report::SourceFile;
use ffsvc_scoring::{
    CohortOptions, DomainExamples, EnrolAverage, EvaluationOptions, MIN_TRIALS, PipelineOptions, ScoreNorm,
};

/// A probability that leaves a choice.
pub(crate) const PROBABILITY: Range<f64> = Range::above(0.0).below(1.0);
const COST: Range<f64> = Range::above(0.0);
const RATE: Range<f64> = Range::of(0.0, 1.0);
pub(crate) const REPLICATES: Range<usize> = Range::of(1, 1_000_000);
pub(crate) const AT_LEAST_ONE: Range<usize> = Range::at_least(1);
pub(crate) const TOP: Range<usize> = Range::at_least(2);

/// Of a trial list.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct TrialArgs {
    /// Trial list
    #[arg(long, value_name = "FILE")]
    pub(crate) trials: PathBuf,

    /// Which column of the trial list is the label
    #[arg(long, value_name = "ORDER", default_value = "auto")]
    pub(crate) trial_columns: TrialColumns,
}

/// What is scored.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputArgs {
    /// Embeddings of the test utterances, and of the enrolment utterances unless they have a store of their own
    #[arg(long, value_name = "STORE", conflicts_with = "scores")]
    pub(crate) embeddings: Option<PathBuf>,

    /// Embeddings of the enrolment utterances
    #[arg(long, value_name = "STORE", requires = "embeddings", conflicts_with = "scores")]
    enrol_embeddings: Option<PathBuf>,

    /// Score embeddings of different models together
    #[arg(long, requires = "embeddings", conflicts_with = "scores")]
    allow_other_model: bool,

    /// Evaluate this score file instead of scoring
    #[arg(long, value_name = "FILE")]
    pub(crate) scores: Option<PathBuf>,

    /// Leave out trials without an embedding, a score or a value in a table instead of failing; they are counted
    #[arg(long)]
    pub(crate) skip_missing: bool,
}

/// What embeddings go through before they are compared.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Means, back end, enrolment")]
pub(crate) struct PreparationArgs {
    /// Subtract the mean of these embeddings (in-domain audio, no labels needed) from all
    #[arg(long, value_name = "STORE", requires = "embeddings", conflicts_with = "scores")]
    mean_subtract: Option<PathBuf>,

    /// Subtract the mean of these embeddings from the enrolment side, and that of --mean-subtract from the test side only
    #[arg(long, value_name = "STORE", requires = "mean_subtract", conflicts_with = "scores")]
    enrol_mean_subtract: Option<PathBuf>,

    /// Subtract the mean of an utterance's domain: lines 'utterance domain' for the utterances of the trials and of
    /// --mean-subtract. With --domain: for those of the trials
    #[arg(long, value_name = "FILE", conflicts_with = "scores")]
    utt2domain: Option<PathBuf>,

    /// Examples of a domain, such as close=exp/close.scp and far=exp/far.scp (two at least): recordings of other speakers,
    /// without labels. Each utterance's embedding tells its domain, unless --utt2domain does. The mean of the domain is
    /// subtracted, and --score-norm takes the domain's examples as cohort
    #[arg(long, value_name = "NAME=STORE", requires = "embeddings", conflicts_with_all = ["scores", "mean_subtract", "cohort"])]
    domain: Vec<DomainArg>,

    /// Process embeddings by this back end (from train-backend), and compare them by its PLDA if it has one
    #[arg(long, value_name = "FILE", requires = "embeddings", conflicts_with = "scores")]
    backend: Option<PathBuf>,

    /// Utterances of the enrolled speakers that trials name: lines 'model utterance utterance ...'
    #[arg(long, value_name = "FILE", requires = "embeddings", conflicts_with = "scores")]
    enrolment: Option<PathBuf>,

    /// What is averaged over a model's utterances [default: directions for the cosine, embeddings for PLDA]
    #[arg(long, value_name = "WHAT", requires = "enrolment", conflicts_with = "scores")]
    enrol_average: Option<EnrolAverage>,
}

/// The cohort by which scores are normalised.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Score normalisation")]
pub(crate) struct CohortArgs {
    /// Normalise scores by those with a cohort
    #[arg(long, value_name = "KIND", requires = "embeddings", conflicts_with = "scores")]
    score_norm: Option<ScoreNorm>,

    /// Embeddings of the cohort: other speakers than those of the trials. They are prepared as those of the enrolment side
    /// are
    #[arg(long, value_name = "STORE", requires = "score_norm", conflicts_with = "scores")]
    cohort: Option<PathBuf>,

    /// Average the cohort's embeddings for each speaker: lines 'utterance speaker'
    #[arg(long, value_name = "FILE", requires = "score_norm", conflicts_with = "scores")]
    cohort_utt2spk: Option<PathBuf>,

    /// How many of an utterance's scores with the cohort count, the highest [default: all; 300 for as-norm]
    #[arg(long, value_name = "COUNT", requires = "score_norm", conflicts_with = "scores", range = TOP)]
    top: Option<usize>,
}

/// What is measured.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Measures")]
pub(crate) struct MeasureArgs {
    /// Prior probabilities of a target trial for minDCF and actDCF [default: 0.01,0.05 unless --dcf is given]
    #[arg(long, value_name = "P,...", value_delimiter = ',', range = PROBABILITY)]
    p_target: Vec<f64>,

    /// Cost of a missed target, with --p-target [default: 1]
    #[arg(long, value_name = "COST", range = COST)]
    c_miss: Option<f64>,

    /// Cost of a false alarm, with --p-target [default: 1]
    #[arg(long, value_name = "COST", range = COST)]
    c_fa: Option<f64>,

    /// An operating point for minDCF and actDCF, after those of --p-target (may be repeated)
    #[arg(long, value_name = "P_TARGET,C_MISS,C_FA")]
    dcf: Vec<DcfParameters>,

    /// False-alarm rates at which to report the miss rate, e.g. 0.01,0.001
    #[arg(long, value_name = "RATE,...", value_delimiter = ',', conflicts_with = "compat", range = RATE)]
    fa_rate: Vec<f64>,

    /// Compute EER and minDCF, and nothing else, exactly as the FFSVC2022 baseline does
    #[arg(long)]
    compat: bool,

    /// Break the error rates down by a table of utterances or speakers (may be repeated)
    ///
    /// SIDES selects the part of a trial that is its condition. With enrol or test it is the value of that side. With
    /// both (the default) it is the pair of values. With relation it is whether they are the same. With gap it is by
    /// how much the two numbers differ. With EDGES after SIDES:NAME, such as test:snr:5,10,20=utt2snr, numbers fall into the intervals
    /// between them: below 5, from 5 to below 10, from 10 to below 20, 20 and above.
    #[arg(long, value_name = "[SIDES:]NAME=TABLE")]
    by: Vec<By>,

    /// Conditions with fewer target or non-target trials than this get no error rates [default: 30]
    #[arg(long, value_name = "N", requires = "by", range = AT_LEAST_ONE)]
    min_trials: Option<usize>,

    /// Speakers of the utterances: for --bootstrap, for --by with a table of speakers, to look for them in the cohort, and
    /// to list them in a report
    #[arg(long, value_name = "FILE")]
    utt2spk: Option<PathBuf>,

    /// Confidence intervals by resampling the speakers this many times
    #[arg(long, value_name = "N", requires = "utt2spk", conflicts_with = "compat", range = REPLICATES)]
    bootstrap: Option<usize>,

    /// Seed of the bootstrap [default: 0]
    #[arg(long, value_name = "N", requires = "bootstrap")]
    seed: Option<u64>,

    /// Confidence of the intervals [default: 0.95]
    #[arg(long, value_name = "SHARE", requires = "bootstrap", range = PROBABILITY)]
    level: Option<f64>,
}

/// Where results go.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Write 'enrolment test score' lines
    #[arg(long, value_name = "FILE")]
    pub(crate) scores_out: Option<OutputFile>,

    /// Write the FFSVC submission file: one score a line, in the order of the trials
    #[arg(long, value_name = "FILE")]
    pub(crate) ffsvc_scores_out: Option<OutputFile>,

    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) report_out: Option<OutputFile>,

    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl InputArgs {
    pub(crate) fn pipeline(
        &self,
        store: &Path,
        preparation: &PreparationArgs,
        cohort: &CohortArgs,
        utt2spk: Option<&Table>,
    ) -> PipelineOptions {
        let mut options = PipelineOptions::new(store);
        options.enrol_embeddings.clone_from(&self.enrol_embeddings);
        options.mean_subtract.clone_from(&preparation.mean_subtract);
        options.enrol_mean_subtract.clone_from(&preparation.enrol_mean_subtract);
        options.utt2domain.clone_from(&preparation.utt2domain);
        options.domains = preparation.domain.iter().map(|DomainArg(domain)| domain.clone()).collect();
        options.backend.clone_from(&preparation.backend);
        options.enrolment.clone_from(&preparation.enrolment);
        options.enrol_average = preparation.enrol_average;
        options.cohort = cohort.options();
        options.utt2spk = utt2spk.cloned();
        options.skip_missing = self.skip_missing;
        options.allow_other_model = self.allow_other_model;
        options
    }

    pub(crate) fn files(&self, files: RunFiles) -> RunFiles {
        files
            .input("--embeddings", &self.embeddings)
            .input("--enrol-embeddings", &self.enrol_embeddings)
            .input("--scores", &self.scores)
    }
}

impl PreparationArgs {
    pub(crate) fn files(&self, files: RunFiles) -> RunFiles {
        files
            .input("--mean-subtract", &self.mean_subtract)
            .input("--enrol-mean-subtract", &self.enrol_mean_subtract)
            .input("--utt2domain", &self.utt2domain)
            .input("--domain", self.domain.iter().map(|DomainArg(domain)| &domain.embeddings))
            .input("--backend", &self.backend)
            .input("--enrolment", &self.enrolment)
    }

    /// Refuses options that do not go together.
    pub(crate) fn check(&self, cohort: &CohortArgs) -> Result<(), UsageError> {
        let refuse = |message: &str| Err(UsageError::new(message));
        match self.domain.len() {
            0 if self.utt2domain.is_some() && self.mean_subtract.is_none() => {
                refuse("--utt2domain says whose mean is subtracted: give --mean-subtract, or --domain")
            }
            0 if cohort.score_norm.is_some() && cohort.cohort.is_none() => {
                refuse("--score-norm needs scores to compare with: give --cohort, or --domain")
            }
            1 => refuse("one --domain leaves no choice: give two at least, or --mean-subtract"),
            _ => Ok(()),
        }
    }
}

/// An option of the form `NAME=STORE`.
#[derive(Debug, Clone)]
struct DomainArg(DomainExamples);

impl std::str::FromStr for DomainArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, store)) if !name.is_empty() && !store.is_empty() => {
                Ok(Self(DomainExamples::new(name, store)))
            }
            _ => Err(format!("found {text:?}, expected NAME=STORE, such as far=exp/far.scp")),
        }
    }
}

impl CohortArgs {
    fn options(&self) -> Option<CohortOptions> {
        let norm = self.score_norm?;
        let mut options = match &self.cohort {
            Some(store) => CohortOptions::new(norm, store),
            None => CohortOptions::of_domains(norm),
        };
        options.utt2spk.clone_from(&self.cohort_utt2spk);
        options.top = self.top;
        Some(options)
    }

    pub(crate) fn files(&self, files: RunFiles) -> RunFiles {
        files.input("--cohort", &self.cohort).input("--cohort-utt2spk", &self.cohort_utt2spk)
    }
}

impl MeasureArgs {
    /// Refuses options that nothing would use.
    pub(crate) fn check(&self, cohort: &CohortArgs) -> Result<(), UsageError> {
        self.check_costs()?;
        if self.utt2spk.is_some()
            && self.bootstrap.is_none()
            && self.by.is_empty()
            && cohort.score_norm.is_none()
        {
            return Err(UsageError::new(
                "--utt2spk is for --bootstrap, --by or --cohort: give one of them, or leave it out",
            ));
        }
        Ok(())
    }

    /// Refuses costs that nothing would use.
    pub(crate) fn check_costs(&self) -> Result<(), UsageError> {
        if self.p_target.is_empty() && !self.dcf.is_empty() {
            for (option, cost) in [("--c-miss", self.c_miss), ("--c-fa", self.c_fa)] {
                if cost.is_some() {
                    return Err(UsageError::new(format!(
                        "{option} is the cost with --p-target, and --dcf has costs of its own: give --p-target, or leave {option} out"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Refuses options that need error rates, for a list without labels.
    pub(crate) fn refuse_any(&self, why: &str) -> Result<(), UsageError> {
        let given = [
            ("--p-target", !self.p_target.is_empty()),
            ("--c-miss", self.c_miss.is_some()),
            ("--c-fa", self.c_fa.is_some()),
            ("--dcf", !self.dcf.is_empty()),
            ("--fa-rate", !self.fa_rate.is_empty()),
            ("--compat", self.compat),
            ("--by", !self.by.is_empty()),
            ("--bootstrap", self.bootstrap.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => Err(UsageError::new(format!("{option} has nothing to measure: {why}"))),
        }
    }

    /// Reads the tables.
    pub(crate) fn evaluation(&self) -> anyhow::Result<EvaluationOptions> {
        let definition = if self.compat { Definition::Compat } else { Definition::Tied };
        let mut options = EvaluationOptions::new(definition, self.measures()?);
        options.bootstrap = self.bootstrap.map(|replicates| {
            let default = BootstrapOptions::default();
            let (seed, level) = (self.seed.unwrap_or(default.seed), self.level.unwrap_or(default.level));
            BootstrapOptions { replicates, seed, level }
        });
        options.min_trials = self.min_trials.unwrap_or(MIN_TRIALS);
        let read = |path: &PathBuf| -> anyhow::Result<(Table, SourceFile)> {
            let table = Table::read(path)?;
            let file = SourceFile::of_table(&table);
            Ok((table, file))
        };
        options.utt2spk = self.utt2spk.as_ref().map(read).transpose()?;
        for by in &self.by {
            let (table, file) = read(&by.table)?;
            options.by.push((by.clone(), table, file));
        }
        Ok(options)
    }

    fn measures(&self) -> ffsvc_scoring::Result<Measures> {
        let default: &[f64] = if self.dcf.is_empty() { &[0.01, 0.05] } else { &[] };
        let priors = if self.p_target.is_empty() { default } else { &self.p_target };
        let (c_miss, c_fa) = (self.c_miss.unwrap_or(1.0), self.c_fa.unwrap_or(1.0));
        let with_prior = |&p_target| DcfParameters::new(p_target, c_miss, c_fa);
        let mut costs = priors.iter().map(with_prior).collect::<ffsvc_scoring::Result<Vec<_>>>()?;
        costs.extend(&self.dcf);
        Measures::new(&costs).with_miss_at_fa(&self.fa_rate)
    }

    pub(crate) fn files(&self, files: RunFiles) -> RunFiles {
        files.input("--utt2spk", &self.utt2spk).input("--by", self.by.iter().map(|by| &by.table))
    }
}

impl OutputArgs {
    pub(crate) fn files(&self, files: RunFiles) -> RunFiles {
        files
            .output("--scores-out", &self.scores_out)
            .output("--ffsvc-scores-out", &self.ffsvc_scores_out)
            .output("--report-out", &self.report_out)
    }

    pub(crate) fn has_scores(&self) -> bool {
        self.scores_out.is_some() || self.ffsvc_scores_out.is_some()
    }
}
