//! Against the values of the baseline in PyTorch, and of 3D-Speaker's CAM++.

use burn::module::Module;
use burn::optim::SgdConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use ffsvc_models::toolkits::{ImportOptions, Toolkit, import_model};
use ffsvc_models::{HeadConfig, NamedTensor, named_gradients, named_tensors};

use crate::goldens::{Goldens, Tiny, max_difference, relative_error, values_of};
use crate::gradients::{doubles, gradients, is_cancelled, with_head};
use crate::{check, device};

fn evaluation_equals_the_baselines() {
    let device = device();
    for tiny in [Tiny::Resnet, Tiny::Ecapa] {
        let io = Goldens::shared(&format!("{}_io", tiny.name()));
        let embedding = tiny.model(&device).forward(io.tensor("x_c", &device));
        let error = max_difference(&values_of(embedding), io.values("eval_c_f64"));
        check(&format!("baseline {tiny:?} embedding"), error, 1e-5);
    }
}

fn training_passes_and_losses_equal_the_baselines() {
    let device = device().autodiff();
    for tiny in [Tiny::Resnet, Tiny::Ecapa] {
        let golden = Goldens::shared(&format!("{}_io", tiny.name()));
        let embeddings = tiny.model(&device).forward(golden.tensor("xb_0", &device));
        let error = max_difference(&values_of(embeddings.clone()), golden.values("train_emb_f64"));
        check(&format!("baseline {tiny:?} embeddings in training"), error, 1e-4);
        let head = tiny.head(&HeadConfig::default(), &device);
        let output = head.forward(embeddings, golden.labels("yb_0", &device));
        let error = max_difference(&values_of(output.logits), golden.values("aam_logits_f64"));
        check(&format!("baseline {tiny:?} logits"), error, 5e-4);
        let error = max_difference(&values_of(output.loss), golden.values("aam_loss_f64"));
        check(&format!("baseline {tiny:?} loss"), error, 1e-4);
    }
}

/// The largest relative error of a gradient, with its name.
fn worst(found: &[NamedTensor], golden: &Goldens, prefix: &str) -> (String, f64) {
    let errors = found.iter().map(|gradient| {
        let expected = golden.values(&format!("{prefix}{}", gradient.name));
        (gradient.name.clone(), relative_error(&doubles(gradient), expected))
    });
    errors.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
}

fn every_gradient_equals_the_baselines() {
    let device = device().autodiff();
    let golden = Goldens::shared("resnet_tiny_margin");
    let (model, head) = (Tiny::Resnet.model(&device), Tiny::Resnet.head(&HeadConfig::default(), &device));
    let (_, of_model, of_head) =
        gradients(&model, &head, golden.tensor("grad.x", &device), golden.labels("grad.y", &device));
    let found = with_head(named_gradients(&model, &of_model), named_gradients(&head, &of_head));
    assert_eq!(found.len(), 110 + 1);
    let (name, error) = worst(&found, &golden, "grad.f64.");
    check(&format!("baseline Resnet gradients, worst {name}"), error, 1e-4);

    let (io, golden) = (Goldens::shared("ecapa_tiny_io"), Goldens::shared("ecapa_tiny_grads"));
    let (model, head) = (Tiny::Ecapa.model(&device), Tiny::Ecapa.head(&HeadConfig::default(), &device));
    let (_, of_model, of_head) =
        gradients(&model, &head, io.tensor("xb_0", &device), io.labels("yb_0", &device));
    let mut found = with_head(named_gradients(&model, &of_model), named_gradients(&head, &of_head));
    found.retain(|gradient| !is_cancelled(&gradient.name));
    let (name, error) = worst(&found, &golden, "aam_f64.");
    check(&format!("baseline Ecapa gradients, worst {name}"), error, 1e-4);
}

fn three_steps_equal_the_baselines() {
    let golden = Goldens::shared("resnet_tiny_margin");
    let device = device().autodiff();
    let mut model = Tiny::Resnet.model(&device);
    let mut head = Tiny::Resnet.head(&HeadConfig::default(), &device);
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
    let errors = with_head(named_tensors(&model.valid()), named_tensors(&head)).into_iter().map(|tensor| {
        max_difference(&doubles(&tensor), golden.values(&format!("sgd.after3.f64.{}", tensor.name)))
    });
    // PyTorch's single precision is within 6e-5 of its double here.
    check("baseline Resnet weights after three steps", errors.fold(0.0, f64::max), 2e-4);
}

#[test]
fn cam_plus_plus_equals_3d_speakers() {
    let device = device();
    let golden = Goldens::committed("peer_cam_plus_plus");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    std::fs::write(&file, golden.safetensors("model.")).unwrap();
    let front_end = format!("kind = {{ type = \"fbank\", num_mels = {} }}", golden.shape("x_0")[1]);
    let mut options = ImportOptions::default();
    options.toolkit = Some(Toolkit::ThreeDSpeaker);
    options.front_end = Some(toml::from_str(&front_end).unwrap());
    let model = import_model(&file, &options, &device).unwrap().model;
    for case in 0..3 {
        let embedding = model.forward(golden.tensor(&format!("x_{case}"), &device));
        let error = max_difference(&values_of(embedding), golden.values(&format!("y_{case}")));
        check(&format!("3D-Speaker CAM++ embedding, input {case}"), error, 1e-5);
    }
}

ffsvc_test_data::shared_tests!(
    evaluation_equals_the_baselines,
    training_passes_and_losses_equal_the_baselines,
    every_gradient_equals_the_baselines,
    three_steps_equal_the_baselines
);
