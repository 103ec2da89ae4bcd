//! Runs networks for `benches/peers/models.py`: reads lines `MODEL forward|step BATCH FRAMES COUNT` and answers each with a
//! number when it has done the work COUNT times. `MODEL size 1 FRAMES 1` answers with the number of weights and of products.
#![recursion_limit = "256"]

#[path = "../../crates/models/benches/networks/mod.rs"]
mod networks;

use std::collections::HashMap;
use std::io::BufRead;

use burn::module::Module;
use burn::tensor::Device;
use ffsvc_models::ModelConfig;

use networks::{Training, evaluated, features, mels, networks, speakers};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn config(name: &str) -> Result<ModelConfig, String> {
    let found = networks().into_iter().find(|(known, _)| *known == name);
    found.map(|(_, config)| config).ok_or_else(|| format!("no model {name}"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    ffsvc_cli::keep_freed_memory();
    let plain = Device::flex();
    let device = plain.clone().autodiff();
    let mut models = HashMap::new();
    let mut trained: Option<(String, Training)> = None;
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let [name, what, batch, frames, count] = *line.split_ascii_whitespace().collect::<Vec<_>>() else {
            return Err(format!("not a request: {line}").into());
        };
        let (batch, frames, count): (usize, usize, usize) = (batch.parse()?, frames.parse()?, count.parse()?);
        let mut answer = 0.0;
        if what == "size" {
            let (network, mels) = (evaluated(&config(name)?, &plain)?, mels(&config(name)?));
            println!("{} {}", network.num_params(), network.multiply_accumulates(mels, frames, &plain));
            continue;
        }
        if what == "step" {
            let mut training = match trained.take() {
                Some((kept, training)) if kept == name => training,
                _ => Training::new(&config(name)?, &device)?,
            };
            let features = features(&config(name)?, batch, frames, &device);
            let speakers = speakers(batch, &device);
            for _ in 0..count {
                let loss;
                (training, loss) = training.step(features.clone(), speakers.clone());
                answer = loss.into_scalar();
            }
            trained = Some((name.to_owned(), training));
        } else {
            if !models.contains_key(name) {
                models.insert(name.to_owned(), evaluated(&config(name)?, &device)?);
            }
            let features = features(&config(name)?, batch, frames, &plain);
            for _ in 0..count {
                answer = models[name].forward(features.clone()).sum().into_scalar();
            }
        }
        println!("{answer}");
    }
    Ok(())
}
