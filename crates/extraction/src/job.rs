//! A whole list of recordings into one embedding store, resumable.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ffsvc_embeddings::Embeddings;
use ffsvc_models::with_causes;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::extractor::Extractor;
use ffsvc_dataset::Recording;

/// Recordings of a block, by default.
const BLOCK_SIZE: usize = 256;
/// Recordings that are in memory at once.
const WINDOW: usize = 64;

/// Embeds `recordings` into the store `out`.
///
/// While it works, finished blocks lie in the folder `OUT.partial`; the store appears when all is done, and the
/// folder goes. A later job with the same model and recordings takes finished blocks from that folder.
#[derive(Debug)]
pub struct Job {
    recordings: Vec<Recording>,
    out: PathBuf,
    identity: String,
    block_size: usize,
}

/// A recording that could not be embedded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Utterance id.
    pub utterance: String,
    /// Why, with its causes.
    pub reason: String,
}

/// What a [`Job`] did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Recordings asked for.
    pub recordings: usize,
    /// Embeddings in the store.
    pub embeddings: usize,
    /// Of those, taken over from an interrupted job.
    pub resumed: usize,
    /// Recordings without an embedding.
    pub failed: Vec<Failure>,
    /// Seconds of speech embedded by this job.
    pub audio_s: f64,
    /// Seconds that it took.
    pub wall_s: f64,
    /// True when the job was asked to stop before its end; there is no store then, but a partial one.
    pub interrupted: bool,
    /// The store; absent when the job was interrupted or no recording could be embedded.
    pub store: Option<PathBuf>,
}

impl Report {
    /// Seconds of speech embedded in one second.
    pub fn real_time_factor(&self) -> f64 {
        self.audio_s / self.wall_s.max(1e-9)
    }

    /// Recordings embedded in one second.
    pub fn recordings_per_second(&self) -> f64 {
        self.embeddings.saturating_sub(self.resumed) as f64 / self.wall_s.max(1e-9)
    }
}

impl Job {
    /// A job for `recordings`. `extractor_identity` stands for all that decides an embedding besides the recording,
    /// such as the model's [`checksum`] and how audio is read: a partial store of another identity, or of another
    /// list of recordings, is started anew.
    pub fn new(recordings: Vec<Recording>, out: impl Into<PathBuf>, extractor_identity: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(extractor_identity);
        for recording in &recordings {
            hash.update(format!("\n{}\t{:?}", recording.id, recording.source));
        }
        let identity = hexadecimal(&hash.finalize());
        Self { recordings, out: out.into(), identity, block_size: BLOCK_SIZE }
    }

    /// Recordings embedded between two writes of the partial store: what a kill can cost. Default 256.
    #[must_use]
    pub fn block_size(mut self, recordings: usize) -> Self {
        self.block_size = recordings.max(1);
        self
    }

    /// Where finished blocks wait for the end.
    pub fn partial(&self) -> PathBuf {
        let mut name = self.out.file_name().unwrap_or_default().to_os_string();
        name.push(".partial");
        self.out.with_file_name(name)
    }

    /// Embeds everything that is not embedded yet and writes the store. `done` hears, after each window,
    /// how many recordings have been dealt with in all.
    ///
    /// # Errors
    /// The store cannot be written. Recordings that cannot be embedded are no error here: the report lists them.
    pub fn run(
        &self,
        extractor: &Extractor,
        stop: &AtomicBool,
        mut done: impl FnMut(usize),
    ) -> Result<Report> {
        let begun = Instant::now();
        let partial = self.partial();
        self.open_partial(&partial)?;
        let mut report = Report {
            recordings: self.recordings.len(),
            embeddings: 0,
            resumed: 0,
            failed: Vec::new(),
            audio_s: 0.0,
            wall_s: 0.0,
            interrupted: false,
            store: None,
        };
        let mut store: Option<Embeddings> = None;
        for (number, block) in self.recordings.chunks(self.block_size).enumerate() {
            if stop.load(Ordering::SeqCst) {
                report.interrupted = true;
                report.wall_s = begun.elapsed().as_secs_f64();
                return Ok(report);
            }
            let path = partial.join(format!("block-{number:06}.safetensors"));
            let mut ready = if path.is_file() { read_block(&path)? } else { BTreeMap::new() };
            report.resumed += ready.len();
            let missing: Vec<Recording> =
                block.iter().filter(|recording| !ready.contains_key(&recording.id)).cloned().collect();
            let first = number * self.block_size + block.len() - missing.len();
            for (position, window) in missing.chunks(WINDOW).enumerate() {
                for (recording, result) in window.iter().zip(extractor.embed_block(window)) {
                    match result {
                        Ok(embedding) => {
                            report.audio_s += embedding.duration_s;
                            ready.insert(recording.id.clone(), embedding.values);
                        }
                        Err(error) => report
                            .failed
                            .push(Failure { utterance: recording.id.clone(), reason: with_causes(&error) }),
                    }
                }
                done(first + position * WINDOW + window.len());
            }
            let mut finished: Option<Embeddings> = None;
            for recording in block {
                if let Some(values) = ready.get(&recording.id) {
                    let size = values.len();
                    finished.get_or_insert_with(|| Embeddings::new(size)).push(&recording.id, values)?;
                    store.get_or_insert_with(|| Embeddings::new(size)).push(&recording.id, values)?;
                }
            }
            if let (Some(finished), false) = (finished, missing.is_empty()) {
                finished.write(&path)?;
            }
        }
        if let Some(store) = store {
            report.embeddings = store.len();
            store.write(&self.out)?;
            report.store = Some(self.out.clone());
        }
        fs::remove_dir_all(&partial).map_err(|source| Error::Io { path: partial, source })?;
        report.wall_s = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Makes the folder of finished blocks, or empties it where it belongs to another job.
    fn open_partial(&self, partial: &Path) -> Result<()> {
        let mark = partial.join("identity");
        let io = |path: &Path| {
            let path = path.to_path_buf();
            |source| Error::Io { path, source }
        };
        if partial.exists() && fs::read_to_string(&mark).ok().as_deref() != Some(&self.identity) {
            tracing::warn!(
                "{}: belongs to another model or list of recordings; starting anew",
                partial.display()
            );
            fs::remove_dir_all(partial).map_err(io(partial))?;
        }
        fs::create_dir_all(partial).map_err(io(partial))?;
        ffsvc_atomic_file::write(&mark, &self.identity).map_err(io(&mark))
    }
}

/// SHA-256 of a file, hexadecimal: tells models apart.
///
/// # Errors
/// The file cannot be read.
pub fn checksum(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    Ok(hexadecimal(&Sha256::digest(bytes)))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_block(path: &Path) -> Result<BTreeMap<String, Vec<f32>>> {
    let block = Embeddings::read(path)?;
    Ok(block.iter().map(|(key, values)| (key.to_string(), values.to_vec())).collect())
}
