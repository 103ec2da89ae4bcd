//! Weights of Silero VAD: ONNX, safetensors.
#![no_main]

use ffsvc_features::SileroNetwork;
use ffsvc_fuzz::with_file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = with_file("model", data, |path| SileroNetwork::open(path));
});
