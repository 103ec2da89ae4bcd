//! Networks of ONNX files: those of the toolkits' scripts and our own.
#![no_main]

use ffsvc_fuzz::{seeds, with_file};
use ffsvc_models::toolkits::{ImportOptions, import_model};
use ffsvc_models::{DeviceChoice, ModelConfig, ModelInfo, OnnxInput, TdnnConfig, export_onnx};

libfuzzer_sys::fuzz_target!(init: seeds(write_seeds), |data: &[u8]| {
    if !ffsvc_onnx::is_model(data) {
        return;
    }
    with_file("fuzz.onnx", data, |path| {
        let Ok(Ok(model)) = ffsvc_onnx::open(path) else { return };
        for tensor in model.graph.iter().flat_map(|graph| &graph.initializer) {
            if let Ok(values) = tensor.floats() {
                let product = tensor.shape().map(|shape| shape.iter().product());
                assert_eq!(Some(values.len()), product, "{}", tensor.name);
            }
        }
        let cpu = DeviceChoice::Cpu.open_one().expect("the processor");
        let _ = import_model(path, &ImportOptions::default(), &cpu);
    });
});

/// A tiny network of our own. seeds.sh adds those of the toolkits.
fn write_seeds(folder: &std::path::Path) {
    let cpu = DeviceChoice::Cpu.open_one().expect("the processor");
    let config = ModelConfig::Tdnn(TdnnConfig { hidden_dim: 2, stats_dim: 2, embedding_size: 2 });
    let front_end = serde_json::json!({"kind": {"type": "fbank", "num_mels": 5}});
    let info = ModelInfo::new(config.clone(), serde_json::from_value(front_end).expect("a front end"));
    let network = config.init(5, &cpu).expect("a network");
    export_onnx(folder.join("own.onnx"), &info, &network, OnnxInput::Features).expect("a file");
}
