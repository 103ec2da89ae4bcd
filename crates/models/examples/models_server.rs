//! Runs networks for `benches/peers/models.py`: reads lines `MODEL forward|step BATCH FRAMES COUNT` and answers each with a
//! number when it has done the work COUNT times.
#![recursion_limit = "256"]

use std::collections::HashMap;
use std::io::BufRead;

use burn::module::Module;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Distribution, Int, Tensor};
use ffsvc_models::{
    CamPlusPlusConfig, EcapaTdnnConfig, Head, HeadConfig, ModelConfig, ResNetConfig, SpeakerModel,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MELS: usize = 80;
const SPEAKERS: usize = 1000;

fn config(name: &str) -> Result<ModelConfig, String> {
    let ecapa = |hidden_dim| ModelConfig::EcapaTdnn(EcapaTdnnConfig { hidden_dim, ..Default::default() });
    Ok(match name {
        "resnet34-c32" => ModelConfig::Resnet(ResNetConfig::default()),
        "ecapa-c512" => ecapa(512),
        "ecapa-c1024" => ecapa(1024),
        "cam++" => ModelConfig::CamPlusPlus(CamPlusPlusConfig::default()),
        _ => return Err(format!("no model {name}")),
    })
}

/// A network that trains.
struct Training {
    model: SpeakerModel,
    head: Head,
    optimizer: ModuleOptimizer,
}

impl Training {
    fn new(config: &ModelConfig, device: &Device) -> Result<Self, ffsvc_models::Error> {
        let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
        Ok(Self {
            model: config.init(MELS, device)?,
            head: HeadConfig::default().init(config.embedding_size(), SPEAKERS, device),
            optimizer: SgdConfig::new().with_momentum(Some(momentum)).init(),
        })
    }

    fn step(mut self, features: Tensor<3>, speakers: Tensor<1, Int>) -> (Self, f32) {
        let loss = self.head.forward(self.model.forward(features), speakers).loss;
        let mut gradients = loss.backward();
        let of_model = GradientsParams::from_module(&mut gradients, &self.model);
        let of_head = GradientsParams::from_module(&mut gradients, &self.head);
        self.model = self.optimizer.step(1e-3, self.model, of_model);
        self.head = self.optimizer.step(1e-3, self.head, of_head);
        (self, loss.into_scalar())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plain = Device::flex();
    let device = plain.clone().autodiff();
    let mut evaluated = HashMap::new();
    let mut trained: Option<(String, Training)> = None;
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let [name, what, batch, frames, count] = *line.split_ascii_whitespace().collect::<Vec<_>>() else {
            return Err(format!("not a request: {line}").into());
        };
        let (batch, frames, count): (usize, usize, usize) = (batch.parse()?, frames.parse()?, count.parse()?);
        let features = |device| Tensor::<3>::random([batch, MELS, frames], Distribution::Default, device);
        let mut answer = 0.0;
        if what == "step" {
            let mut training = match trained.take() {
                Some((kept, training)) if kept == name => training,
                _ => Training::new(&config(name)?, &device)?,
            };
            let features = features(&device);
            let speakers: Vec<i32> = (0..batch).map(|n| (n * 7 % SPEAKERS) as i32).collect();
            let speakers = Tensor::<1, Int>::from_ints(speakers.as_slice(), &device);
            for _ in 0..count {
                (training, answer) = training.step(features.clone(), speakers.clone());
            }
            trained = Some((name.to_owned(), training));
        } else {
            if !evaluated.contains_key(name) {
                evaluated.insert(name.to_owned(), config(name)?.init(MELS, &device)?.valid());
            }
            let features = features(&plain);
            for _ in 0..count {
                answer = evaluated[name].forward(features.clone()).sum().into_scalar();
            }
        }
        println!("{answer}");
    }
    Ok(())
}
