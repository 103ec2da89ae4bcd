//! The log of a training run.
#![no_main]

use ffsvc_trainer::TrainingLog;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(log) = TrainingLog::parse("train.jsonl", data) else { return };
    let steps: usize = log.epochs().iter().map(|epoch| epoch.means.steps()).sum();
    assert!(steps <= log.events.len());
});
