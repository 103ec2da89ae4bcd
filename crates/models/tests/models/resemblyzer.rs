//! The gradients of Resemblyzer's network: its embeddings have a length of 1, so the sum of their squares has none.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use ffsvc_models::{Ge2eLstmConfig, ModelConfig, load_named, named_gradients};

use crate::goldens::{Goldens, relative_error, values_of};

/// Every second number's square, by PyTorch in double precision: tests/peers/resemblyzer_encoder.py.
#[test]
fn gradients_of_the_features_and_of_all_weights_are_pytorchs() {
    let golden = Goldens::committed("peer_resemblyzer");
    let device = Device::flex().autodiff();
    let config = Ge2eLstmConfig { hidden: 12, embedding_size: 10, ..Default::default() };
    let model = ModelConfig::Ge2eLstm(config).init(40, &device).unwrap();
    // PyTorch's `lstm.weight_ih_l0` is `lstm.0.weight_ih`.
    let ours = |name: &str| match name.strip_prefix("lstm.").and_then(|name| name.rsplit_once("_l")) {
        Some((tensor, layer)) => format!("lstm.{layer}.{tensor}"),
        None => name.to_owned(),
    };
    let mut tensors = golden.named("model.");
    tensors.retain(|tensor| !tensor.name.starts_with("similarity_"));
    tensors.iter_mut().for_each(|tensor| tensor.name = ours(&tensor.name));
    let model = load_named(model, tensors).unwrap();
    let features = golden.tensor::<3>("x_0", &device).require_grad();
    let squares = model.forward(features.clone()).square();
    let halves = Tensor::cat((0..5).map(|n| squares.clone().narrow(1, 2 * n, 1)).collect(), 1);
    let gradients = halves.sum().backward();
    let of_features = values_of(features.grad(&gradients).unwrap());
    let error = relative_error(&of_features, golden.values("half_grad_0"));
    assert!(error < 1e-5, "features: {error:e}");
    let found = named_gradients(&model, &GradientsParams::from_grads(gradients, &model));
    let expected = golden.named("half_grad.");
    assert_eq!(found.len(), expected.len());
    for tensor in expected {
        let found = found.iter().find(|found| found.name == ours(&tensor.name)).unwrap();
        let wide = |values: &[f32]| Vec::from_iter(values.iter().map(|&value| f64::from(value)));
        let error = relative_error(&wide(&found.data), &wide(&tensor.data));
        println!("{}: {error:e}", tensor.name);
        assert!(error < 1e-5, "{}: {error:e}", tensor.name);
    }
    // Outside training the same network gives the same.
    let evaluated = model.valid().forward(golden.tensor("x_0", &Device::flex()));
    assert!(relative_error(&values_of(evaluated), golden.values("y_0")) < 1e-6);
}
