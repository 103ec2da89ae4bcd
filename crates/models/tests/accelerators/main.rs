//! Tests the path of accelerators (Burn's CubeCL kernels instead of our own for CPUs) on a Vulkan device. Where there
//! is no other, it is Mesa's software device. Forward, backward and three optimiser steps are compared with the
//! baseline's values.
#![recursion_limit = "256"]

#[allow(dead_code)]
#[path = "models/goldens.rs"]
mod goldens;
#[allow(dead_code)]
#[path = "models/gradients.rs"]
mod gradients;

use burn::module::Module;
use burn::optim::SgdConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::tensor::Device;
use ffsvc_models::{DeviceChoice, HeadConfig, named_tensors};

use goldens::{Goldens, Tiny, max_difference, relative_error, values_of};
use gradients::{doubles, gradients, with_head};

fn device() -> Device {
    DeviceChoice::Wgpu(vec![0]).open_one().unwrap()
}

fn evaluation_equals_the_baselines() {
    let device = device();
    for tiny in [Tiny::Resnet, Tiny::Ecapa] {
        let io = Goldens::shared(&format!("{}_io", tiny.name()));
        let embedding = tiny.model(&device).forward(io.tensor("x_c", &device));
        let error = max_difference(&values_of(embedding), io.values("eval_c_f64"));
        println!("{tiny:?}: {error:e}");
        assert!(error < 1e-5, "{tiny:?}: {error:e}");
    }
}

fn gradients_and_three_steps_equal_the_baselines() {
    let golden = Goldens::shared("resnet_tiny_margin");
    let device = device().autodiff();
    let (mut model, mut head) =
        (Tiny::Resnet.model(&device), Tiny::Resnet.head(&HeadConfig::default(), &device));

    let (features, labels) = (golden.tensor("grad.x", &device), golden.labels("grad.y", &device));
    let (_, of_model, of_head) = gradients(&model, &head, features, labels);
    let named = with_head(
        ffsvc_models::named_gradients(&model, &of_model),
        ffsvc_models::named_gradients(&head, &of_head),
    );
    assert_eq!(named.len(), 110 + 1);
    let expected: Vec<f64> =
        named.iter().flat_map(|t| golden.values(&format!("grad.f64.{}", t.name)).to_vec()).collect();
    let found: Vec<f64> = named.iter().flat_map(doubles).collect();
    let error = relative_error(&found, &expected);
    println!("gradients: {error:e}");
    assert!(error < 1e-4, "gradients: {error:e}");

    // The running statistics have seen a batch: start anew.
    (model, head) = (Tiny::Resnet.model(&device), Tiny::Resnet.head(&HeadConfig::default(), &device));
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let decay = WeightDecayConfig { penalty: 1e-3 };
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).with_weight_decay(Some(decay)).init();
    for step in 0..3 {
        let features = golden.tensor(&format!("sgd.x{step}"), &device);
        let labels = golden.labels(&format!("sgd.y{step}"), &device);
        let (_, of_model, of_head) = gradients(&model, &head, features, labels);
        model = optimizer.step(1e-3, model, of_model);
        head = optimizer.step(1e-3, head, of_head);
    }
    for tensor in with_head(named_tensors(&model.valid()), named_tensors(&head)) {
        let error =
            max_difference(&doubles(&tensor), golden.values(&format!("sgd.after3.f64.{}", tensor.name)));
        // PyTorch's single precision is within 6e-5 of its double here.
        assert!(error < 2e-4, "{}: {error:e}", tensor.name);
    }
}

ffsvc_test_data::shared_tests!(
    evaluation_equals_the_baselines,
    gradients_and_three_steps_equal_the_baselines
);
