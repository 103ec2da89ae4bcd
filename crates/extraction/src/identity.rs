//! What decides the embeddings of a list, to tell whether those of an earlier job can be taken over.

use ffsvc_dataset::Recording;
use ffsvc_hashing::Sha256;
use serde::{Deserialize, Serialize};

use crate::extractor::Extractor;
use crate::precision::InferencePrecision;

/// Model, reading and list of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// SHA-256 of the model file. Absent for a network without one, whose embeddings are never taken over.
    model: Option<String>,
    /// Sample rate, channel, low-pass; the speech detector, if only speech is embedded; the precision, if it is not 32 bits.
    reading: String,
    /// SHA-256 of the names and places of the recordings.
    list: String,
    recordings: usize,
}

impl Identity {
    pub(crate) fn new(extractor: &Extractor, recordings: &[Recording]) -> Self {
        let mut hash = Sha256::new();
        for recording in recordings {
            let segment = recording.source.segment.map_or_else(String::new, |part| format!(" {part:?}"));
            hash.update(format!("{}\t{:?}{segment}\n", recording.id, recording.source.wav));
        }
        Self {
            model: extractor.checksum().map(str::to_owned),
            reading: reading(extractor),
            list: hash.hex(),
            recordings: recordings.len(),
        }
    }

    /// SHA-256 of the names and places of the recordings.
    pub(crate) fn list(&self) -> &str {
        &self.list
    }

    /// What is different here from `earlier`; `None` where its embeddings can be taken over.
    pub(crate) fn change_since(&self, earlier: &Self) -> Option<String> {
        let mut changes = Vec::new();
        match (&self.model, &earlier.model) {
            (Some(now), Some(then)) if now == then => {}
            (Some(now), Some(then)) => {
                changes.push(format!("the model (SHA-256 {} then, {} now)", short(then), short(now)));
            }
            _ => changes.push("the model (a network without a file)".to_owned()),
        }
        if self.reading != earlier.reading {
            changes.push(format!("how recordings are read ({} then, {} now)", earlier.reading, self.reading));
        }
        if self.list != earlier.list {
            let (then, now) = (earlier.recordings, self.recordings);
            changes.push(format!("the list of recordings ({then} then, {now} now)"));
        }
        (!changes.is_empty()).then(|| changes.join(", "))
    }
}

/// Nothing is said of 32 bits: stores of former versions are taken over.
fn reading(extractor: &Extractor) -> String {
    let mut reading = format!("{:?}", extractor.read_options());
    if let Some(rule) = extractor.speech_rule() {
        reading += &format!(" speech by {rule:?}");
    }
    if extractor.precision() != InferencePrecision::F32 {
        reading += &format!(" in {}", extractor.precision());
    }
    reading
}

fn short(checksum: &str) -> &str {
    checksum.get(..12).unwrap_or(checksum)
}
