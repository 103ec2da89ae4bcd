//! Stores of embeddings as safetensors.
#![no_main]

use ffsvc_embeddings::Embeddings;
use ffsvc_fuzz::with_file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(store) = with_file("fuzz.safetensors", data, |path| Embeddings::read(path)) else { return };
    with_file("copy.safetensors", b"", |path| {
        store.write(path).expect("a store can be written");
        assert_eq!(Embeddings::read(path).expect("a written store can be read"), store);
    });
});
