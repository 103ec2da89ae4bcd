//! The networks that are timed, and a training step of theirs: for `benches/models.rs`, and for
//! `benches/peers/models_server.rs` and `benches/gpu/speed.rs` of the workspace.

use burn::module::Module;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Distribution, Int, Tensor};
use ffsvc_models::{
    CamPlusPlusConfig, EcapaTdnnConfig, Head, HeadConfig, ModelConfig, ResNetConfig, SpeakerModel,
};

const MELS: usize = 80;
const SPEAKERS: usize = 1000;

/// The networks by their names.
pub(crate) fn networks() -> [(&'static str, ModelConfig); 4] {
    let ecapa = |hidden_dim| ModelConfig::EcapaTdnn(EcapaTdnnConfig { hidden_dim, ..Default::default() });
    [
        ("resnet34-c32", ModelConfig::Resnet(ResNetConfig::default())),
        ("ecapa-c512", ecapa(512)),
        ("ecapa-c1024", ecapa(1024)),
        ("cam++", ModelConfig::CamPlusPlus(CamPlusPlusConfig::default())),
    ]
}

/// A network for evaluation.
pub(crate) fn evaluated(config: &ModelConfig, device: &Device) -> Result<SpeakerModel, ffsvc_models::Error> {
    Ok(config.init(MELS, device)?.valid())
}

/// Random features, `[batch, mels, frames]`.
pub(crate) fn features(batch: usize, frames: usize, device: &Device) -> Tensor<3> {
    Tensor::random([batch, MELS, frames], Distribution::Default, device)
}

/// Speakers of a batch.
pub(crate) fn speakers(batch: usize, device: &Device) -> Tensor<1, Int> {
    let speakers: Vec<i32> = (0..batch).map(|n| (n * 7 % SPEAKERS) as i32).collect();
    Tensor::from_ints(speakers.as_slice(), device)
}

/// A network that trains, with an AAM head.
pub(crate) struct Training {
    model: SpeakerModel,
    head: Head,
    optimizer: ModuleOptimizer,
}

impl Training {
    pub(crate) fn new(config: &ModelConfig, device: &Device) -> Result<Self, ffsvc_models::Error> {
        let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
        Ok(Self {
            model: config.init(MELS, device)?,
            head: HeadConfig::default().init(config.embedding_size(), SPEAKERS, device),
            optimizer: SgdConfig::new().with_momentum(Some(momentum)).init(),
        })
    }

    /// One step, and its loss `[1]`. Nothing waits for the device before the loss is read.
    pub(crate) fn step(mut self, features: Tensor<3>, speakers: Tensor<1, Int>) -> (Self, Tensor<1>) {
        let loss = self.head.forward(self.model.forward(features), speakers).loss;
        let mut gradients = loss.backward();
        let of_model = GradientsParams::from_module(&mut gradients, &self.model);
        let of_head = GradientsParams::from_module(&mut gradients, &self.head);
        self.model = self.optimizer.step(1e-3, self.model, of_model);
        self.head = self.optimizer.step(1e-3, self.head, of_head);
        (self, loss)
    }
}
