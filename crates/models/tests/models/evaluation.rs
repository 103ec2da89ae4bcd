//! Evaluation passes against PyTorch.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use ffsvc_models::Error;

use crate::goldens::{Goldens, Tiny, max_difference, values_of};

#[test]
fn embeddings_equal_the_baselines() {
    let device = Device::default();
    for tiny in [Tiny::Resnet, Tiny::Ecapa] {
        let golden = Goldens::committed(tiny.name());
        let embedding = tiny.model(&device).forward(golden.tensor("features", &device));
        let error = max_difference(&values_of(embedding), golden.values("embedding_f64"));
        assert!(error < 1e-6, "{tiny:?}: {error:e}");
    }
}

fn batches_and_lengths_equal_the_baselines() {
    let device = Device::default();
    for tiny in [Tiny::Resnet, Tiny::Ecapa] {
        let golden = Goldens::shared(&format!("{}_io", tiny.name()));
        // Trained models evaluate through `valid`; the result must not depend on which way the model came.
        for model in [tiny.model(&device), tiny.model(&device.clone().autodiff()).valid()] {
            for case in ["a", "b", "c"] {
                let features = golden.tensor(&format!("x_{case}"), &device);
                let expected = golden.values(&format!("eval_{case}_f64"));
                let error = max_difference(&values_of(model.forward(features)), expected);
                assert!(error < 1e-6, "{tiny:?} {case}: {error:e}");
            }
        }
    }
}

#[test]
fn shortest_inputs_pass_and_shorter_ones_are_errors() {
    let device = Device::default();
    for (tiny, min_frames) in [(Tiny::Resnet, 1), (Tiny::Ecapa, 9)] {
        let model = tiny.model(&device);
        assert_eq!((model.min_frames(), tiny.config().min_frames()), (min_frames, min_frames));
        assert!(matches!(
            model.check_frames(min_frames - 1),
            Err(Error::TooFewFrames { frames, min_frames: needed })
                if frames == min_frames - 1 && needed == min_frames
        ));
        model.check_frames(min_frames).unwrap();
        let embedding = model.forward(Tensor::ones([1, 80, min_frames], &device));
        assert!(values_of(embedding).iter().all(|v| v.is_finite()), "{tiny:?}");
    }
}

ffsvc_test_data::shared_tests!(batches_and_lengths_equal_the_baselines);
