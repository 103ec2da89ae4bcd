//! WeSpeaker's shards: tar files with recordings and their speakers, and the recordings at the places that are found.
#![no_main]

use ffsvc_corpora::{Output, Shards};
use ffsvc_fuzz::{let_panics_be_caught, read_recording, with_folder};
use ffsvc_kaldi_io::Table;

libfuzzer_sys::fuzz_target!(init: let_panics_be_caught(), |data: &[u8]| {
    with_folder(|folder| {
        let shard = folder.write("a.tar", data);
        let list = folder.write("shard.list", format!("{}\n", shard.display()).as_bytes());
        let out = folder.path().join("data");
        let output = Output::new(&out).overwrite(true);
        if (Shards { list: &list }).prepare(&output).is_ok()
            && let Ok(table) = Table::read(out.join("wav.scp"))
        {
            for (_, place) in table.iter() {
                read_recording(place.as_ref());
            }
        }
    });
});
