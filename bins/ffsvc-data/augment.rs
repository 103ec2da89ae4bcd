//! `ffsvc-data augment`: what augmentation does, as data or as sound.

use std::path::PathBuf;

use clap::Args;
use ffsvc_augment::AugmentConfig;
use ffsvc_cli::{OutputPath, Progress, Range, RangeArg as _, RunFiles};
use ffsvc_dataset::{AugmentedCopy, DataConfig, plan_line};
use serde::{Deserialize, Serialize};

/// Range of `--sample-rate`, Hz.
const SAMPLE_RATE: Range<u32> = Range::of(1000, 192_000);
/// Range of `--epoch`.
const EPOCH: Range<u32> = Range::at_least(0);

/// Write a data directory in rooms and noise, or print what would be done to it
///
/// Draws for every utterance the plan that training would draw in the given epoch of a run with the given seed. Applies
/// it to the whole recording and writes the result as a data directory. Use it to listen to the augmentation, or to
/// make a far-field test set. Where the configuration places microphones (augment.reverb.simulated.ranges.microphones), every
/// utterance is written as each of them hears it, under the name UTTERANCE-MICROPHONE. Speakers that a change of speed makes new are named SPEAKER-speedFACTOR.
#[derive(Debug, Args)]
#[command(after_long_help = "\
FILES
    CONFIG      TOML with a section [augment], for example the configuration of an experiment
    OUT/wav/UTTERANCE.wav    32-bit float
    OUT/{wav.scp,utt2spk,spk2utt}, with microphones utt2mic
    OUT/plans.jsonl          what was done to each utterance, one JSON object a line

    The same seed and epoch give the same bytes on any number of threads.

EXAMPLES
    ffsvc-data augment data/dev data/dev-far --config far.toml --seed 1
    ffsvc-data augment data/train --config exp/a/config.toml --epoch 3 --plan | head")]
pub(crate) struct Augment {
    /// Data directory with wav.scp and utt2spk
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Data directory to write; not needed with --plan
    #[arg(value_name = "OUT", required_unless_present = "plan")]
    out: Option<OutputPath>,

    /// TOML file with an `augment` section
    #[arg(long, value_name = "CONFIG")]
    config: PathBuf,

    /// Change one value of the configuration, e.g. --set augment.reverb.probability=1
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,

    /// Seed of the run
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Epoch of the run, from 0
    #[arg(long, value_name = "N", default_value_t = 0, range = EPOCH)]
    epoch: u32,

    /// Sample rate of what is written, Hz
    #[arg(long, value_name = "HZ", default_value_t = 16000, range = SAMPLE_RATE)]
    sample_rate: u32,

    /// Print each utterance's plan as a line of JSON and write nothing
    #[arg(long, conflicts_with = "out")]
    plan: bool,

    /// Run `command |` entries of wav.scp
    #[arg(long)]
    allow_pipes: bool,
}

/// The one section that matters here; an experiment's other sections are passed over.
#[derive(Deserialize)]
struct Sections {
    augment: AugmentConfig,
}

#[derive(Serialize)]
struct Summary {
    path: PathBuf,
    utterances: usize,
}

impl Augment {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        RunFiles::new()
            .input("DIR", [&self.dir])
            .input("--config", [&self.config])
            .output_folder("OUT", &self.out)
            .check(json)?;
        let config = ffsvc_cli::load_config::<Sections>(&self.config, &self.set)?.augment;
        let data = DataConfig {
            train: self.dir.clone().into(),
            channel: "first".into(),
            compat_lowpass: config.compat,
            allow_pipes: self.allow_pipes,
            max_failed_share: 0.0,
        };
        let copy = AugmentedCopy::open(&data, &config, self.sample_rate, self.seed, self.epoch)?;
        // clap asks for one of OUT and --plan.
        let Some(out) = self.out.filter(|_| !self.plan) else {
            for planned in copy.plans() {
                let (utterance, plan) = planned?;
                println!("{}", plan_line(&utterance, &plan)?);
            }
            return Ok(());
        };
        let utterances = copy.num_utterances();
        let progress = Progress::begin(utterances as u64, "recordings");
        copy.write(&out, || progress.inc(1))?;
        progress.finish();
        if json {
            return ffsvc_cli::print_json(&Summary { path: out.to_path_buf(), utterances });
        }
        println!("{}: {utterances} utterances", out.display());
        Ok(())
    }
}
