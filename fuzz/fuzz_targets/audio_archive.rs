//! Recordings inside Kaldi archives. The first byte of an input is the offset.
#![no_main]

use ffsvc_fuzz::{let_panics_be_caught, read_recording, with_folder};

libfuzzer_sys::fuzz_target!(init: let_panics_be_caught(), |data: &[u8]| {
    let Some((offset, archive)) = data.split_first() else { return };
    with_folder(|folder| {
        folder.write("a.ark", archive);
        read_recording(&folder.path().join(format!("a.ark:{offset}")));
    });
});
