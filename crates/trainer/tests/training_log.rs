//! The log of a run, read again.

use ffsvc_trainer::TrainingLog;
use proptest::prelude::*;

const LOG: &str = r#"{"event":"start","step":0,"steps_per_epoch":2,"epochs":2,"utterances":8,"step_utterances":4,"speakers":2,"parameters":9,"version":"0"}
{"event":"step","step":1,"epoch":1,"loss":3.0,"accuracy":0.25,"learning_rate":0.1,"utterances_per_s":4.0,"data_wait":0.5}
{"event":"step","step":2,"epoch":1,"loss":1.0,"accuracy":0.75,"learning_rate":0.2,"utterances_per_s":2.0,"data_wait":0.0}
{"event":"validation","epoch":1,"step":2,"eer":0.1,"min_dcf":0.5}
{"event":"step","step":3,"epoch":2,"loss":0.5,"accuracy":1.0,"learning_rate":0.3,"margin":0.2,"utterances_per_s":4.0,"data_wait":0.0}
{"event":"step","step":4,"epo"#;

#[test]
fn epochs_have_their_means() {
    let log = TrainingLog::parse("train.jsonl", LOG.as_bytes()).unwrap();
    assert_eq!((log.events.len(), log.validations().count()), (5, 1));
    let epochs = log.epochs();
    let [first, second] = &epochs[..] else { panic!("{epochs:?}") };
    assert_eq!((first.epoch, first.step, first.learning_rate), (1, 2, 0.2));
    assert_eq!((first.means.loss(), first.means.accuracy()), (Some(2.0), Some(0.5)));
    // 8 utterances in 1 and 2 seconds; half of the first second was spent waiting.
    assert_eq!((first.means.utterances_per_s(), first.means.data_wait()), (Some(8.0 / 3.0), Some(0.5 / 3.0)));
    assert_eq!(first.validation.as_ref().map(|result| result.eer), Some(0.1));
    assert_eq!((second.epoch, second.margin, second.means.steps()), (2, Some(0.2), 1));
    assert_eq!(second.validation, None);
}

#[test]
fn a_line_that_is_no_event_is_named() {
    let broken = LOG.replace("\"loss\":1.0", "\"loss\":x");
    let error = TrainingLog::parse("train.jsonl", broken.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("train.jsonl: line 3: found no event"), "{error}");
    let error = TrainingLog::parse("train.jsonl", b"").unwrap_err().to_string();
    assert!(error.contains("found no event, expected the log"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_give_events_or_an_error(bytes: Vec<u8>, at in 0..LOG.len()) {
        let _ = TrainingLog::parse("a", &bytes);
        let mut log = LOG.as_bytes().to_vec();
        log.splice(at..at, bytes);
        if let Ok(log) = TrainingLog::parse("a", &log) {
            log.epochs();
        }
    }
}
