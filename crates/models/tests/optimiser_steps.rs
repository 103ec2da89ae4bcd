//! Compares Burn's optimisers on our networks with PyTorch's, in double precision. In single precision, a ReLU whose
//! input is within rounding of 0 may fall to either side after the first step. The precision is a setting of the
//! process, so these tests have their own test binary.
#![recursion_limit = "256"]

#[allow(dead_code)]
#[path = "models/goldens.rs"]
mod goldens;
#[path = "models/gradients.rs"]
mod gradients;

use burn::module::Module;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, FloatDType, Int, IntDType, Tensor};
use ffsvc_models::{Head, HeadConfig, SpeakerModel, named_tensors};

use goldens::{Goldens, Tiny, max_difference, values_of};
use gradients::{doubles, gradients, is_cancelled, with_head};

/// The device, in double. The first test that asks sets it for the process.
fn double_precision() -> Device {
    static CONFIGURED: std::sync::Once = std::sync::Once::new();
    let device = Device::default();
    CONFIGURED.call_once(|| {
        device.clone().configure((FloatDType::F64, IntDType::I64)).expect("nothing has been computed yet");
    });
    device
}

/// PyTorch's SGD of the baseline's distributed script.
fn sgd() -> (ModuleOptimizer, f64) {
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let config = SgdConfig::new()
        .with_momentum(Some(momentum))
        .with_weight_decay(Some(WeightDecayConfig { penalty: 1e-3 }));
    (config.init(), 1e-3)
}

/// PyTorch's Adam of the baseline's script: Burn's default epsilon is 1e-5.
fn adam() -> (ModuleOptimizer, f64) {
    let config =
        AdamConfig::new().with_epsilon(1e-8).with_weight_decay(Some(WeightDecayConfig { penalty: 2e-5 }));
    (config.init(), 1e-4)
}

fn three_steps(
    tiny: Tiny,
    (mut optimizer, learning_rate): (ModuleOptimizer, f64),
    batches: impl Fn(usize, &Device) -> (Tensor<3>, Tensor<1, Int>),
) -> (SpeakerModel, Head) {
    let device = double_precision().autodiff();
    let mut model = tiny.model(&device);
    let mut head = tiny.head(&HeadConfig::default(), &device);
    for step in 0..3 {
        let (features, labels) = batches(step, &device);
        let (_, of_model, of_head) = gradients(&model, &head, features, labels);
        model = optimizer.step(learning_rate, model, of_model);
        head = optimizer.step(learning_rate, head, of_head);
    }
    (model, head)
}

fn resnet_after_three_steps_equals_the_baselines() {
    let golden = Goldens::shared("resnet_tiny_margin");
    for (name, optimizer) in [("sgd", sgd()), ("adam", adam())] {
        let (model, head) = three_steps(Tiny::Resnet, optimizer, |step, device| {
            let features = golden.tensor(&format!("{name}.x{step}"), device);
            (features, golden.labels(&format!("{name}.y{step}"), device))
        });
        let found = with_head(named_tensors(&model), named_tensors(&head));
        assert_eq!(found.len(), 110 + 72 + 1);
        for tensor in &found {
            let expected = golden.values(&format!("{name}.after3.f64.{}", tensor.name));
            let error = max_difference(&doubles(tensor), expected);
            assert!(error < 5e-7, "{name} {}: {error:e}", tensor.name);
        }
    }
}

fn ecapa_after_three_steps_equals_the_baselines() {
    let plain = double_precision();
    let io = Goldens::shared("ecapa_tiny_io");
    for (name, optimizer) in [("sgd", sgd()), ("adam", adam())] {
        let golden = Goldens::shared(&format!("ecapa_tiny_after_{name}_f32"));
        let eval = Goldens::shared(&format!("ecapa_tiny_eval_after_{name}"));
        let (model, head) = three_steps(Tiny::Ecapa, optimizer, |step, device| {
            let features = io.tensor(&format!("xb_{step}"), device);
            (features, io.labels(&format!("yb_{step}"), device))
        });
        let of_model = named_tensors(&model).into_iter().map(|mut tensor| {
            tensor.name.insert_str(0, "model.");
            tensor
        });
        for tensor in with_head(of_model.collect(), named_tensors(&head)) {
            let plain = tensor.name.trim_start_matches("model.");
            // Adam moves a component whose gradient is rounding by the learning rate, either way; the means and
            // weights behind it follow.
            let is_rounding = is_cancelled(plain) || plain == "fc.weight" || plain.contains("running_mean");
            if name == "adam" && is_rounding {
                continue;
            }
            // The goldens are in single precision here: PyTorch's double differs from them by 2.1e-5.
            let error = max_difference(&doubles(&tensor), golden.values(&tensor.name));
            assert!(error < 2.5e-5, "{name} {}: {error:e}", tensor.name);
        }
        let embedding = model.valid().forward(io.tensor("x_b", &plain));
        let error = max_difference(&values_of(embedding), eval.values("eval_b"));
        assert!(error < 5e-4, "{name} evaluation: {error:e}");
    }
}

ffsvc_test_data::shared_tests!(
    resnet_after_three_steps_equals_the_baselines,
    ecapa_after_three_steps_equals_the_baselines
);
