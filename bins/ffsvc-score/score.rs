//! The flat options: scores a trial list, or evaluates a score file, and reports error rates.

use anyhow::Context;
use ffsvc_cli::{RunFiles, UsageError};
use ffsvc_kaldi_io::{TrialReader, Trials};
use ffsvc_scoring::score_file::ScoreWriter;
use ffsvc_scoring::{Pipeline, Scored};
use tracing::info;

use crate::messages;
use crate::options::{CohortArgs, InputArgs, MeasureArgs, OutputArgs, PreparationArgs, TrialArgs};

pub(crate) const PROGRAM: &str = concat!("ffsvc-score ", env!("CARGO_PKG_VERSION"));

#[derive(Debug, clap::Args)]
pub(crate) struct Score {
    #[command(flatten)]
    list: Option<TrialArgs>,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    preparation: PreparationArgs,
    #[command(flatten)]
    cohort: CohortArgs,
    #[command(flatten)]
    measures: MeasureArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Score {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let Self { list, input, preparation, cohort, measures, output } = self;
        let list = list.as_ref().ok_or_else(|| UsageError::new("give --trials, or a subcommand"))?;
        let files = RunFiles::new().input("--trials", [&list.trials]);
        let files = preparation.files(input.files(files));
        let findings = output.files(measures.files(cohort.files(files))).check(output.json)?;

        preparation.check(cohort)?;
        measures.check(cohort)?;
        let evaluation = measures.evaluation()?;

        let (scored, outputs) = match (&input.embeddings, &input.scores) {
            (Some(store), _) => {
                let trials = TrialReader::open(&list.trials, list.trial_columns)?;
                self.check_purpose(list, trials.layout().has_labels())?;
                let utt2spk = evaluation.utt2spk.as_ref().map(|(table, _)| table);
                let pipeline = Pipeline::open(&input.pipeline(store, preparation, cohort, utt2spk))?;
                let mut outputs = self.outputs()?;
                (pipeline.score(trials, evaluation.needs_trials(), &mut outputs)?, outputs)
            }
            (None, Some(file)) => {
                let trials = Trials::read(&list.trials, list.trial_columns)?;
                self.check_purpose(list, trials.labels.is_some())?;
                let scored = Scored::from_file(file, trials, &list.trials, input.skip_missing)?;
                let mut outputs = self.outputs()?;
                outputs.iter_mut().try_for_each(|output| scored.write(output))?;
                (scored, outputs)
            }
            (None, None) => return Err(UsageError::new("give --embeddings or --scores").into()),
        };
        messages::warn_of(scored.counts(), scored.remarks());
        for mut output in outputs {
            output.of_model(scored.model());
            let path = output.path().to_path_buf();
            output.commit()?;
            info!("scores are in {}", path.display());
        }
        let report = scored
            .report(PROGRAM, &evaluation)
            .with_context(|| format!("no error rates for {}", list.trials.display()))?;
        messages::warn_of_conditions(&report);
        if let Some(path) = &output.report_out {
            report.write(path)?;
        }
        findings.show(&report)
    }

    /// Without labels there are no error rates, so the scores must be what is wanted.
    fn check_purpose(&self, list: &TrialArgs, has_labels: bool) -> Result<(), UsageError> {
        if has_labels {
            return Ok(());
        }
        let list = list.trials.display();
        if !self.output.has_scores() {
            return Err(UsageError::new(format!(
                "{list} has no labels, so there are no error rates to report: \
                 say where the scores go with --scores-out or --ffsvc-scores-out"
            )));
        }
        self.measures.refuse_any(&format!("{list} has no labels"))
    }

    fn outputs(&self) -> ffsvc_scoring::Result<Vec<ScoreWriter>> {
        let mut outputs = Vec::new();
        outputs.extend(self.output.scores_out.as_ref().map(ScoreWriter::create).transpose()?);
        outputs.extend(self.output.ffsvc_scores_out.as_ref().map(ScoreWriter::create_ffsvc).transpose()?);
        Ok(outputs)
    }
}
