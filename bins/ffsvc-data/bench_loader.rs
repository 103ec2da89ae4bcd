//! `ffsvc-data bench-loader`: how fast training batches are made.

use std::time::Duration;

use clap::Args;
use ffsvc_augment::AugmentConfig;
use ffsvc_cli::{ConfigArgs, Range, RangeArg as _, print_json};
use ffsvc_dataset::{
    BatchMaker, CropConfig, DataConfig, Labels, LoaderSpeed, Sampler, SamplerConfig, measure_loader,
};
use ffsvc_features::FrontEndConfig;
use serde::{Deserialize, Serialize};

/// Range of `--threads`.
const THREADS: Range<u16> = Range::of(1, 1024);
/// Range of `--measure-seconds`.
const SECONDS: Range<f64> = Range::of(0.1, 3600.0);

/// Measure how many utterances a second the data path of an experiment makes, and which stage is the bottleneck
///
/// Makes batches as ffsvc-train would, with the same crops and augmentation, on 1, 2, ... threads, and drops them.
/// A stage's column is the number of utterances a second that the threads would make if there were nothing but that
/// stage; the lowest is the bottleneck.
#[derive(Debug, Args)]
#[command(after_long_help = "\
STAGES
    read        open the recording, read its header and the bytes of the crop;
                with sampler.shuffle_buffer, wait for the thread that reads archives
    decode      bytes to samples
    resample    change of sample rate
    augment     draw the plan, read its sounds, apply it; masks
    features    normalisation, filter bank, logarithm, mean

EXAMPLES
    ffsvc-data bench-loader configs/resnet34.toml --set data.train=data/train
    ffsvc-data bench-loader exp/a/config.toml --threads 1,2,4 --measure-seconds 10 --json")]
pub(crate) struct BenchLoader {
    #[command(flatten)]
    config: ConfigArgs,

    /// Numbers of threads to measure; default: 1, 2, 4, ... up to the processors
    #[arg(long, value_name = "N,N", value_delimiter = ',', range = THREADS)]
    threads: Vec<u16>,

    /// Time for each number of threads, s; a quarter of it is spent before, to fill the caches
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, range = SECONDS)]
    measure_seconds: f64,
}

/// What of an experiment's configuration decides its batches. The network's sections are not looked at.
#[derive(Deserialize)]
struct DataPath {
    data: DataConfig,
    #[serde(default)]
    features: FrontEndConfig,
    #[serde(default)]
    augment: AugmentConfig,
    #[serde(default)]
    sampler: SamplerConfig,
    #[serde(default)]
    train: Batches,
}

/// The keys of `[train]` that decide batches, with the defaults of `ffsvc-train`.
#[derive(Deserialize)]
#[serde(default)]
struct Batches {
    batch_size: usize,
    max_frames: usize,
    seed: u64,
}

impl Default for Batches {
    fn default() -> Self {
        Self { batch_size: 128, max_frames: 200, seed: 0 }
    }
}

impl DataPath {
    fn crops(&self) -> CropConfig<'_> {
        let seed = self.train.seed;
        let crops = CropConfig::new(&self.data, &self.features, &self.augment, self.train.max_frames, seed);
        CropConfig { labels: Labels::Optional, ..crops }
    }
}

#[derive(Serialize)]
struct Report {
    utterances: usize,
    batch_size: usize,
    runs: Vec<LoaderSpeed>,
}

impl BenchLoader {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let config: DataPath = self.config.load()?;
        config.data.check()?;
        config.augment.check()?;
        let duration = Duration::from_secs_f64(self.measure_seconds);
        let maker = BatchMaker::open(&config.crops())?;
        let threads = if self.threads.is_empty() { up_to_processors() } else { self.threads };
        let batch_size = config.train.batch_size;
        let sampler = Sampler::new(&config.sampler, maker.set(), batch_size, 1, config.train.seed)?;
        let mut runs: Vec<LoaderSpeed> = Vec::new();
        for count in threads {
            let run = measure_loader(&maker, &sampler, usize::from(count), duration)?;
            if !json {
                if runs.is_empty() {
                    print_head(&run);
                }
                print_run(&run);
            }
            runs.push(run);
        }
        if json {
            return print_json(&Report { utterances: maker.set().utterances.len(), batch_size, runs });
        }
        Ok(())
    }
}

/// 1, 2, 4, ... and the number of processors.
fn up_to_processors() -> Vec<u16> {
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get().min(1024) as u16);
    let mut counts: Vec<u16> = (0..11).map(|power| 1 << power).take_while(|n| *n < processors).collect();
    counts.push(processors);
    counts
}

fn print_head(run: &LoaderSpeed) {
    print!("threads  utterances/s");
    run.stages.iter().for_each(|stage| print!("  {:>10}", stage.stage));
    println!("  bottleneck");
}

fn print_run(run: &LoaderSpeed) {
    print!("{:>7}  {:>12.0}", run.threads, run.utterances_per_s);
    for stage in &run.stages {
        match stage.utterances_per_s {
            Some(rate) => print!("  {rate:>10.0}"),
            None => print!("  {:>10}", "-"),
        }
    }
    println!("  {}", run.bottleneck);
}
