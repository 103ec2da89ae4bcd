//! The networks that are timed, and a training step of theirs: for `benches/models.rs`, and for
//! `benches/peers/models_server.rs` and `benches/gpu/speed.rs` of the workspace.

use burn::module::Module;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Distribution, Int, Tensor};
use ffsvc_models::{
    CamPlusPlusConfig, ERes2NetConfig, ERes2NetV2Config, EcapaTdnnConfig, Ge2eLstmConfig,
    GeminiDfResNetConfig, Head, HeadConfig, ModelConfig, ReDimNet2Config, ReDimNetConfig, RepVggConfig,
    Res2NetConfig, ResNetConfig, SimAmResNetConfig, SpeakerModel,
};

const SPEAKERS: usize = 1000;

/// The networks by their names.
pub(crate) fn networks() -> Vec<(&'static str, ModelConfig)> {
    let embedding_size = 256;
    let redimnet2 = ReDimNet2Config::of_size(2).unwrap_or_default();
    let ecapa = |hidden_dim| ModelConfig::EcapaTdnn(EcapaTdnnConfig { hidden_dim, ..Default::default() });
    vec![
        ("resnet34-c32", ModelConfig::Resnet(ResNetConfig::default())),
        ("ecapa-c512", ecapa(512)),
        ("ecapa-c1024", ecapa(1024)),
        ("cam++", ModelConfig::CamPlusPlus(CamPlusPlusConfig::default())),
        ("res2net", ModelConfig::Res2Net(Res2NetConfig { embedding_size, ..Default::default() })),
        (
            "gemini-df-resnet114",
            ModelConfig::GeminiDfResnet(GeminiDfResNetConfig { depth: 114, ..Default::default() }),
        ),
        ("repvgg", ModelConfig::RepVgg(RepVggConfig { deploy: true, ..Default::default() })),
        ("simam-resnet34", ModelConfig::SimAmResnet(SimAmResNetConfig { depth: 34, ..Default::default() })),
        ("redimnet-b2", ModelConfig::ReDimNet(ReDimNetConfig::default())),
        ("redimnet2-b2", ModelConfig::ReDimNet2(redimnet2)),
        ("eres2net", ModelConfig::ERes2Net(ERes2NetConfig { embedding_size: 512, ..Default::default() })),
        ("eres2net-v2", ModelConfig::ERes2NetV2(ERes2NetV2Config::default())),
        ("ge2e-lstm", ModelConfig::Ge2eLstm(Ge2eLstmConfig::default())),
    ]
}

/// Rows of the network's features.
pub(crate) fn mels(config: &ModelConfig) -> usize {
    match config {
        ModelConfig::ReDimNet(_) | ModelConfig::ReDimNet2(_) => 72,
        ModelConfig::Ge2eLstm(_) => 40,
        _ => 80,
    }
}

/// A network for evaluation.
pub(crate) fn evaluated(config: &ModelConfig, device: &Device) -> Result<SpeakerModel, ffsvc_models::Error> {
    Ok(config.init(mels(config), device)?.valid())
}

/// Random features, `[batch, mels, frames]`.
pub(crate) fn features(config: &ModelConfig, batch: usize, frames: usize, device: &Device) -> Tensor<3> {
    Tensor::random([batch, mels(config), frames], Distribution::Default, device)
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
            model: config.init(mels(config), device)?,
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
