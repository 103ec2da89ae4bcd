//! `ffsvc-score report`: everything about systems on one trial list, as a page.

mod charts;
mod measures;
mod sources;
mod worst;

use anyhow::{Context, bail};
use ffsvc_cli::{OutputFile, RangeArg, RunFiles};
use ffsvc_kaldi_io::{Table, Trials};
use ffsvc_page::{Html, Page};
use ffsvc_scoring::error_analysis::{ErrorAnalysis, ErrorAnalysisOptions};
use ffsvc_scoring::metrics::DetCurve;
use ffsvc_scoring::report::Report;
use ffsvc_scoring::{EvaluationOptions, Scored};
use tracing::info;

use crate::messages;
use crate::options::{AT_LEAST_ONE, MeasureArgs, TrialArgs};
use crate::score::PROGRAM;
use crate::systems::Named;

const DETAILS: &str = "\
Examples:
  ffsvc-score report --trials data/dev/trials --scores exp/dev/scores -o report.html
  Two systems, with confidence intervals, by distance, and the speakers with most errors:
    ffsvc-score report --trials data/dev/trials --scores cosine=exp/a/scores --scores AS-norm=exp/b/scores \\
        --utt2spk data/dev/utt2spk --bootstrap 1000 --by test:distance=data/dev/utt2distance -o report.html

The page has the measures, DET curves, distributions of the scores, their calibration, error rates by condition, the trials that
are most wrong, and what all of it was made from. It is one file without scripts that needs no network: it can be mailed, and
printed. The numbers are those that ffsvc-score --scores prints. With --compat the tables have the baseline's numbers; the
charts do not. The same command gives the same bytes.";

/// Write a page about one or several systems: measures, curves, conditions, worst trials
#[derive(Debug, clap::Args)]
#[command(after_long_help = DETAILS)]
pub(crate) struct ReportPage {
    #[command(flatten)]
    list: TrialArgs,

    /// A system's score file (may be repeated)
    #[arg(long, value_name = "[NAME=]FILE", required = true)]
    scores: Vec<Named>,

    /// Leave out trials without a score or a value in a table instead of failing; they are counted
    #[arg(long)]
    skip_missing: bool,

    #[command(flatten)]
    measures: MeasureArgs,

    /// Show what a table of utterances says of both sides of the worst trials, such as device=utt2device (may be repeated)
    #[arg(long, value_name = "[NAME=]FILE")]
    table: Vec<Named>,

    /// Length of each list of trials, utterances and speakers
    #[arg(long, value_name = "COUNT", default_value_t = 10, range = AT_LEAST_ONE)]
    top: usize,

    /// Heading of the page [default: the trial list]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,

    /// The page
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: OutputFile,
}

/// What was found about one system.
struct System {
    name: String,
    report: Report,
    target: Vec<f64>,
    nontarget: Vec<f64>,
    curve: DetCurve,
    errors: ErrorAnalysis,
}

impl ReportPage {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let files = RunFiles::new()
            .input("--trials", [&self.list.trials])
            .input("--scores", self.scores.iter().map(|system| &system.file))
            .input("--table", self.table.iter().map(|table| &table.file));
        self.measures.files(files).output("--output", [&self.output]).check(false)?;
        self.measures.check_costs()?;

        let evaluation = self.measures.evaluation()?;
        let tables: Vec<(String, Table)> = self
            .table
            .iter()
            .map(|Named { name, file }| Ok((name.clone(), Table::read(file)?)))
            .collect::<anyhow::Result<_>>()?;
        let trials = Trials::read(&self.list.trials, self.list.trial_columns)?;
        if trials.labels.is_none() {
            let list = self.list.trials.display();
            bail!("{list}: found no labels, expected a trial list with labels");
        }
        let measured = |named: &Named| self.measure(named, &trials, &evaluation, &tables);
        let systems = self.scores.iter().map(measured).collect::<anyhow::Result<Vec<_>>>()?;
        let page = self.page(&systems, &evaluation, &tables);
        ffsvc_atomic_file::write(&self.output, page)
            .with_context(|| format!("cannot write {}", self.output))?;
        info!("the report is in {}", self.output);
        Ok(())
    }

    fn measure(
        &self,
        Named { name, file }: &Named,
        trials: &Trials,
        evaluation: &EvaluationOptions,
        tables: &[(String, Table)],
    ) -> anyhow::Result<System> {
        let scored = Scored::from_file(file, trials.clone(), &self.list.trials, self.skip_missing)?;
        messages::warn_of(scored.counts(), scored.remarks());
        let (Some((trials, scores)), Some(labels)) = (scored.kept(), &trials.labels) else {
            bail!("{}: found no labelled trials with scores", file.display());
        };
        let (target, nontarget) = scores.split(labels)?;
        let curve = DetCurve::new(&target, &nontarget)
            .with_context(|| format!("no error rates of {}", file.display()))?;
        let mut options = ErrorAnalysisOptions::new(curve.eer().threshold);
        options.top = self.top;
        options.utt2spk = evaluation.utt2spk.as_ref().map(|(table, _)| table.clone());
        options.tables = tables.to_vec();
        let errors = ErrorAnalysis::new(trials, scores, &options)?;
        let report = scored
            .report(PROGRAM, evaluation)
            .with_context(|| format!("no error rates of {}", file.display()))?;
        messages::warn_of_conditions(&report);
        Ok(System { name: name.clone(), report, target, nontarget, curve, errors })
    }

    fn page(&self, systems: &[System], evaluation: &EvaluationOptions, tables: &[(String, Table)]) -> String {
        let title = self.title.clone().unwrap_or_else(|| format!("Trials {}", self.list.trials.display()));
        let costs = evaluation.measures.costs();
        let mut page = Page::new(title);
        page.section("Measures", measures::overview(systems));
        page.section("DET curves", charts::det(systems, costs));
        page.section("Scores", charts::histograms(systems, costs));
        page.section("Calibration", charts::calibration(systems, costs));
        for place in 0..evaluation.by.len() {
            let (title, content) = measures::break_down(systems, place);
            page.section(title, content);
        }
        page.section("Worst trials", worst::errors(systems));
        page.section("Made from", sources::made_from(systems, evaluation, tables));
        page.finish(PROGRAM)
    }
}

/// What `content` makes of each system. Several have their names above.
fn each(systems: &[System], content: impl Fn(Html, &System) -> Html) -> Html {
    let is_one = systems.len() == 1;
    let with_name = |html: Html, system: &System| if is_one { html } else { html.heading(&system.name) };
    systems.iter().fold(Html::new(), |html, system| content(with_name(html, system), system))
}
