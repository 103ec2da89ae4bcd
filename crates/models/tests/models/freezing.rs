//! Layers that do not train.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};
use ffsvc_models::{
    ModelConfig, SpeakerModel, freeze_layers, is_in_layer, keep_running_statistics, named_gradients,
    named_tensors,
};

/// A pass of `model` over a batch: names of the parameters with a gradient, names of the tensors that changed.
fn trained(model: &SpeakerModel, device: &Device) -> (Vec<String>, Vec<String>) {
    let before = named_tensors(model);
    let features = Tensor::random([3, 8, 20], Distribution::Normal(0.0, 1.0), device);
    let gradients = GradientsParams::from_grads(model.forward(features).square().sum().backward(), model);
    let with_gradient = named_gradients(model, &gradients).into_iter().map(|tensor| tensor.name).collect();
    let changed = before.iter().zip(named_tensors(model)).filter(|(before, after)| before.data != after.data);
    (with_gradient, changed.map(|(before, _)| before.name.clone()).collect())
}

#[test]
fn a_frozen_layer_has_no_gradient_and_keeps_its_statistics() {
    let device = Device::flex().autodiff();
    device.seed(2);
    let config: ModelConfig =
        toml::from_str("architecture = 'resnet'\nin_planes = 2\ndepth = 18\nembedding_size = 4").unwrap();
    let model = config.init(8, &device).unwrap();
    let (all, statistics) = trained(&model, &device);
    let frozen = ["front.layer2", "front.bn1"];
    let is_frozen = |name: &String| frozen.iter().any(|layer| is_in_layer(name, layer));
    assert!(all.iter().any(is_frozen) && statistics.iter().any(is_frozen));

    let model = freeze_layers(model, "", &frozen);
    let others =
        |names: &[String]| -> Vec<String> { names.iter().filter(|name| !is_frozen(name)).cloned().collect() };
    // Layers in front of a frozen one train through it.
    assert_eq!(trained(&model, &device), (others(&all), others(&statistics)));
    let model = freeze_layers(model, "", &[]);
    assert_eq!(trained(&model, &device), (all.clone(), statistics));
    let model = freeze_layers(model, "classifier.", &["classifier.front"]);
    assert!(trained(&model, &device).0.iter().all(|name| !name.starts_with("front.")));
}

#[test]
fn a_layer_is_not_another_that_begins_with_its_name() {
    assert!(is_in_layer("front.layer1.0.conv1.weight", "front.layer1"));
    assert!(is_in_layer("front.layer1", "front.layer1"));
    assert!(!is_in_layer("front.layer10.weight", "front.layer1"));
    assert!(!is_in_layer("front", "front.layer1"));
}

/// Every architecture: no statistic moves, every parameter learns, and a training pass gives the embeddings of an
/// evaluation.
#[test]
fn running_statistics_are_kept_while_everything_else_learns() {
    let device = Device::flex().autodiff();
    let architectures = [
        "architecture = 'resnet'\nin_planes = 2\ndepth = 18\nembedding_size = 4\ndropout = 0.0",
        "architecture = 'ecapa-tdnn'\nhidden_dim = 16\nembedding_size = 4",
        "architecture = 'cam-plus-plus'\nembedding_size = 4\ngrowth_rate = 2\ninit_channels = 4",
        "architecture = 'tdnn'\nhidden_dim = 8\nembedding_size = 4",
        "architecture = 'wespeaker-ecapa-tdnn'\nchannels = 16\naggregated = 48\nembedding_size = 4",
        "architecture = 'speechbrain-ecapa-tdnn'\nchannels = 16\naggregated = 48\nembedding_size = 4",
    ];
    for text in architectures {
        device.seed(2);
        let config: ModelConfig = toml::from_str(text).unwrap();
        let model = config.init(8, &device).unwrap();
        let (all, _) = trained(&model, &device);
        let model = keep_running_statistics(model);
        assert_eq!(trained(&model, &device), (all, Vec::new()), "{text}");
        let features = Tensor::<3>::random([3, 8, 40], Distribution::Normal(0.0, 1.0), &device);
        let evaluated = model.valid().forward(features.clone().inner());
        let difference = (model.forward(features).inner() - evaluated).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-4, "{text}: {difference}");
    }
}
