//! FLAC files.
#![no_main]

use ffsvc_fuzz::{let_panics_be_caught, read_audio};

libfuzzer_sys::fuzz_target!(init: let_panics_be_caught(), |data: &[u8]| read_audio(data));
