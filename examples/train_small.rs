//! A training run: `train_small CONFIG.toml FOLDER`.

use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use ffsvc_trainer::{Event, ExperimentConfig, InitFrom, Run};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, folder] = &arguments[..] else { anyhow::bail!("usage: train_small CONFIG.toml FOLDER") };
    let config: ExperimentConfig = toml::from_str(&std::fs::read_to_string(config)?)?;
    let run = Run::prepare(&config, folder, &InitFrom::Random, &[Device::flex()])?;
    let stop = AtomicBool::new(false);
    let outcome = run.train(&stop, &mut |event: &Event| {
        if let Event::Step { step, loss, .. } = event {
            println!("step {step}: loss {loss:.3}");
        }
    })?;
    println!("{:?}", outcome.final_model);
    Ok(())
}
