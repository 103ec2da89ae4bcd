//! Kaldi archives: text, binary, compressed.
#![no_main]

use ffsvc_embeddings::Embeddings;
use ffsvc_fuzz::with_file;
use ffsvc_kaldi_io::{ArkForm, ArkReader, ArkWriter};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let values: Result<Vec<_>, _> = ArkReader::new("fuzz.ark", data).collect();
    let _ = with_file("fuzz.ark", data, |path| Embeddings::read(path));
    let Ok(values) = values else { return };
    // What was read can be written, and read again as the same.
    with_file("copy.ark", b"", |path| {
        let mut writer = ArkWriter::create(path, None, ArkForm::Binary).expect("an archive can be written");
        if values.iter().any(|(key, value)| writer.write(key, value).is_err()) {
            return;
        }
        writer.finish().expect("an archive can be written");
        let again: Vec<_> = ArkReader::open(path).expect("it is there").map(Result::unwrap).collect();
        // By their text, where a NaN is like another.
        assert_eq!(format!("{values:?}"), format!("{again:?}"));
    });
});
