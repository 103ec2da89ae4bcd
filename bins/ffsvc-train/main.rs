//! `ffsvc-train`: a configuration and a folder in, a trained model out.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn::tensor::Device;
use clap::{Parser, ValueEnum};
use ffsvc_cli::{ConfigArgs, Interrupted, Logging, Progress};
use ffsvc_trainer::{Beginning, Event, ExperimentConfig, HeadStart, Outcome, Plan, Run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Train a speaker embedding network
///
/// Reads the experiment's TOML file, trains, and writes into the folder EXP: config.toml (every setting, with
/// the defaults), train.jsonl (one JSON object a line), checkpoints/step-*/ (model and optimiser, complete or
/// absent), best.safetensors (lowest validation EER), final.safetensors, and with train.ema ema.safetensors.
///
/// Ctrl-C finishes the step under way, writes a checkpoint and ends with status 130; --resume goes on from
/// there, or from the last checkpoint of a killed run, and ends with the same weights as a run that was never
/// interrupted. The number of workers does not change any number.
#[derive(Debug, Parser)]
#[command(
    name = "ffsvc-train",
    version,
    after_long_help = "\
Examples:
  ffsvc-train configs/resnet34.toml exp/resnet34
  ffsvc-train configs/resnet34.toml --dry-run
  ffsvc-train configs/resnet34.toml exp/resnet34 --resume
  ffsvc-train configs/resnet34.toml exp/short --set train.epochs=3 --set optimizer.learning_rate=0.001
  ffsvc-train configs/resnet34.toml exp/tuned --init-from exp/resnet34/best.safetensors --set data.train=data/far

Exit status: 0 trained, 1 failed, 2 wrong usage, 130 interrupted (a checkpoint was written)."
)]
struct Args {
    #[command(flatten)]
    config: ConfigArgs,

    /// Folder of the experiment; made where it is missing
    #[arg(required_unless_present = "dry_run")]
    exp: Option<PathBuf>,

    /// Go on from the newest complete checkpoint in EXP
    #[arg(long, conflicts_with = "init_from")]
    resume: bool,

    /// Start from the weights of this model instead of random ones (a fine-tune)
    #[arg(long, value_name = "MODEL")]
    init_from: Option<PathBuf>,

    /// With --init-from: what becomes of the model's classification head
    #[arg(long, value_enum, value_name = "WHAT", default_value = "new", requires = "init_from")]
    head: Head,

    /// Measure the network on the validation trials before the first step as well
    #[arg(long)]
    validate_first: bool,

    /// Check the configuration and the data, print the plan of the run, learn from one batch, and write nothing
    #[arg(long, conflicts_with_all = ["resume", "validate_first"])]
    dry_run: bool,

    /// Train on the first N steps' batches alone, again and again: a network that can learn gets them all right
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    overfit: Option<u32>,

    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    logging: Logging,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Head {
    /// Random rows for all speakers
    New,
    /// All its rows; its speakers must be the training data's
    Match,
    /// The rows of speakers that both know, by name; reserved or random rows for the others
    Keep,
}

impl From<Head> for HeadStart {
    fn from(head: Head) -> Self {
        match head {
            Head::New => Self::New,
            Head::Match => Self::Match,
            Head::Keep => Self::Keep,
        }
    }
}

fn main() -> ExitCode {
    ffsvc_cli::run("ffsvc-train", || {
        let args = Args::parse();
        args.logging.init();
        let mut config: ExperimentConfig = args.config.load()?;
        if let Some(steps) = args.overfit {
            config.train.overfit_steps = steps as usize;
        }
        match &args.exp {
            Some(exp) if !args.dry_run => {
                let outcome = train(&args, &config, exp)?;
                report(&args, &outcome)
            }
            _ => rehearse(&args, &config),
        }
    })
}

fn beginning(args: &Args) -> Beginning {
    match (&args.init_from, args.resume) {
        (Some(model), _) => Beginning::From { model: model.clone(), head: args.head.into() },
        (None, true) => Beginning::Resume,
        (None, false) => Beginning::Fresh,
    }
}

fn rehearse(args: &Args, config: &ExperimentConfig) -> anyhow::Result<()> {
    let plan = Plan::rehearse(config, &beginning(args), &Device::flex())?;
    if args.json {
        ffsvc_cli::print_json(&plan)?;
    } else {
        print!("{plan}");
    }
    Ok(())
}

fn train(args: &Args, config: &ExperimentConfig, exp: &Path) -> anyhow::Result<Outcome> {
    let run = Run::prepare(config, exp, &beginning(args), &Device::flex())?;
    let mut display = Display::new(run.total_steps());
    if args.validate_first
        && let Some(result) = run.validate()?
    {
        display.show(&Event::Validation(result));
    }
    let stop = ffsvc_cli::interrupt::flag();
    let outcome = run.train(&stop, &mut |event: &Event| display.show(event));
    display.finish();
    Ok(outcome?)
}

fn report(args: &Args, outcome: &Outcome) -> anyhow::Result<()> {
    if args.json {
        ffsvc_cli::print_json(outcome)?;
    } else {
        let models = [
            ("best model", &outcome.best_model),
            ("final model", &outcome.final_model),
            ("averaged model", &outcome.average_model),
        ];
        for (name, model) in models {
            if let Some(model) = model {
                println!("{name}\t{}", model.display());
            }
        }
        if let Some(last) = outcome.validations.last() {
            println!("EER\t{:.3} %\nminDCF\t{:.4}", 100.0 * last.eer, last.min_dcf);
        }
    }
    if outcome.interrupted { Err(Interrupted.into()) } else { Ok(()) }
}

/// Shows a run to a person: a bar on a terminal, a line every so often elsewhere.
struct Display {
    total_steps: usize,
    bar: Option<Progress>,
}

impl Display {
    fn new(total_steps: usize) -> Self {
        Self { total_steps, bar: None }
    }

    fn show(&mut self, event: &Event) {
        match event {
            Event::Start { step, steps_per_epoch, epochs, utterances, speakers, parameters, .. } => {
                let bar = Progress::begin(self.total_steps as u64, "steps");
                bar.inc(*step as u64);
                self.bar = Some(bar);
                self.say(&format!(
                    "{utterances} utterances of {speakers} speakers, {parameters} parameters, \
                     {epochs} epochs of {steps_per_epoch} steps, {step} done"
                ));
            }
            Event::Step { epoch, loss, accuracy, learning_rate, utterances_per_s, data_wait, .. } => {
                let Some(bar) = &self.bar else { return };
                bar.set_message(format!(
                    "epoch {epoch}  loss {loss:.2}  accuracy {:.0} %  lr {learning_rate:.1e}  \
                     {utterances_per_s:.0} utt/s  data wait {:.0} %",
                    100.0 * accuracy,
                    100.0 * data_wait
                ));
                bar.inc(1);
            }
            Event::Validation(result) => self.say(&format!(
                "epoch {}: EER {:.3} %, minDCF {:.4}",
                result.epoch,
                100.0 * result.eer,
                result.min_dcf
            )),
            Event::Checkpoint { path, .. } => tracing::info!("checkpoint {}", path.display()),
            Event::End { step, interrupted: true } => {
                self.say(&format!("stopped after step {step} of {}; --resume goes on", self.total_steps));
            }
            Event::End { .. } => {}
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish();
        }
    }
}
