//! Training passes and gradients against PyTorch, in single precision.

use burn::tensor::Device;
use ffsvc_models::heads::AmSoftmaxConfig;
use ffsvc_models::{HeadConfig, named_gradients, named_tensors, parameter_ids};

use crate::goldens::{Goldens, Tiny, max_difference, relative_error, values_of};
use crate::gradients::{doubles, gradients, is_cancelled, with_head};

const AM: HeadConfig = HeadConfig::AmSoftmax(AmSoftmaxConfig { margin: 0.2, scale: 32.0 });

fn training_pass_equals_the_baselines() {
    let device = Device::default().autodiff();
    for tiny in [Tiny::Resnet, Tiny::Ecapa] {
        let golden = Goldens::shared(&format!("{}_io", tiny.name()));
        let after = Goldens::shared(&format!("{}_grads", tiny.name()));
        let model = tiny.model(&device);
        let embeddings = model.forward(golden.tensor("xb_0", &device));
        let error = max_difference(&values_of(embeddings.clone()), golden.values("train_emb_f64"));
        assert!(error < 5e-5, "{tiny:?} embeddings: {error:e}");

        let labels = golden.labels("yb_0", &device);
        for (name, config, tolerance) in [("aam", HeadConfig::default(), 5e-4), ("am", AM, 5e-4)] {
            let mut head = tiny.head(&config, &device);
            if name == "am" {
                let init = Goldens::shared(&format!("{}_init", tiny.name()));
                head = ffsvc_models::load_named(head, init.named("classifier_am.")).unwrap();
            }
            let output = head.forward(embeddings.clone(), labels.clone());
            let logits = golden.values(&format!("{name}_logits_f64"));
            let error = max_difference(&values_of(output.logits), logits);
            assert!(error < tolerance, "{tiny:?} {name} logits: {error:e}");
            let loss = golden.values(&format!("{name}_loss_f64"));
            let error = max_difference(&values_of(output.loss), loss);
            assert!(error < 2e-5, "{tiny:?} {name} loss: {error:e}");
        }

        // Right after the pass, without another one or `valid`.
        let statistics = named_tensors(&model).into_iter().filter(|tensor| tensor.name.contains("running_"));
        let mut compared = 0;
        for tensor in statistics {
            let expected = after.values(&format!("bn_after_one_forward.{}", tensor.name));
            let error = relative_error(&doubles(&tensor), expected);
            assert!(error < 1e-5, "{tiny:?} {}: {error:e}", tensor.name);
            compared += 1;
        }
        assert_eq!(compared, if matches!(tiny, Tiny::Resnet) { 72 } else { 66 });
    }
}

fn ecapa_gradients_equal_the_baselines() {
    let device = Device::default().autodiff();
    let io = Goldens::shared("ecapa_tiny_io");
    let golden = Goldens::shared("ecapa_tiny_grads");
    let model = Tiny::Ecapa.model(&device);
    let head = Tiny::Ecapa.head(&HeadConfig::default(), &device);
    let (_, of_model, of_head) =
        gradients(&model, &head, io.tensor("xb_0", &device), io.labels("yb_0", &device));
    let found = with_head(named_gradients(&model, &of_model), named_gradients(&head, &of_head));

    // Three parameters of each block are never used.
    assert_eq!(found.len(), parameter_ids(&model).len() + 1 - 9);
    assert!(!found.iter().any(|gradient| gradient.name.contains("s.0.")));
    for gradient in found.iter().filter(|gradient| !is_cancelled(&gradient.name)) {
        let expected = golden.values(&format!("aam_f64.{}", gradient.name));
        let error = relative_error(&doubles(gradient), expected);
        // The bias of the attention sums parts that nearly cancel: 1.3e-5 with some processors' vectors.
        assert!(error < 2e-5, "{}: {error:e}", gradient.name);
    }
}

fn resnet_gradients_equal_the_baselines() {
    let device = Device::default().autodiff();
    let golden = Goldens::shared("resnet_tiny_margin");
    let model = Tiny::Resnet.model(&device);
    let head = Tiny::Resnet.head(&HeadConfig::default(), &device);
    let (loss, of_model, of_head) =
        gradients(&model, &head, golden.tensor("grad.x", &device), golden.labels("grad.y", &device));
    assert!((loss - 14.101_771_186_310_291).abs() < 1e-5, "{loss}");
    let found = with_head(named_gradients(&model, &of_model), named_gradients(&head, &of_head));
    assert_eq!(found.len(), parameter_ids(&model).len() + 1);
    for gradient in &found {
        let expected = golden.values(&format!("grad.f64.{}", gradient.name));
        let error = relative_error(&doubles(gradient), expected);
        assert!(error < 3e-5, "{}: {error:e}", gradient.name);
    }
}

ffsvc_test_data::shared_tests!(
    training_pass_equals_the_baselines,
    ecapa_gradients_equal_the_baselines,
    resnet_gradients_equal_the_baselines
);
