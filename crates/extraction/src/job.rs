//! A whole list of recordings into one embedding store, resumable.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ffsvc_audio::Cause;
use ffsvc_dataset::{Notices, ReadError, Recording};
use ffsvc_models::with_causes;
use serde::Serialize;

use crate::block::Done;
use crate::error::{Error, Result};
use crate::extractor::Extractor;
use crate::identity::Identity;
use crate::partial::Partial;
use crate::store;

/// Recordings of a block, by default.
const BLOCK_SIZE: usize = 256;
/// What is ready is saved after this long: what a kill can cost.
const SAVE_INTERVAL: Duration = Duration::from_secs(2);
/// How often a stop is looked for.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

/// Embeds `recordings` into the store `out`.
///
/// While it works, what is ready lies in the folder `OUT.partial`; the store appears when all is done, and the folder goes.
/// A later job with the same model and recordings goes on with that folder, and has nothing to do where the store is
/// complete.
#[derive(Debug)]
pub struct Job {
    recordings: Arc<[Recording]>,
    out: PathBuf,
    identity: Identity,
    block_size: usize,
}

/// A recording that could not be embedded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Utterance id.
    pub utterance: String,
    /// Why, with its causes.
    pub reason: String,
    /// What kind of reason it is.
    pub kind: FailureKind,
}

/// Kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// Longer than [`Limits::max_duration`](ffsvc_audio::Limits::max_duration).
    TooLong,
    /// A pipe or command that gives more than [`Limits::max_bytes`](ffsvc_audio::Limits::max_bytes).
    TooManyBytes,
    /// It needs more memory than there is.
    Memory,
    /// The recording cannot be read or is too short, or its embedding is unusable.
    Other,
}

impl FailureKind {
    fn of(error: &Error) -> Self {
        match error {
            Error::Memory { .. } => Self::Memory,
            Error::Recording(ReadError::TooManyBytes { .. }) => Self::TooManyBytes,
            Error::Recording(ReadError::Audio(error)) => match error.cause {
                Cause::LongerThanLimit { .. } => Self::TooLong,
                Cause::TooManyBytes { .. } => Self::TooManyBytes,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// What a [`Job`] did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Recordings asked for.
    pub recordings: usize,
    /// Embeddings in the store.
    pub embeddings: usize,
    /// Of those, taken over from an earlier job.
    pub resumed: usize,
    /// Recordings without an embedding.
    pub failed: Vec<Failure>,
    /// What there is to know about the recordings that were embedded, taken over or not.
    pub notices: Notices,
    /// Seconds of speech embedded by this job.
    pub audio_s: f64,
    /// Seconds that it took.
    pub wall_s: f64,
    /// True when the job was asked to stop before its end; what is ready waits for the next one.
    pub interrupted: bool,
    /// True when the store was complete before: nothing was done.
    pub already_complete: bool,
    /// Why a store or partial store of an earlier job was not taken over.
    pub changed: Option<String>,
    /// The store; absent when the job was interrupted or no recording could be embedded.
    pub store: Option<PathBuf>,
}

impl Report {
    /// Seconds of speech embedded in one second; `None` where nothing was embedded.
    pub fn real_time_factor(&self) -> Option<f64> {
        (self.audio_s > 0.0 && self.wall_s > 0.0).then(|| self.audio_s / self.wall_s)
    }

    /// Recordings embedded in one second; `None` where none was.
    pub fn recordings_per_second(&self) -> Option<f64> {
        let embedded = self.embeddings.saturating_sub(self.resumed);
        (embedded > 0 && self.wall_s > 0.0).then(|| embedded as f64 / self.wall_s)
    }
}

/// The work on another thread, which ends by itself soon after `cancelled` is set.
struct Worker {
    thread: JoinHandle<()>,
    cancelled: Arc<AtomicBool>,
}

impl Job {
    /// A job for `recordings`. `extractor` stands for all that decides an embedding besides the recording.
    pub fn new(recordings: Vec<Recording>, out: impl Into<PathBuf>, extractor: &Extractor) -> Self {
        let identity = Identity::new(extractor, &recordings);
        Self { recordings: recordings.into(), out: out.into(), identity, block_size: BLOCK_SIZE }
    }

    /// Recordings of one file of the partial store. Default 256.
    #[must_use]
    pub fn block_size(mut self, recordings: usize) -> Self {
        self.block_size = recordings.max(1);
        self
    }

    /// Where what is ready waits for the end.
    pub fn partial(&self) -> PathBuf {
        store::beside(&self.out, ".partial")
    }

    /// Embeds everything that is not embedded yet and writes the store. From time to time it calls `done` with the
    /// total number of recordings that are finished.
    ///
    /// Within a fraction of a second after `stop` is set it saves what is ready and returns, even in the middle of a
    /// long recording. Threads at work end with their batch, or with the process.
    ///
    /// # Errors
    /// The store cannot be written, or another process is writing it. Recordings that cannot be embedded are no error here:
    /// the report lists them.
    pub fn run(
        &self,
        extractor: &Arc<Extractor>,
        stop: &AtomicBool,
        mut done: impl FnMut(usize),
    ) -> Result<Report> {
        let begun = Instant::now();
        store::check_store(&self.out)?;
        let _lock = store::lock(&self.out)?;
        let (mut partial, changed) =
            Partial::open(&self.partial(), &self.out, &self.identity, &self.recordings, self.block_size)?;
        let mut report = Report {
            recordings: self.recordings.len(),
            embeddings: 0,
            resumed: partial.len(),
            failed: Vec::new(),
            notices: Notices::default(),
            audio_s: 0.0,
            wall_s: 0.0,
            interrupted: false,
            already_complete: partial.is_complete_store(),
            changed,
            store: None,
        };
        if report.already_complete {
            report.embeddings = report.resumed;
            report.notices = partial.notices();
            report.store = Some(self.out.clone());
            partial.remove()?;
            return Ok(report);
        }
        let mut failed: Vec<(usize, Failure)> = Vec::new();
        let mut dealt_with = partial.len();
        let (sender, receiver) = channel();
        let worker = self.start(extractor, self.windows(&partial, extractor.options().jobs), move |batch| {
            // Nobody listens any more after a stop.
            let _ = sender.send(batch);
        });
        let mut saved = Instant::now();
        loop {
            if stop.load(Ordering::SeqCst) {
                worker.cancelled.store(true, Ordering::SeqCst);
                partial.save()?;
                report.interrupted = true;
                report.embeddings = partial.len();
                break;
            }
            match receiver.recv_timeout(STOP_INTERVAL) {
                Ok(batch) => {
                    dealt_with += batch.len();
                    for (index, result) in batch {
                        match result {
                            Ok(embedding) => {
                                report.audio_s += embedding.duration_s;
                                partial.insert(index, embedding);
                            }
                            Err(error) => failed.push((index, self.failure(index, &error))),
                        }
                    }
                    done(dealt_with);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    if let Err(panic) = worker.thread.join() {
                        partial.save()?;
                        std::panic::resume_unwind(panic);
                    }
                    break;
                }
            }
            if saved.elapsed() >= SAVE_INTERVAL {
                partial.save()?;
                saved = Instant::now();
            }
        }
        failed.sort_by_key(|(index, _)| *index);
        report.failed = failed.into_iter().map(|(_, failure)| failure).collect();
        report.notices = partial.notices();
        if !report.interrupted {
            report.embeddings = partial.len();
            report.store = partial.finish(&self.out, extractor.provenance())?;
        }
        report.wall_s = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Recordings that are in memory together: parts of blocks, without those that are ready.
    fn windows(&self, partial: &Partial, jobs: usize) -> Vec<Vec<usize>> {
        let all: Vec<usize> = (0..self.recordings.len()).collect();
        all.chunks(self.block_size)
            .flat_map(|block| block.chunks(jobs))
            .map(|window| window.iter().copied().filter(|&index| !partial.has(index)).collect::<Vec<_>>())
            .filter(|window| !window.is_empty())
            .collect()
    }

    fn start(
        &self,
        extractor: &Arc<Extractor>,
        windows: Vec<Vec<usize>>,
        send: impl Fn(Done) + Send + Sync + 'static,
    ) -> Worker {
        let cancelled = Arc::new(AtomicBool::new(false));
        let (recordings, extractor) = (Arc::clone(&self.recordings), Arc::clone(extractor));
        let seen = Arc::clone(&cancelled);
        let thread = std::thread::spawn(move || {
            for window in windows {
                extractor.embed_window(&recordings, &window, &seen, &send);
            }
        });
        Worker { thread, cancelled }
    }

    fn failure(&self, index: usize, error: &Error) -> Failure {
        let utterance = self.recordings[index].id.clone();
        Failure { utterance, reason: with_causes(error), kind: FailureKind::of(error) }
    }
}
