//! `ffsvc-train report`: an experiment as a page.

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use ffsvc_cli::{Logging, OutputFile, RunFiles};
use ffsvc_dataset::ViewPlan;
use ffsvc_page::{Cell, Html, Page, Table};
use ffsvc_plots::{StepCurve, StepsPlot};
use ffsvc_scoring::report::SourceFile;
use ffsvc_trainer::{EpochSummary, Event, ExperimentDir, TrainingLog, time_in_words};
use tracing::info;

use crate::advice::with_advice;

const PROGRAM: &str = concat!("ffsvc-train ", env!("CARGO_PKG_VERSION"));

/// Write a page about an experiment: curves, epochs, examples of the augmentation, the configuration
///
/// Reads config.toml and train.jsonl of the folder. The run may still be going on.
#[derive(Debug, Parser)]
#[command(
    name = "report",
    after_help = "\
Example:
  ffsvc-train report exp/resnet34 -o report.html

The page is one file without scripts that needs no network: it can be mailed, and printed. The same experiment gives the same
bytes."
)]
pub(crate) struct Args {
    /// Folder of the experiment
    #[arg(value_name = "EXP")]
    exp: PathBuf,

    /// Heading of the page [default: the folder]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,

    /// The page
    #[arg(short, long, value_name = "FILE")]
    output: OutputFile,

    #[command(flatten)]
    logging: Logging,
}

impl Args {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        self.logging.init();
        let files = RunFiles::new().input("EXP", [&self.exp]);
        let inputs = ["config.toml", "train.jsonl"].map(|name| self.exp.join(name));
        files.input("EXP", &inputs).output("--output", [&self.output]).check(false)?;
        let dir = ExperimentDir::open(&self.exp).map_err(with_advice)?;
        let log = TrainingLog::read(dir.log()).map_err(with_advice)?;
        let config = std::fs::read_to_string(dir.config())
            .with_context(|| format!("cannot read {}", dir.config().display()))?;
        let epochs = log.epochs();

        let title = self.title.clone().unwrap_or_else(|| format!("Experiment {}", self.exp.display()));
        let mut page = Page::new(title);
        page.section("Summary", summary(&log, &epochs));
        page.section("Learning", learning(&log));
        page.section("Validations", validations(&log));
        page.section("Speed", speed(&log));
        page.section("Epochs", Html::new().table(&table(&epochs)));
        page.section("Augmentation", augmentation(&log));
        page.section("Configuration", Html::new().preformatted(config));
        page.section("Made from", made_from(&dir)?);
        ffsvc_atomic_file::write(&self.output, page.finish(PROGRAM))
            .with_context(|| format!("cannot write {}", self.output))?;
        info!("the report is in {}", self.output);
        Ok(())
    }
}

fn summary(log: &TrainingLog, epochs: &[EpochSummary]) -> Html {
    let mut table = Table::new(["what", "value"]);
    let mut row = |what: &str, cell: Cell| table.row([Cell::text(what), cell]);
    let starts = log.events.iter().filter(|event| matches!(event, Event::Start { .. })).count();
    let mut total = None;
    if let Some(Event::Start {
        steps_per_epoch,
        epochs,
        utterances,
        step_utterances,
        speakers,
        parameters,
        version,
        ..
    }) = log.events.iter().rfind(|event| matches!(event, Event::Start { .. }))
    {
        total = Some(steps_per_epoch * epochs);
        row("training utterances", Cell::count(*utterances));
        row("classes", Cell::count(*speakers));
        row("trainable numbers", Cell::count(*parameters));
        row("epochs", Cell::count(*epochs));
        row("steps of an epoch", Cell::count(*steps_per_epoch));
        row("utterances of a step", Cell::count(*step_utterances));
        row("program", Cell::text(format!("ffsvc-train {version}")));
    }
    let done = epochs.last().map_or(0, |last| last.step);
    let state = match log.events.last() {
        Some(Event::End { interrupted: false, .. }) => "complete".to_owned(),
        Some(Event::End { interrupted: true, .. }) => "interrupted".to_owned(),
        _ => "not ended".to_owned(),
    };
    row("steps done", Cell::count(done).below(total.map(|total| format!("of {total}"))));
    row("state", Cell::text(state).below((starts > 1).then(|| format!("started {starts} times"))));
    if let Some(last) = epochs.last() {
        if let Some(loss) = last.means.loss() {
            row("mean loss of the last epoch", Cell::number(loss, format!("{loss:.4}")));
        }
        if let Some(accuracy) = last.means.accuracy() {
            row("accuracy of the last epoch", Cell::number(accuracy, per_cent(accuracy, 2)));
        }
    }
    if let Some(best) = log.validations().min_by(|a, b| a.eer.total_cmp(&b.eer)) {
        row(
            "lowest EER",
            Cell::number(best.eer, per_cent(best.eer, 3)).below(Some(format!("epoch {}", best.epoch))),
        );
        row("its minDCF", Cell::number(best.min_dcf, format!("{:.4}", best.min_dcf)));
    }
    let seconds: f64 = epochs.iter().map(|epoch| epoch.means.seconds()).sum();
    row("time of the steps", Cell::number(seconds, time_in_words(seconds)));
    Html::new().table(&table)
}

fn per_cent(share: f64, digits: usize) -> String {
    format!("{:.digits$} %", 100.0 * share)
}

/// A number of a step.
type OfStep = fn(&Event) -> Option<(usize, f64)>;

/// A curve of a number that steps have.
fn curve(log: &TrainingLog, name: &str, of: OfStep) -> StepCurve {
    StepCurve { name: name.to_owned(), values: log.events.iter().filter_map(of).collect() }
}

fn plot(label: &str, curves: Vec<StepCurve>, from_zero: bool) -> StepsPlot {
    let curves = curves.into_iter().filter(|curve| !curve.values.is_empty()).collect();
    StepsPlot { title: None, label: label.to_owned(), curves, from_zero }
}

fn learning(log: &TrainingLog) -> Html {
    let loss = curve(log, "loss", |event| match event {
        Event::Step { step, loss, .. } => Some((*step, f64::from(*loss))),
        _ => None,
    });
    let teacher = curve(log, "of it the teacher's", |event| match event {
        Event::Step { step, teacher_loss, .. } => Some((*step, f64::from((*teacher_loss)?))),
        _ => None,
    });
    let accuracy = curve(log, "accuracy", |event| match event {
        Event::Step { step, accuracy, .. } => Some((*step, 100.0 * (*accuracy)?)),
        _ => None,
    });
    let rate = curve(log, "learning rate", |event| match event {
        Event::Step { step, learning_rate, .. } => Some((*step, *learning_rate)),
        _ => None,
    });
    let margin = curve(log, "margin", |event| match event {
        Event::Step { step, margin, .. } => Some((*step, (*margin)?)),
        _ => None,
    });
    let (has_classes, has_margins) = (!accuracy.values.is_empty(), !margin.values.is_empty());
    let mut charts = Html::new().chart(
        &plot("Loss", vec![loss, teacher], false),
        "Loss of the steps. In long runs the line is a mean of neighbouring steps, and the area their range.",
    );
    if has_classes {
        charts = charts.chart(
            &plot("Accuracy (%)", vec![accuracy], true),
            "Share of each step's crops whose own speaker has the best score, margin left out.",
        );
    }
    charts = charts.chart(&plot("Learning rate", vec![rate], true), "Learning rate of the steps.");
    if has_margins {
        charts =
            charts.chart(&plot("Margin", vec![margin], true), "Margin of the head, which a schedule moves.");
    }
    Html::new().beside(charts)
}

fn validations(log: &TrainingLog) -> Html {
    let mut names: Vec<&String> = log.validations().flat_map(|result| result.lists.keys()).collect();
    names.sort();
    names.dedup();
    let chart = |label: &str, scale: f64, of: fn(f64, f64) -> f64| {
        let all = log.validations().map(|result| (result.step, scale * of(result.eer, result.min_dcf)));
        let name = if names.is_empty() { label } else { "selects the best model" };
        let mut curves = vec![StepCurve { name: name.to_owned(), values: all.collect() }];
        curves.extend(names.iter().map(|name| {
            let of_list = log.validations().filter_map(|result| {
                let rates = result.lists.get(*name)?;
                Some((result.step, scale * of(rates.eer, rates.min_dcf)))
            });
            StepCurve { name: (*name).clone(), values: of_list.collect() }
        }));
        plot(label, curves, true)
    };
    if log.validations().next().is_none() {
        return Html::new().paragraph("The log has no validation.");
    }
    let charts = Html::new()
        .chart(&chart("EER (%)", 100.0, |eer, _| eer), "Equal error rate on the validation trials.")
        .chart(&chart("minDCF", 1.0, |_, min_dcf| min_dcf), "Least detection cost on the validation trials.");
    Html::new().beside(charts)
}

fn speed(log: &TrainingLog) -> Html {
    let throughput = curve(log, "utterances/s", |event| match event {
        Event::Step { step, utterances_per_s, .. } => Some((*step, *utterances_per_s)),
        _ => None,
    });
    let wait = curve(log, "data wait", |event| match event {
        Event::Step { step, data_wait, .. } => Some((*step, 100.0 * data_wait)),
        _ => None,
    });
    let charts = Html::new()
        .chart(&plot("Utterances/s", vec![throughput], true), "Utterances that are learnt from in a second.")
        .chart(
            &plot("Data wait (%)", vec![wait], true),
            "Share of each step's time that was spent waiting for data. If it is high, train.workers are too few.",
        );
    Html::new().beside(charts)
}

fn table(epochs: &[EpochSummary]) -> Table {
    let mut table = Table::new([
        "epoch",
        "step",
        "loss",
        "accuracy",
        "learning rate",
        "margin",
        "utterances/s",
        "data wait",
        "time",
        "EER",
        "minDCF",
    ]);
    let cell = |value: Option<f64>, shown: &dyn Fn(f64) -> String| {
        value.map_or_else(Cell::empty, |value| Cell::number(value, shown(value)))
    };
    let best = epochs.iter().filter_map(|epoch| epoch.validation.as_ref()).map(|result| result.eer);
    let best = best.fold(f64::INFINITY, f64::min);
    for EpochSummary { epoch, step, means, learning_rate, margin, validation } in epochs {
        let eer = validation.as_ref().map(|result| result.eer);
        table.row([
            Cell::count(*epoch),
            Cell::count(*step),
            cell(means.loss(), &|loss| format!("{loss:.4}")),
            cell(means.accuracy(), &|share| per_cent(share, 2)),
            cell(Some(*learning_rate), &|rate| format!("{rate:.2e}")),
            cell(*margin, &|margin| format!("{margin:.3}")),
            cell(means.utterances_per_s(), &|speed| format!("{speed:.1}")),
            cell(means.data_wait(), &|share| per_cent(share, 1)),
            cell(Some(means.seconds()), &time_in_words),
            cell(eer, &|eer| per_cent(eer, 3)).best(eer == Some(best)),
            cell(validation.as_ref().map(|result| result.min_dcf), &|cost| format!("{cost:.4}")),
        ]);
    }
    table
}

fn augmentation(log: &TrainingLog) -> Html {
    let plans = log.events.iter().filter_map(|event| match event {
        Event::CropPlans { plans, .. } => Some(plans),
        _ => None,
    });
    let mut table = Table::new(["utterance", "start of the crop", "view", "plan"]);
    for crop in plans.flatten() {
        for ViewPlan { view, plan } in &crop.views {
            table.row([
                Cell::text(&crop.utterance),
                Cell::number(crop.place, format!("{:.3}", crop.place)),
                Cell::text(view.to_string()),
                // A plan is numbers and paths, which JSON can express.
                Cell::text(serde_json::to_string(plan).unwrap_or_default()),
            ]);
        }
    }
    if table.is_empty() {
        return Html::new()
            .paragraph("The log has no example: the run has no augmentation, or an older program wrote it.");
    }
    Html::new()
        .paragraph(
            "What is done to the first crops of the run. A crop begins at a share of its possible starts. ffsvc-data augment \
             --plan prints the plan of every utterance.",
        )
        .table(&table)
}

fn made_from(dir: &ExperimentDir) -> anyhow::Result<Html> {
    let mut table = Table::new(["what", "file", "SHA-256"]);
    for (what, path) in [
        ("configuration", dir.config()),
        ("log", dir.log()),
        ("model before the first step", dir.initial_model()),
        ("model of the lowest EER", dir.best_model()),
        ("model after the last step", dir.final_model()),
        ("average of the weights", dir.average_model()),
    ] {
        if path.is_file() {
            let SourceFile { path, sha256 } = SourceFile::identify(&path)?;
            table.row([Cell::text(what), Cell::text(path), Cell::text(sha256)]);
        }
    }
    Ok(Html::new()
        .table(&table)
        .heading("Command")
        .preformatted(ffsvc_cli::command_line(&["--output", "-o"])))
}
