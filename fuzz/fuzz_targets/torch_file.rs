//! Checkpoints of other toolkits: PyTorch's zip and legacy files, safetensors. An input that is a pickle is put into a zip
//! file with some numbers, because a changed zip file fails at its checksums.
#![no_main]

use std::io::{Cursor, Read, Write};

use ffsvc_fuzz::{seeds, with_file};
use ffsvc_models::toolkits::{ExportFormat, ImportOptions, TensorFile, Toolkit, export_model, import_model};
use ffsvc_models::{DeviceChoice, EcapaTdnnConfig, ModelConfig, NamedTensor};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// How a legacy file begins.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// Storages beside a pickle.
const STORAGES: usize = 4;

libfuzzer_sys::fuzz_target!(init: seeds(write_seeds), |data: &[u8]| {
    let bytes = if data.starts_with(b"\x80") && !data.starts_with(LEGACY) { zipped(data) } else { data.to_vec() };
    with_file("fuzz.pt", &bytes, |path| {
        let Ok(file) = TensorFile::open(path) else { return };
        let tensors: Vec<_> = file.names().map(|name| file.read(name)).collect();
        for NamedTensor { name, shape, data } in tensors.into_iter().flatten() {
            assert_eq!(data.len(), shape.iter().product::<usize>(), "{name}");
        }
        let cpu = DeviceChoice::Cpu.open_one().expect("the processor");
        let _ = import_model(path, &ImportOptions::default(), &cpu);
    });
});

fn zipped(pickle: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut entry = |name: &str, bytes: &[u8]| {
        zip.start_file(name, options).expect("an entry in memory");
        zip.write_all(bytes).expect("an entry in memory");
    };
    entry("archive/data.pkl", pickle);
    for storage in 0..STORAGES {
        entry(&format!("archive/data/{storage}"), &[0x3f; 64]);
    }
    zip.finish().expect("a zip file in memory").into_inner()
}

/// A tiny network as a zip file, its pickle alone, as safetensors; a legacy file.
fn write_seeds(folder: &std::path::Path) {
    let config = ModelConfig::EcapaTdnn(EcapaTdnnConfig {
        hidden_dim: 4,
        scale: 2,
        bottleneck: 1,
        embedding_size: 2,
        compat: true,
    });
    let cpu = DeviceChoice::Cpu.open_one().expect("the processor");
    let model = config.init(5, &cpu).expect("a network");
    let path = folder.join("ecapa.pt");
    export_model(&path, &config, &model, None, ExportFormat::Torch(Toolkit::Ffsvc)).expect("a checkpoint");
    let safetensors = folder.join("ecapa.safetensors");
    export_model(safetensors, &config, &model, None, ExportFormat::Safetensors).expect("a checkpoint");

    let mut zip = ZipArchive::new(std::fs::File::open(&path).expect("it was written")).expect("a zip file");
    let mut pickle = Vec::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).expect("an entry");
        if entry.name().is_ok_and(|name| name.ends_with("data.pkl")) {
            entry.read_to_end(&mut pickle).expect("a pickle");
        }
    }
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).expect("a seed");
    write("ecapa.pkl", &pickle);
    let tensor = tensor();
    write("one.pkl", &tensor);
    let keys = b"\x80\x02](X\x01\0\0\x000e.";
    let system = b"\x80\x02}X\x0d\0\0\0little_endian\x88s.";
    let numbers = [&4u64.to_le_bytes()[..], &[0x3f; 16]].concat();
    write("legacy.pt", &[LEGACY, b"\x80\x02M\xe9\x03.", system, &tensor, keys, &numbers].concat());
}

/// The pickle of `{"a": tensor}`, of two times two numbers.
fn tensor() -> Vec<u8> {
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    [
        b"\x80\x02}",
        &text("a")[..],
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &text("storage"),
        b"ctorch\nFloatStorage\n",
        &text("0"),
        &text("cpu"),
        b"K\x04tQK\x00K\x02K\x02\x86K\x02K\x01\x86\x89ccollections\nOrderedDict\n)RtRs.",
    ]
    .concat()
}
