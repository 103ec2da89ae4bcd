//! Numpy's arrays and pickled dictionaries.
#![no_main]

use ffsvc_embeddings::Embeddings;
use ffsvc_fuzz::{with_file, with_folder};
use ffsvc_pickle::Tokens;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    Tokens::new(data).take_while(Result::is_ok).count();
    with_folder(|folder| {
        let keys = folder.write("keys", b"a\nb\nc\n");
        let _ = with_file("fuzz.npy", data, |path| Embeddings::read_npy(path, &keys));
    });
    let _ = with_file("fuzz.npy", data, |path| Embeddings::read(path));
});
