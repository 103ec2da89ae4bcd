//! `--tensorboard`: the numbers of a run in an event file of TensorBoard.
//!
//! The messages are those of `event.proto` and `summary.proto`, as far as numbers need them. Each is a record of TensorFlow's
//! `record_writer.cc`: its length, a checksum of the length, the message, a checksum of the message.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use ffsvc_trainer::{Event, Observer, ValidationResult};
use prost::{Message, Oneof};

/// `Event`: something at a time and a step.
#[derive(Clone, PartialEq, Message)]
struct Record {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// `Summary`: numbers with their names.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

/// `Summary.Value`.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// `SessionLog`. Status 1 is START: what other files have from its step on was given up.
#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Writes the events of a run. It stops with a warning where the file cannot be written; the run goes on.
pub(crate) struct TensorBoard {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl TensorBoard {
    /// Makes a new file in `folder`, beside those of earlier parts of the run.
    pub(crate) fn create(folder: &Path) -> anyhow::Result<Self> {
        let path =
            folder.join(format!("events.out.tfevents.{:010.0}.ffsvc-train.{}", now(), std::process::id()));
        let file = std::fs::create_dir_all(folder).and_then(|()| File::create_new(&path));
        let file = file.with_context(|| format!("--tensorboard: cannot write {}", path.display()))?;
        let mut made = Self { path, file: Some(BufWriter::new(file)) };
        made.write(0, What::FileVersion("brain.Event:2".to_owned()));
        Ok(made)
    }

    fn write(&mut self, step: usize, what: What) {
        let Some(file) = &mut self.file else { return };
        let record = Record { wall_time: now(), step: step as i64, what: Some(what) };
        if let Err(error) = write_record(file, &record.encode_to_vec()).and_then(|()| file.flush()) {
            tracing::warn!("{}: {error}; TensorBoard gets no more of this run", self.path.display());
            self.file = None;
        }
    }

    fn numbers(&mut self, step: usize, numbers: &[(&str, Option<f64>)]) {
        let values = numbers.iter().filter_map(|&(tag, number)| {
            Some(Value { tag: tag.to_owned(), simple_value: Some(number? as f32) })
        });
        self.write(step, What::Summary(Summary { value: values.collect() }));
    }

    fn validation(&mut self, result: &ValidationResult) {
        let of_lists = result.lists.iter().map(|(name, list)| (format!("{name}/"), list.eer, list.min_dcf));
        for (list, eer, min_dcf) in of_lists.chain([(String::new(), result.eer, result.min_dcf)]) {
            let tag = |measure: &str| format!("validation/{list}{measure}");
            self.numbers(result.step, &[(&tag("eer"), Some(eer)), (&tag("min_dcf"), Some(min_dcf))]);
        }
    }
}

impl Observer for TensorBoard {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Start { step, .. } if *step > 0 => {
                self.write(step + 1, What::SessionLog(SessionLog { status: 1 }));
            }
            Event::Step {
                step, loss, accuracy, learning_rate, margin, utterances_per_s, data_wait, ..
            } => self.numbers(
                *step,
                &[
                    ("train/loss", Some(f64::from(*loss))),
                    ("train/accuracy", *accuracy),
                    ("train/learning_rate", Some(*learning_rate)),
                    ("train/margin", *margin),
                    ("train/utterances_per_s", Some(*utterances_per_s)),
                    ("train/data_wait", Some(*data_wait)),
                ],
            ),
            Event::Epoch { step, loss, accuracy, .. } => {
                self.numbers(*step, &[("epoch/loss", Some(*loss)), ("epoch/accuracy", *accuracy)]);
            }
            Event::Validation(result) => self.validation(result),
            _ => {}
        }
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn write_record(to: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = (message.len() as u64).to_le_bytes();
    for part in [&length[..], message] {
        to.write_all(part)?;
        to.write_all(&masked_checksum(part).to_le_bytes())?;
    }
    Ok(())
}

/// CRC-32C, rotated and moved, as `crc32c.h` of TensorFlow masks it: checksums of data with checksums in it would be poor.
fn masked_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `tests/peers/tensorboard_events.py write` has written the same events with TensorBoard's own writer.
    #[test]
    fn records_are_those_of_tensorboard() {
        let value = |tag: &str, number| Value { tag: tag.to_owned(), simple_value: Some(number) };
        let mut written = Vec::new();
        for (wall_time, step, what) in [
            (1.5, 0, What::FileVersion("brain.Event:2".to_owned())),
            (2.25, 5, What::SessionLog(SessionLog { status: 1 })),
            (
                3.0,
                5,
                What::Summary(Summary { value: vec![value("train/loss", 0.0), value("epoch/ü", -1.25e-3)] }),
            ),
            (4.0, 1 << 40, What::Summary(Summary { value: vec![value("train/loss", f32::INFINITY)] })),
        ] {
            let record = Record { wall_time, step, what: Some(what) };
            write_record(&mut written, &record.encode_to_vec()).unwrap();
        }
        assert_eq!(written, include_bytes!("../../tests/data/tensorboard/events"));
    }
}
