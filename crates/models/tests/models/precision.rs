//! Convolutions in 16 bits against 32.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use ffsvc_models::{
    CamPlusPlusConfig, EcapaTdnnConfig, ModelConfig, Precision, ResNetConfig, named_gradients,
};

use crate::goldens::{relative_error, values_of};

const MELS: usize = 24;
const FRAMES: usize = 40;
const BATCH: usize = 4;

/// As good as random, from -2 to 2.
fn noise(device: &Device) -> Tensor<3> {
    let value = |n: usize| (((n + 1) as f32 * 12.9898).sin() * 43_758.547).rem_euclid(4.0) - 2.0;
    let values = (0..BATCH * MELS * FRAMES).map(value).collect::<Vec<f32>>();
    Tensor::from_data(TensorData::new(values, [BATCH, MELS, FRAMES]), device)
}

/// Eight bits of a number are kept, so each of some thirty layers adds a part in 500. The gradients of a new network are
/// another matter: they differ by half their length in PyTorch too, so that here it is asked only that they are finite.
#[test]
fn sixteen_bits_are_near_thirty_two() {
    let resnet = ResNetConfig { in_planes: 8, embedding_size: 32, dropout: 0.0, ..Default::default() };
    let ecapa = EcapaTdnnConfig { hidden_dim: 64, bottleneck: 16, embedding_size: 32, ..Default::default() };
    let cam = CamPlusPlusConfig { embedding_size: 32, growth_rate: 8, bn_size: 4, init_channels: 32 };
    let networks =
        [ModelConfig::Resnet(resnet), ModelConfig::EcapaTdnn(ecapa), ModelConfig::CamPlusPlus(cam)];
    for config in networks {
        let device = Device::flex().autodiff();
        let model = config.init(MELS, &device).unwrap();

        let evaluated = model.valid();
        let features = noise(&device.clone().without_autodiff());
        let exact = values_of(evaluated.forward(features.clone()));
        let found = Precision::Bf16.scope(|| evaluated.forward(features));
        assert_eq!(found.dtype(), DType::F32);
        let error = relative_error(&values_of(found), &exact);
        println!("{config:?}: {error:e}");
        assert!((1e-5..3e-2).contains(&error), "{config:?}: {error:e}");

        let embeddings = Precision::Bf16.scope(|| model.forward(noise(&device)));
        let gradients = GradientsParams::from_grads(embeddings.square().sum().backward(), &model);
        for gradient in named_gradients(&model, &gradients) {
            let sum: f32 = gradient.data.iter().map(|value| value.abs()).sum();
            assert!(sum.is_finite(), "{config:?}, {}: {sum}", gradient.name);
        }
    }
}
