//! Silero VAD: its network against torch and onnxruntime (tests/peers/silero_vad.py), its rule, and files that are none.

mod goldens;

use std::collections::BTreeMap;
use std::path::Path;

use ffsvc_features::{Scratch, SileroNetwork, SileroVad, SpeechDetector, SpeechParts, Vad};
use goldens::Golden;
use proptest::prelude::*;
use safetensors::tensor::{Dtype, TensorView};

const SHAPES: [(&str, &[usize]); 15] = [
    ("conv1.bias", &[128]),
    ("conv1.weight", &[128, 129, 3]),
    ("conv2.bias", &[64]),
    ("conv2.weight", &[64, 128, 3]),
    ("conv3.bias", &[64]),
    ("conv3.weight", &[64, 64, 3]),
    ("conv4.bias", &[128]),
    ("conv4.weight", &[128, 64, 3]),
    ("final_conv.bias", &[1]),
    ("final_conv.weight", &[1, 128, 1]),
    ("lstm_cell.bias_hh", &[512]),
    ("lstm_cell.bias_ih", &[512]),
    ("lstm_cell.weight_hh", &[512, 128]),
    ("lstm_cell.weight_ih", &[512, 128]),
    ("stft_conv.weight", &[258, 1, 256]),
];

/// The weights of the script's formula, as the bytes of the file's tensors.
fn formula() -> BTreeMap<&'static str, (Vec<usize>, Vec<u8>)> {
    let tensors = SHAPES.iter().enumerate().map(|(k, (name, shape))| {
        let scale = if name.starts_with("lstm") || name.starts_with("final") { 1.0 } else { 0.125 };
        let number = |n: usize| {
            let hash = ((n as u64 * 2_654_435_761 + k as u64 * 40_503) % (1 << 32)) >> 8;
            ((hash as f64 / f64::from(1 << 23) - 1.0) * scale) as f32
        };
        let values = (0..shape.iter().product()).flat_map(|n| number(n).to_le_bytes()).collect();
        (*name, (shape.to_vec(), values))
    });
    tensors.collect()
}

fn write(path: &Path, tensors: &BTreeMap<&'static str, (Vec<usize>, Vec<u8>)>, dtype: Dtype) {
    let views = tensors
        .iter()
        .map(|(name, (shape, bytes))| (*name, TensorView::new(dtype, shape.clone(), bytes).unwrap()));
    safetensors::serialize_to_file(views, None, path).unwrap();
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn the_layers_are_those_of_the_package() {
    let golden = Golden::committed("vad/silero");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("formula.safetensors");
    write(&path, &formula(), Dtype::F32);
    let network = SileroNetwork::open(&path).unwrap();
    let expected = golden.f32("formula");
    let range = expected.iter().fold((1.0_f32, 0.0_f32), |(low, high), &p| (low.min(p), high.max(p)));
    assert!(range.1 - range.0 > 0.3, "{range:?}");
    let samples = golden.f32("samples");
    let found = network.probabilities(&samples).unwrap();
    let difference = largest_difference(&found, &expected);
    println!("largest difference {difference:e}");
    assert!(difference < 2e-5, "{difference}");
    // A state for each call, and samples that fill no chunk.
    assert_eq!(network.probabilities(&samples[..5000]).unwrap()[..9], found[..9]);
    assert_eq!(network.probabilities(&samples[..5000]).unwrap().len(), 10);
    assert!(network.probabilities(&[]).unwrap().is_empty());
    assert!(network.probabilities(&[0.0, f32::NAN]).is_err());
}

fn the_probabilities_are_those_of_its_own_runtime() {
    let golden = Golden::committed("vad/silero");
    let network = SileroNetwork::open(ffsvc_test_data::silero()).unwrap();
    let found = network.probabilities(&golden.f32("samples")).unwrap();
    let difference = largest_difference(&found, &golden.f32("runtime"));
    println!("largest difference {difference:e}");
    assert!(difference < 1e-4, "{difference}");
}

/// The speech of `samples` by the real network.
fn speech(samples: &[f32]) -> Vec<bool> {
    let vad = Vad::Silero(SileroVad::new(ffsvc_test_data::silero()));
    SpeechDetector::new(16_000, &vad).unwrap().detect(&mut Scratch::new(), samples).unwrap()
}

fn the_parts_are_those_of_the_package() {
    let golden = Golden::committed("vad/silero");
    let samples = golden.f32("samples");
    let parts = SpeechParts::default().of(&speech(&samples), samples.len() as f64 / 16_000.0).unwrap();
    let found: Vec<f64> = parts.into_iter().flat_map(|(from, to)| [from, to]).collect();
    let expected: Vec<f64> = golden.f32("parts").iter().map(|&sample| f64::from(sample) / 16_000.0).collect();
    assert_eq!(found.len(), expected.len(), "{found:?} {expected:?}");
    // Our frames come every 10 ms.
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < 0.0051, "{found} {expected}");
    }
}

fn noise_is_no_speech() {
    let noise = |n: u32| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
    let noise: Vec<f32> = (0..48_000).map(|n| 0.1 * noise(n)).collect();
    assert!(SpeechDetector::speech_s(&speech(&noise)) < 0.2);
}

ffsvc_test_data::silero_tests!(
    the_probabilities_are_those_of_its_own_runtime,
    the_parts_are_those_of_the_package,
    noise_is_no_speech
);

#[test]
fn speech_begins_at_one_threshold_and_ends_below_another() {
    let vad = SileroVad::new("model");
    let probabilities = [0.4, 0.5, 0.4, 0.36, 0.34, 0.4, 0.6];
    // Chunks of 32 ms; the middle of a frame is 12.5 ms after its start.
    let found = vad.decide(&probabilities, 21);
    let expected: Vec<bool> =
        (0..21).map(|frame| [false, true, true, true, false, false, true][(10 * frame + 12) / 32]).collect();
    assert_eq!(found, expected);
    assert_eq!(vad.decide(&[], 2), [false, false]);
}

#[test]
fn what_cannot_be_used_is_said() {
    let refused =
        |vad: SileroVad, rate| SpeechDetector::new(rate, &Vad::Silero(vad)).unwrap_err().to_string();
    let new = || SileroVad::new("no/such.safetensors");
    for (vad, rate, words) in [
        (new(), 8000, "sample_rate = 8000: expected 16000 Hz"),
        (new(), 16_000, "no/such.safetensors: No such file"),
        (SileroVad { threshold: 1.5, ..new() }, 16_000, "threshold = 1.5"),
        (SileroVad { exit_threshold: 0.6, ..new() }, 16_000, "at most threshold = 0.5"),
        (SileroVad { threshold: f32::NAN, ..new() }, 16_000, "threshold = NaN"),
    ] {
        let message = refused(vad, rate);
        assert!(message.contains(words), "{words}: {message}");
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let message = || {
        let message = SileroNetwork::open(&path).unwrap_err().to_string();
        assert!(message.contains("model.safetensors: ") && message.contains("silero-vad 6"), "{message}");
        message
    };
    std::fs::write(&path, "not a model").unwrap();
    assert!(message().contains("no safetensors file, and no ONNX file"));
    std::fs::write(&path, b"\x04\0\0\0\0\0\0\0{\"a\"").unwrap();
    assert!(message().contains("no safetensors file: "));
    // An ONNX file with an empty graph.
    std::fs::write(&path, b"\x3a\0").unwrap();
    assert!(message().contains("no tensor model.encoder.0.reparam_conv.weight"));
    let mut tensors = formula();
    tensors.remove("conv3.bias");
    write(&path, &tensors, Dtype::F32);
    assert!(message().contains("no tensor conv3.bias"));
    let mut tensors = formula();
    tensors.insert("conv3.bias", (vec![2, 32], vec![0; 256]));
    write(&path, &tensors, Dtype::F32);
    assert!(message().contains("the tensor conv3.bias is F32 [2, 32] in 256 bytes, expected F32 [64]"));
    write(&path, &formula(), Dtype::I32);
    assert!(message().contains("is I32"));
    let mut tensors = formula();
    tensors.insert("final_conv.bias", (vec![1], f32::NAN.to_le_bytes().to_vec()));
    write(&path, &tensors, Dtype::F32);
    assert!(message().contains("the tensor final_conv.bias holds NaN"));
}

#[test]
fn the_rule_is_read_from_a_configuration() {
    let vad: Vad = toml::from_str("type = 'silero'\nmodel = 'a.safetensors'\nthreshold = 0.6").unwrap();
    assert_eq!(vad, Vad::Silero(SileroVad { threshold: 0.6, ..SileroVad::new("a.safetensors") }));
    assert_eq!((vad.sample_rate(), Vad::default().sample_rate()), (Some(16_000), None));
    assert!(toml::from_str::<Vad>("type = 'silero'").unwrap_err().to_string().contains("model"));
}

proptest! {
    #[test]
    fn any_bytes_are_a_network_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        std::fs::write(&path, &bytes).unwrap();
        prop_assert!(SileroNetwork::open(&path).is_err());
    }
}
