//! `ffsvc-train`: a configuration and a folder in, a trained model out.

mod advice;
#[cfg(feature = "tui")]
mod dashboard;
mod display;
mod experiment_report;
#[path = "../import_first.rs"]
mod import_first;
mod serve_device;
mod template;
mod tensorboard;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use clap::{CommandFactory, FromArgMatches, Parser};
use ffsvc_cli::{ConfigArgs, Interrupted, Logging, OutputPath, RunFiles, UsageError};
use ffsvc_models::DeviceChoice;
use ffsvc_trainer::{
    DryRun, Event, ExperimentConfig, ExperimentDir, HeadInit, InitFrom, Observer, Outcome, Run,
};

use ffsvc_ranges::{Range, RangeArg as _};

use crate::advice::with_advice;
use crate::tensorboard::TensorBoard;

/// Range of `--overfit`.
const OVERFIT_STEPS: Range<usize> = Range::of(1, 1_000_000_000);

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Train a speaker embedding network
///
/// Reads the experiment's TOML file, trains, and writes into the folder EXP. It writes config.toml (every setting, with
/// the defaults), train.jsonl (one JSON object a line) and checkpoints/step-*/ (model and optimiser, complete or
/// absent). The models are best.safetensors (lowest validation EER) and final.safetensors. With train.ema it also
/// writes ema.safetensors.
///
/// Ctrl-C, SIGTERM and SIGUSR1 finish the current step, write a checkpoint and end the program with status 130.
/// --resume continues from the last checkpoint, also after a kill. The weights are the same as those of an
/// uninterrupted run. --resume-or-start does that too, and starts where there is no checkpoint. The number of workers
/// changes no number. The number of devices changes them by rounding only.
///
/// The checkpoint of an epoch is written before its validation. A validation that fails is reported on stderr and in
/// train.jsonl, and training continues. --resume repeats it if it was the last action of the run.
#[derive(Debug, Parser)]
#[command(
    name = "ffsvc-train",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_long_help = "\
Examples:
  ffsvc-train template small > my.toml
  ffsvc-train configs/resnet34.toml exp/resnet34
  ffsvc-train configs/resnet34.toml --dry-run
  ffsvc-train configs/resnet34.toml exp/resnet34 --resume
  ffsvc-train configs/resnet34.toml exp/resnet34 --resume-or-start
  ffsvc-train configs/resnet34.toml exp/short --set train.epochs=3 --set optimizer.learning_rate=0.001
  ffsvc-train configs/resnet34.toml exp/tuned --init-from exp/resnet34/best.safetensors --set data.train=data/far
  ffsvc-train configs/resnet34-ddp.toml exp/resnet34-ddp --device cuda:0,1
  ffsvc-train report exp/resnet34 -o report.html

Several devices share the batches of a step, train.accumulate of them: one for each device, unless the configuration has a
multiple of their number. train.batch_size is the batch of one of them, and the learning rate belongs to all batches of a step
together. --dry-run prints what that comes to.

Exit status: 0 trained, 1 failed, 2 wrong usage, 130 interrupted (a checkpoint was written)."
)]
struct Args {
    #[command(flatten)]
    config: ConfigArgs,

    /// Folder of the experiment; made where it is missing
    #[arg(required_unless_present = "dry_run")]
    exp: Option<OutputPath>,

    /// Go on from the newest complete checkpoint in EXP
    #[arg(long, conflicts_with = "init_from")]
    resume: bool,

    /// Go on from the newest complete checkpoint in EXP if there is one, else start: for jobs that are started again
    ///
    /// With --init-from, only the start reads the model.
    #[arg(long, conflicts_with = "resume")]
    resume_or_start: bool,

    /// Start from the weights of this model instead of random ones (a fine-tune)
    ///
    /// The sections model and features may then be left out of the configuration: they are those of the model.
    #[arg(long, value_name = "MODEL")]
    init_from: Option<PathBuf>,

    // `requires` alone is not enough: clap drops it where the other option conflicts with one on the line.
    /// With --init-from: where the classification head comes from
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        default_value = "new",
        requires = "init_from",
        conflicts_with = "resume"
    )]
    head: HeadInit,

    /// Where to compute: cpu, auto (CUDA if there is any), cuda:0,1, wgpu:0, remote:HOST:PORT,HOST:PORT
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,

    /// Measure the network on the validation trials before the first step as well
    #[arg(long)]
    validate_first: bool,

    /// Check the configuration and the data, train on two batches, print what the run would do, and write nothing
    #[arg(long, conflicts_with_all = ["resume", "resume_or_start", "validate_first"])]
    dry_run: bool,

    /// Train on the first N steps' batches alone, again and again: a network that can learn gets them all right
    #[arg(long, value_name = "N", range = OVERFIT_STEPS)]
    overfit: Option<usize>,

    /// Show the run on Burn's dashboard: curves of loss, accuracy and validations (feature `tui`)
    #[arg(long, conflicts_with = "dry_run")]
    tui: bool,

    /// Write the numbers of the run into this folder, for TensorBoard; made where it is missing
    #[arg(long, value_name = "DIR", conflicts_with = "dry_run")]
    tensorboard: Option<OutputPath>,

    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    logging: Logging,
}

fn main() -> ExitCode {
    ffsvc_cli::keep_freed_memory();
    ffsvc_cli::program(|invocation| match invocation {
        Invocation::Train(args) => args.run(),
        Invocation::Report(args) => args.run(),
        Invocation::ServeDevice(args) => args.run(),
        Invocation::Template(args) => args.run(),
    })
}

/// What a command line asks for. A subcommand has options of its own, and none of those for training.
enum Invocation {
    Train(Args),
    Report(experiment_report::Args),
    ServeDevice(serve_device::Args),
    Template(template::Args),
}

impl CommandFactory for Invocation {
    fn command() -> clap::Command {
        Args::command()
            .subcommand(template::Args::command())
            .subcommand(experiment_report::Args::command())
            .subcommand(serve_device::Args::command())
    }

    fn command_for_update() -> clap::Command {
        Self::command()
    }
}

impl FromArgMatches for Invocation {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        Ok(match matches.subcommand() {
            Some(("template", matches)) => Self::Template(template::Args::from_arg_matches(matches)?),
            Some(("report", matches)) => Self::Report(experiment_report::Args::from_arg_matches(matches)?),
            Some((_, matches)) => Self::ServeDevice(serve_device::Args::from_arg_matches(matches)?),
            None => Self::Train(Args::from_arg_matches(matches)?),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Parser for Invocation {}

impl Args {
    fn run(&self) -> anyhow::Result<()> {
        self.logging.init();
        let files = self.files();
        files.clone().check(self.json)?;
        let resumed = self.resumed()?;
        let sections = self.sections_of_model(resumed)?;
        let mut config: ExperimentConfig =
            self.config.load_with(&sections, ExperimentConfig::missing_keys)?;
        let named = config.input_paths();
        named.into_iter().fold(files, |files, (key, path)| files.input(key, [path])).check(self.json)?;
        if let Some(steps) = self.overfit {
            config.train.overfit_steps = steps;
        }
        self.check_dashboard()?;
        if self.validate_first && config.validation.is_none() {
            return Err(UsageError::new("--validate-first: the configuration has no [validation]").into());
        }
        let devices = self.device.open().map_err(|error| UsageError::new(error.to_string()))?;
        config.train.share_among(devices.len());
        match &self.exp {
            Some(exp) if !self.dry_run => {
                let outcome = train(self, &config, exp, &self.start(resumed.is_some()), &devices)?;
                report(self, &outcome)
            }
            _ => dry_run(self, &config, &devices),
        }
    }

    /// The folder whose run goes on, where one does.
    fn resumed(&self) -> anyhow::Result<Option<&Path>> {
        let Some(exp) = self.exp.as_deref() else { return Ok(None) };
        let has_checkpoint = || match ExperimentDir::open(exp) {
            Ok(dir) => dir.list().map(|checkpoints| !checkpoints.is_empty()).map_err(with_advice),
            Err(_) => Ok(false),
        };
        Ok((self.resume || self.resume_or_start && has_checkpoint()?).then_some(exp))
    }

    /// What a configuration may leave out, because the model that the run starts from has it.
    fn sections_of_model(&self, resumed: Option<&Path>) -> anyhow::Result<toml::Table> {
        let of_resumed = resumed.and_then(|exp| ExperimentDir::open(exp).ok()).map(|dir| dir.initial_model());
        let model = of_resumed.filter(|path| path.exists()).or_else(|| self.init_from.clone());
        match model {
            Some(model) => ExperimentConfig::sections_of_model(&model).map_err(with_advice),
            None => Ok(toml::Table::new()),
        }
    }

    /// Where the weights come from.
    fn start(&self, is_resumed: bool) -> InitFrom {
        match &self.init_from {
            _ if is_resumed => InitFrom::Checkpoint,
            Some(model) => InitFrom::Model { path: model.clone(), head: self.head },
            None => InitFrom::Random,
        }
    }

    /// What the command line names; the configuration names more.
    fn files(&self) -> RunFiles {
        RunFiles::new()
            .input("CONFIG", [&self.config.config])
            .input("--init-from", &self.init_from)
            .output_folder("EXP", &self.exp)
            .output_folder("--tensorboard", &self.tensorboard)
    }

    /// Before anything is written.
    fn check_dashboard(&self) -> Result<(), UsageError> {
        if !self.tui {
            return Ok(());
        }
        if !cfg!(feature = "tui") {
            return Err(UsageError::new(
                "--tui: this program was built without the dashboard; build it with cargo build --release --features tui",
            ));
        }
        if !std::io::stdout().is_terminal() {
            return Err(UsageError::new("--tui needs a terminal on standard output"));
        }
        Ok(())
    }

    /// Who shows the run.
    #[cfg_attr(not(feature = "tui"), allow(unused_variables))]
    fn display(&self, stop: &Arc<AtomicBool>) -> Box<dyn Observer> {
        #[cfg(feature = "tui")]
        if self.tui {
            return Box::new(dashboard::Dashboard::new(Arc::clone(stop)));
        }
        Box::new(display::Display::default())
    }
}

fn dry_run(args: &Args, config: &ExperimentConfig, devices: &[Device]) -> anyhow::Result<()> {
    if let Some(exp) = &args.exp {
        ExperimentDir::check_new(&**exp).map_err(with_advice)?;
    }
    let plan = DryRun::new(config, &args.start(false), devices).map_err(with_advice)?;
    if args.json {
        ffsvc_cli::print_json(&plan)?;
    } else {
        print!("{plan}");
    }
    Ok(())
}

fn train(
    args: &Args,
    config: &ExperimentConfig,
    exp: &Path,
    start: &InitFrom,
    devices: &[Device],
) -> anyhow::Result<Outcome> {
    // From here on a signal ends the run in good order, also one that comes while lists are read.
    let stop = ffsvc_cli::interrupt::flag();
    let run = Run::prepare(config, exp, start, devices).map_err(with_advice)?;
    let mut tensorboard = args.tensorboard.as_deref().map(TensorBoard::create).transpose()?;
    let mut display = args.display(&stop);
    let mut observer = |event: &Event| {
        display.event(event);
        if let Some(tensorboard) = &mut tensorboard {
            tensorboard.event(event);
        }
    };
    if args.validate_first
        && let Some(result) = run.validate(&stop).map_err(with_advice)?
    {
        observer.event(&Event::Validation(result));
    }
    run.train(&stop, &mut observer).map_err(with_advice)
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
