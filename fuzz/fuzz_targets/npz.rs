//! Numpy's zip files of arrays. An input that begins like an array is put into a zip file as `embeddings`, because a changed
//! zip file fails at its checksums.
#![no_main]

use std::io::{Cursor, Write};

use ffsvc_embeddings::Embeddings;
use ffsvc_fuzz::with_file;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// `numpy.array(["a", "b", "c"])` without its padding.
const KEYS: &[u8] = b"\x93NUMPY\x01\x00\x3a\x00{'descr': '<U1', 'fortran_order': False, 'shape': (3,), } \na\0\0\0b\0\0\0c\0\0\0";

fn zipped(entries: [(&str, &[u8]); 2]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in entries {
        zip.start_file(name, options).expect("an entry in memory");
        zip.write_all(bytes).expect("an entry in memory");
    }
    zip.finish().expect("a zip file in memory").into_inner()
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let bytes = if data.starts_with(b"\x93NUMPY") {
        zipped([("keys.npy", KEYS), ("embeddings.npy", data)])
    } else {
        data.to_vec()
    };
    let _ = with_file("fuzz.npz", &bytes, |path| Embeddings::read(path));
});
