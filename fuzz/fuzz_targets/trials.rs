//! Trial lists, in each order of columns.
#![no_main]

use ffsvc_fuzz::with_file;
use ffsvc_kaldi_io::{TrialColumns, TrialReader, Trials};

const COLUMNS: [TrialColumns; 4] =
    [TrialColumns::Auto, TrialColumns::LabelFirst, TrialColumns::LabelLast, TrialColumns::NoLabel];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for columns in COLUMNS {
        let parsed = Trials::parse("fuzz", data.to_vec(), columns);
        let mut streamed = 0;
        let read = TrialReader::new("fuzz", data, columns).and_then(|mut reader| {
            let layout = reader.layout().clone();
            while let Some(block) = reader.next_block()? {
                block.for_each(&layout, |_| streamed += 1)?;
            }
            Ok(())
        });
        // Block by block, nobody sees that a pair has two labels.
        if let Ok(trials) = parsed {
            assert!(read.is_ok(), "{read:?}");
            assert_eq!(trials.len(), streamed);
            trials.findings().lines();
            trials.counts();
        }
    }
    // A file may be gzipped as well.
    let _ = with_file("fuzz.trials", data, |path| Trials::read(path, TrialColumns::Auto));
});
