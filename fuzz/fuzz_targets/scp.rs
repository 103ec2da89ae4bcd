//! Tables that point into Kaldi archives. The part of an input in front of the first NUL byte is the table, the rest the
//! archive `a.ark` beside it.
#![no_main]

use ffsvc_embeddings::Embeddings;
use ffsvc_fuzz::with_folder;
use ffsvc_kaldi_io::ScpReader;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    // Nothing but `a.ark`: an absolute path is somebody's file.
    let table: Vec<u8> = data[..end].iter().copied().filter(|&byte| byte != b'/').collect();
    with_folder(|folder| {
        folder.write("a.ark", data.get(end + 1..).unwrap_or_default());
        let path = folder.write("fuzz.scp", &table);
        let _ = Embeddings::read(&path);
        let Ok(mut reader) = ScpReader::open(&path) else { return };
        let keys: Vec<String> = reader.keys().map(str::to_owned).collect();
        let of_values = reader.values().filter(Result::is_ok).count();
        let of_keys = keys.iter().rev().filter(|key| matches!(reader.get(key), Ok(Some(_)))).count();
        assert_eq!(of_values, of_keys, "values in order and by name differ");
    });
});
