//! Times networks on a device: training steps and extraction, on random features that are on the device already. Prints a line
//! for each, with tabs: network, work, batch, utterances a second. Nothing is read from the device within a measurement.
#![recursion_limit = "256"]

#[path = "../../crates/models/benches/networks/mod.rs"]
mod networks;

use std::time::Instant;

use burn::tensor::{Device, Tensor};
use clap::Parser;
use ffsvc_models::{DeviceChoice, ModelConfig};

use networks::{Training, evaluated, features, speakers};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Frames of a training crop (2 s) and of an utterance to extract from (4 s).
const CROP: usize = 200;
const UTTERANCE: usize = 400;

/// Time networks on a device
#[derive(Debug, Parser)]
struct Args {
    /// Where to compute
    #[arg(long, default_value = "cuda:0")]
    device: DeviceChoice,

    /// Networks: resnet34-c32, ecapa-c512, ecapa-c1024, cam++
    #[arg(long, value_delimiter = ',', default_value = "resnet34-c32,ecapa-c1024,cam++")]
    networks: Vec<String>,

    /// Utterances of a training batch
    #[arg(long, default_value_t = 128)]
    batch: usize,

    /// Utterances of an extraction batch, besides 1
    #[arg(long, default_value_t = 16)]
    extraction_batch: usize,

    /// Time of a measurement, s
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

/// Repetitions of `work` a second. The first two compile and choose kernels; `wait` ends when the device is idle.
fn rate<T>(seconds: f64, mut work: impl FnMut() -> T, mut wait: impl FnMut(T)) -> f64 {
    for _ in 0..2 {
        let last = work();
        wait(last);
    }
    let begun = Instant::now();
    let last = work();
    wait(last);
    let count = (seconds / begun.elapsed().as_secs_f64()).ceil().clamp(1.0, 1e4) as usize;
    let begun = Instant::now();
    for _ in 1..count {
        drop(work());
    }
    let last = work();
    wait(last);
    count as f64 / begun.elapsed().as_secs_f64()
}

fn steps(config: &ModelConfig, args: &Args, device: &Device) -> anyhow::Result<f64> {
    let device = device.clone().autodiff();
    let mut training = Some(Training::new(config, &device)?);
    let (features, speakers) = (features(config, args.batch, CROP, &device), speakers(args.batch, &device));
    let step = || {
        let (after, loss) = training.take()?.step(features.clone(), speakers.clone());
        training = Some(after);
        Some(loss)
    };
    Ok(args.batch as f64 * rate(args.seconds, step, |loss| drop(loss.map(Tensor::into_data))))
}

fn extraction(config: &ModelConfig, batch: usize, seconds: f64, device: &Device) -> anyhow::Result<f64> {
    let model = evaluated(config, &device.clone().autodiff())?;
    let features = features(config, batch, UTTERANCE, device);
    let wait = |embeddings: Tensor<2>| drop(embeddings.into_data());
    Ok(batch as f64 * rate(seconds, || model.forward(features.clone()), wait))
}

fn main() -> anyhow::Result<()> {
    ffsvc_cli::keep_freed_memory();
    let args = Args::parse();
    let device = args.device.open_one()?;
    let all = networks::networks();
    for name in &args.networks {
        let found = all.iter().find(|(known, _)| known == name);
        let (name, config) = found.ok_or_else(|| anyhow::anyhow!("no network {name}"))?;
        println!("{name}\tstep\t{}\t{:.1}", args.batch, steps(config, &args, &device)?);
        for batch in [1, args.extraction_batch] {
            println!("{name}\textract\t{batch}\t{:.1}", extraction(config, batch, args.seconds, &device)?);
        }
    }
    Ok(())
}
