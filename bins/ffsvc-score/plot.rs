//! `plot`: pictures of score files and of reports.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use ffsvc_cli::{OutputPath, RunFiles, UsageError};
use ffsvc_plots::{
    Bar, CalibrationPlot, CalibrationSystem, ConditionBars, ConditionSystem, DetPlot, DetSystem,
    HistogramPlot, Picture,
};
use ffsvc_scoring::Pav;
use ffsvc_scoring::metrics::{DcfParameters, Definition, DetCurve, Measures, evaluate};
use ffsvc_scoring::report::{BreakDown, Report};
use tracing::info;

use crate::options::TrialArgs;
use crate::systems::{Named, read_labelled_trials, read_scores};

/// Draw DET curves, histograms of scores, calibration, or error rates by condition
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ffsvc-score plot det --trials data/dev/trials --scores cosine=exp/a/scores --scores AS-norm=exp/b/scores \\
      -o det.svg -o det.png
  ffsvc-score --trials T --scores S --by test:distance=utt2distance --report-out cosine.json
  ffsvc-score plot conditions --report cosine=cosine.json --by distance -o distance.svg

Pictures are SVG or PNG (150 dots per inch) by the ending of the file. Without NAME=, a system is called after its file.")]
pub(crate) struct Plot {
    #[command(subcommand)]
    picture: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Miss against false-alarm rate of several systems, with EER and minDCF points
    Det(MarkedScores),
    /// The distributions of target and non-target scores of one system, with the thresholds of EER and minDCF
    Histogram(MarkedScores),
    /// The log-likelihood ratio that scores turn out to have, against the scores
    Calibration(Scores),
    /// The EER by condition, from reports that ffsvc-score --by ... --report-out made
    Conditions(Conditions),
}

#[derive(Debug, Args)]
struct Scores {
    #[command(flatten)]
    list: TrialArgs,

    /// A system's score file (may be repeated)
    #[arg(long, value_name = "[NAME=]FILE", required = true)]
    scores: Vec<Named>,

    /// Leave out trials without a score instead of failing; they are counted
    #[arg(long)]
    skip_missing: bool,

    #[command(flatten)]
    files: Files,
}

/// Scores, and the operating points that are marked.
#[derive(Debug, Args)]
struct MarkedScores {
    #[command(flatten)]
    scores: Scores,

    /// Operating points whose minDCF is marked
    #[arg(long, value_name = "P_TARGET,C_MISS,C_FA", default_value = "0.01,1,1")]
    dcf: Vec<DcfParameters>,
}

#[derive(Debug, Args)]
struct Conditions {
    /// A system's report (may be repeated)
    #[arg(long, value_name = "[NAME=]FILE", required = true)]
    report: Vec<Named>,

    /// Which of the reports' break-downs; may be left out if there is one only
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    #[command(flatten)]
    files: Files,
}

#[derive(Debug, Args)]
struct Files {
    /// Heading of the picture
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,

    /// The picture, .svg or .png (may be repeated)
    #[arg(short, long, value_name = "FILE", required = true)]
    output: Vec<OutputPath>,
}

impl Plot {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.picture {
            What::Det(args) => args.det(),
            What::Histogram(args) => args.histogram(),
            What::Calibration(args) => args.calibration(),
            What::Conditions(args) => args.run(),
        }
    }
}

impl Files {
    /// Checks the outputs before anything is read.
    fn check(&self, inputs: RunFiles) -> Result<(), UsageError> {
        for path in &self.output {
            ffsvc_plots::check_ending(path).map_err(|error| UsageError::new(format!("--output {error}")))?;
        }
        inputs.regular_output("--output", &self.output).check(false)?;
        Ok(())
    }

    fn write(&self, picture: &impl Picture) -> anyhow::Result<()> {
        for path in &self.output {
            ffsvc_plots::write(picture, path)?;
            info!("the picture is in {path}");
        }
        Ok(())
    }
}

/// A system's name and its scores, targets first.
type System = (String, Vec<f64>, Vec<f64>);

impl Scores {
    /// The scores of each system, targets first.
    fn read(&self) -> anyhow::Result<Vec<System>> {
        let inputs = RunFiles::new().input("--trials", [&self.list.trials]);
        self.files.check(inputs.input("--scores", self.scores.iter().map(|system| &system.file)))?;
        let (trials, labels) = read_labelled_trials(&self.list)?;
        let read = |Named { name, file }: &Named| {
            let (scores, _) = read_scores(file, &trials, self.skip_missing)?;
            let (target, nontarget) = scores.split(&labels)?;
            Ok((name.clone(), target, nontarget))
        };
        self.scores.iter().map(read).collect()
    }

    fn calibration(&self) -> anyhow::Result<()> {
        let mut systems = Vec::new();
        for (name, target, nontarget) in self.read()? {
            let metrics = evaluate(&target, &nontarget, Definition::Tied, &Measures::default())?;
            let cllr = metrics.cllr.map_or_else(String::new, |cllr| {
                format!(": Cllr {:.3}, least {:.3}", cllr.actual, cllr.minimum)
            });
            systems.push(CalibrationSystem { name: name + &cllr, pav: Pav::fit(&target, &nontarget)? });
        }
        self.files.write(&CalibrationPlot { title: self.files.title.clone(), systems })
    }
}

impl MarkedScores {
    fn det(&self) -> anyhow::Result<()> {
        let Files { title, .. } = &self.scores.files;
        let scores = self.scores.read()?;
        let curve = |(_, target, nontarget): &System| DetCurve::new(target, nontarget);
        let curves = scores.iter().map(curve).collect::<Result<Vec<_>, _>>()?;
        let named = scores.iter().zip(&curves);
        let systems = named.map(|((name, ..), curve)| DetSystem { name: name.clone(), curve }).collect();
        self.scores.files.write(&DetPlot { title: title.clone(), systems, costs: self.dcf.clone() })
    }

    fn histogram(&self) -> anyhow::Result<()> {
        if self.scores.scores.len() > 1 {
            return Err(UsageError::new("histogram takes one --scores: it is of one system").into());
        }
        let scores = self.scores.read()?;
        let [(name, target, nontarget)] = &scores[..] else {
            bail!("found {} score files, expected one", scores.len());
        };
        let metrics = evaluate(target, nontarget, Definition::Tied, &Measures::new(&self.dcf))?;
        let mut thresholds = vec![("EER".to_owned(), metrics.eer_threshold)];
        for dcf in &metrics.min_dcf {
            thresholds.push((format!("minDCF({})", dcf.parameters.p_target()), dcf.threshold));
        }
        let title = self.scores.files.title.clone().or_else(|| Some(name.clone()));
        self.scores.files.write(&HistogramPlot { title, target, nontarget, thresholds })
    }
}

impl Conditions {
    fn run(&self) -> anyhow::Result<()> {
        let inputs = self.report.iter().map(|report| &report.file);
        self.files.check(RunFiles::new().input("--report", inputs))?;
        let mut read = Vec::new();
        for Named { name, file } in &self.report {
            let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            let report: Report = serde_json::from_slice(&text).with_context(|| {
                format!("{}: expected a report that ffsvc-score --report-out made", file.display())
            })?;
            read.push((name, self.find(file, report)?));
        }
        let systems: Vec<(&str, &BreakDown)> = read.iter().map(|(name, by)| (name.as_str(), by)).collect();
        self.files.write(&condition_bars(self.files.title.clone(), &systems))
    }

    fn find(&self, file: &Path, report: Report) -> anyhow::Result<BreakDown> {
        let names: Vec<String> = report.conditions.iter().map(|by| by.name.clone()).collect();
        let wanted = |name: &String| self.by.as_ref().is_none_or(|by| by == name);
        let mut found = report.conditions.into_iter().filter(|by| wanted(&by.name));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => bail!(
                "{}: found {}, expected a break-down{}: make one with --by and --report-out",
                file.display(),
                if names.is_empty() { "none".to_owned() } else { names.join(", ") },
                self.by.as_ref().map_or_else(String::new, |by| format!(" by {by}")),
            ),
            (Some(_), Some(_)) => {
                bail!("{}: found {}, expected --by to say which", file.display(), names.join(", "))
            }
        }
    }
}

/// The EER of each system by condition. The conditions are those of all systems, in the order of the first one that has them.
pub(crate) fn condition_bars(title: Option<String>, systems: &[(&str, &BreakDown)]) -> ConditionBars {
    let mut seen = BTreeSet::new();
    let all = systems.iter().flat_map(|(_, by)| by.conditions.iter().map(|condition| &condition.value));
    let conditions: Vec<String> = all.filter(|value| seen.insert(*value)).cloned().collect();
    let bar = |by: &BreakDown, value: &String| {
        let metrics = by.conditions.iter().find(|condition| condition.value == *value)?.metrics.as_ref()?;
        let interval = metrics.eer_interval.map(|interval| (100.0 * interval.low, 100.0 * interval.high));
        Some(Bar { value: 100.0 * metrics.eer, interval })
    };
    let system = |&(name, by): &(&str, &BreakDown)| ConditionSystem {
        name: name.to_owned(),
        bars: conditions.iter().map(|value| bar(by, value)).collect(),
    };
    let systems = systems.iter().map(system).collect();
    ConditionBars { title, measure: "EER (%)".to_owned(), conditions, systems }
}
