//! Score files, and the other files that scoring reads: calibrations, back ends, reports, lists of enrolments.
#![no_main]

use ffsvc_fuzz::with_file;
use ffsvc_kaldi_io::{Table, TrialColumns, Trials};
use ffsvc_scoring::backend::Backend;
use ffsvc_scoring::calibration::CalibrationFile;
use ffsvc_scoring::threshold::{Point, Threshold};
use ffsvc_scoring::{EnrolmentList, score_file};

const TRIALS: &str = "a b target\na c nontarget\nb.wav c target\na b target\n";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let trials = Trials::parse("trials", TRIALS.into(), TrialColumns::Auto).expect("a trial list");
    with_file("fuzz.scores", data, |path| {
        let all = score_file::read(path, &trials, false);
        let some = score_file::read(path, &trials, true);
        assert!(all.is_err() || some.is_ok(), "{some:?}");
        if let Ok(read) = some {
            let written = path.with_extension("written");
            score_file::write(&written, &trials, &read.scores).expect("scores can be written");
            score_file::read(&written, &trials, true).expect("written scores can be read");
        }
        let _ = CalibrationFile::read(path);
        let _ = Backend::read(path);
        let _ = Threshold::from_report(path, Point::Eer);
        if let Ok(list) =
            Table::read(path).map_err(drop).and_then(|table| EnrolmentList::new(table).map_err(drop))
        {
            list.iter().for_each(|(_, utterances)| utterances.for_each(drop));
        }
    });
});
