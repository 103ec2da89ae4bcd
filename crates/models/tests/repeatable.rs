//! The device's generator belongs to the process: these checks have one of their own.
#![recursion_limit = "256"]

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use ffsvc_models::{HeadConfig, ModelConfig, PoolingConfig, ResNetConfig, load_named, named_tensors};

#[test]
fn a_seed_gives_the_same_weights_and_the_same_dropout() {
    let device = Device::default().autodiff();
    let (in_planes, embedding_size, pooling) = (2, 64, PoolingConfig::Attentive);
    let config =
        ModelConfig::Resnet(ResNetConfig { in_planes, depth: 18, embedding_size, pooling, dropout: 0.5 });
    let draw = |seed: u64| {
        device.seed(seed);
        let model = config.init(16, &device).unwrap();
        let head = HeadConfig::default().init(64, 7, &device);
        let mut tensors = named_tensors(&model);
        tensors.extend(named_tensors(&head));
        // Only after all weights have been drawn: the order of use must not matter.
        let embedding = model.forward(Tensor::ones([2, 16, 9], &device)).into_data();
        (model, tensors, embedding.iter::<f32>().collect::<Vec<_>>())
    };
    let (model, first, embedding) = draw(11);
    let (_, second, embedding_again) = draw(11);
    let (_, third, _) = draw(12);
    assert_eq!(first, second);
    assert_ne!(first, third);
    assert_eq!(embedding, embedding_again);
    let dropped = embedding.iter().filter(|v| **v == 0.0).count();
    assert!((32..96).contains(&dropped), "{dropped} of 128");

    // Evaluation has no dropout.
    let evaluated = model.valid().forward(Tensor::ones([2, 16, 9], &Device::default())).into_data();
    assert!(evaluated.iter::<f32>().all(|v| v != 0.0));

    // Loading draws nothing.
    let tensors = named_tensors(&model);
    device.seed(5);
    let expected = HeadConfig::default().init(8, 3, &device);
    device.seed(5);
    let _loaded = load_named(model, tensors).unwrap();
    let head = HeadConfig::default().init(8, 3, &device);
    assert_eq!(named_tensors(&head), named_tensors(&expected));
}
