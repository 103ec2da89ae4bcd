//! Our own model files.
#![no_main]

use ffsvc_fuzz::{seeds, with_file};
use ffsvc_models::heads::AmSoftmaxConfig;
use ffsvc_models::{
    DeviceChoice, EcapaTdnnConfig, HeadConfig, ModelConfig, ModelFile, ModelInfo, TdnnConfig, load_info,
    save_model,
};

libfuzzer_sys::fuzz_target!(init: seeds(write_seeds), |data: &[u8]| {
    with_file("fuzz.safetensors", data, |path| {
        let info = load_info(path);
        let Ok(file) = ModelFile::open(path) else { return };
        assert!(info.is_ok());
        file.identity();
        let cpu = DeviceChoice::Cpu.open_one().expect("the processor");
        let _ = file.load(&cpu);
    });
});

/// Tiny networks, with the checksum and without: it would refuse every change.
fn write_seeds(folder: &std::path::Path) {
    let device = DeviceChoice::Cpu.open_one().expect("the processor");
    let ecapa = EcapaTdnnConfig { hidden_dim: 4, scale: 2, bottleneck: 1, embedding_size: 2, compat: false };
    let tdnn = TdnnConfig { hidden_dim: 2, stats_dim: 2, embedding_size: 2 };
    let head = HeadConfig::AmSoftmax(AmSoftmaxConfig::default());
    let front_end = serde_json::json!({"kind": {"type": "fbank", "num_mels": 5}});
    for (name, config) in [("ecapa", ModelConfig::EcapaTdnn(ecapa)), ("tdnn", ModelConfig::Tdnn(tdnn))] {
        let mut info =
            ModelInfo::new(config.clone(), serde_json::from_value(front_end.clone()).expect("a front end"));
        info.head = Some(head.clone());
        info.speakers = vec!["a".to_owned(), "b".to_owned()];
        info.embedding_mean = Some(vec![0.5; 2]);
        let model = config.init(5, &device).expect("a network");
        let head = head.init(2, 2, &device);
        let path = folder.join(format!("{name}.safetensors"));
        save_model(&path, &model, Some(&head), &info).expect("a model file");
        let bytes = std::fs::read(&path).expect("it was written");
        std::fs::write(folder.join(format!("{name}-unchecked.safetensors")), unchecked(&bytes))
            .expect("a second file");
    }
}

/// A model file without `format` and `sha256` in its description.
fn unchecked(bytes: &[u8]) -> Vec<u8> {
    let (length, rest) = bytes.split_first_chunk().expect("a length");
    let (header, tensors) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: serde_json::Value = serde_json::from_slice(header).expect("a header");
    let entry = &mut header["__metadata__"]["ffsvc"];
    let mut description: serde_json::Value =
        serde_json::from_str(entry.as_str().expect("a text")).expect("a description");
    let fields = description.as_object_mut().expect("an object");
    fields.remove("format");
    fields.remove("sha256");
    *entry = description.to_string().into();
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), tensors].concat()
}
