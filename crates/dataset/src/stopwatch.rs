//! Where the time of a batch goes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::span::{Attributes, EnteredSpan, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber, dispatcher};

/// What is being done for a training item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Bytes of the recording.
    Read,
    /// Bytes to samples.
    Decode,
    /// Change of the recording's sample rate.
    Resample,
    /// The plan and all of its steps, the sounds it reads included.
    Augment,
    /// Waveform to features.
    Features,
}

impl Stage {
    /// All stages, in the order of the work.
    pub const ALL: [Self; 5] = [Self::Read, Self::Decode, Self::Resample, Self::Augment, Self::Features];

    /// Its name in print, which is also that of its span.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Decode => "decode",
            Self::Resample => "resample",
            Self::Augment => "augment",
            Self::Features => "features",
        }
    }

    /// The stage that a span stands for.
    fn of(metadata: &Metadata<'_>) -> Option<Self> {
        if !metadata.is_span() || !matches!(metadata.target(), "ffsvc_audio" | TARGET) {
            return None;
        }
        Self::ALL.into_iter().find(|stage| stage.name() == metadata.name())
    }
}

/// Target of this crate's spans; those of reading are `ffsvc_audio`'s.
const TARGET: &str = "ffsvc_dataset";

/// A span of [`Stage::Read`], for what another thread reads.
pub(crate) fn read() -> EnteredSpan {
    tracing::trace_span!(target: TARGET, "read").entered()
}

/// The span of [`Stage::Augment`].
pub(crate) fn augment() -> EnteredSpan {
    tracing::trace_span!(target: TARGET, "augment").entered()
}

/// The span of [`Stage::Features`].
pub(crate) fn features() -> EnteredSpan {
    tracing::trace_span!(target: TARGET, "features").entered()
}

/// Adds up the time that one thread spends in each stage: a subscriber for the spans of the stages. A stage inside another
/// one counts as part of it. Everything else goes on to the subscriber that was there before.
///
/// ```
/// use ffsvc_dataset::Stopwatch;
///
/// let stopwatch = Stopwatch::new();
/// tracing::subscriber::with_default(stopwatch.clone(), || {
///     // Make batches on this thread.
/// });
/// assert_eq!(stopwatch.seconds(), [0.0; 5]);
/// ```
#[derive(Debug, Clone)]
pub struct Stopwatch {
    times: Arc<Mutex<Times>>,
    beneath: Dispatch,
}

#[derive(Debug, Default)]
struct Times {
    /// Stages that are under way, the innermost last.
    depth: usize,
    /// The outermost one.
    current: Option<(Stage, Instant)>,
    seconds: [f64; Stage::ALL.len()],
}

/// Span ids of stages are this and the stage's number: no other subscriber counts so far.
const STAGE_IDS: u64 = u64::MAX - 0xff;

impl Stopwatch {
    /// A stopwatch at zero, on top of this thread's subscriber.
    pub fn new() -> Self {
        Self { times: Arc::default(), beneath: dispatcher::get_default(Dispatch::clone) }
    }

    /// Seconds spent in each stage so far, in the order of [`Stage::ALL`].
    pub fn seconds(&self) -> [f64; Stage::ALL.len()] {
        self.times().seconds
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self::new()
    }
}

fn stage_of(id: &Id) -> Option<Stage> {
    let index = id.into_u64().checked_sub(STAGE_IDS)?;
    Stage::ALL.get(usize::try_from(index).ok()?).copied()
}

impl Subscriber for Stopwatch {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match Stage::of(metadata) {
            Some(_) => Interest::always(),
            None => self.beneath.register_callsite(metadata),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Stage::of(metadata).is_some() || self.beneath.enabled(metadata)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        match Stage::of(span.metadata()) {
            Some(stage) => Id::from_u64(STAGE_IDS + stage as u64),
            None => self.beneath.new_span(span),
        }
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        if stage_of(span).is_none() {
            self.beneath.record(span, values);
        }
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        if stage_of(span).is_none() && stage_of(follows).is_none() {
            self.beneath.record_follows_from(span, follows);
        }
    }

    fn event(&self, event: &Event<'_>) {
        self.beneath.event(event);
    }

    fn enter(&self, span: &Id) {
        let Some(stage) = stage_of(span) else { return self.beneath.enter(span) };
        let mut times = self.times();
        if times.depth == 0 {
            times.current = Some((stage, Instant::now()));
        }
        times.depth += 1;
    }

    fn exit(&self, span: &Id) {
        if stage_of(span).is_none() {
            return self.beneath.exit(span);
        }
        let mut times = self.times();
        times.depth = times.depth.saturating_sub(1);
        if times.depth == 0
            && let Some((stage, since)) = times.current.take()
        {
            times.seconds[stage as usize] += since.elapsed().as_secs_f64();
        }
    }

    fn clone_span(&self, span: &Id) -> Id {
        if stage_of(span).is_some() { span.clone() } else { self.beneath.clone_span(span) }
    }

    fn try_close(&self, span: Id) -> bool {
        stage_of(&span).is_some() || self.beneath.try_close(span)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_stage_inside_another_counts_as_part_of_it() {
        let stopwatch = Stopwatch::new();
        let pause = || std::thread::sleep(Duration::from_millis(20));
        tracing::subscriber::with_default(stopwatch.clone(), || {
            {
                let _outer = augment();
                pause();
                let _inner = features();
                pause();
            }
            pause();
            let _stage = features();
            pause();
        });
        {
            let _unwatched = augment();
            pause();
        }
        let [read, decode, resample, augment, features] = stopwatch.seconds();
        assert_eq!([read, decode, resample], [0.0; 3]);
        assert!(augment >= 0.04 && features >= 0.02, "{augment} {features}");
        // Sleeps may last longer, but the one between the stages belongs to none.
        assert!(augment < 10.0 * features, "{augment} {features}");
    }

    #[test]
    fn reading_a_file_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        ffsvc_audio::write_wav(&path, &[0.1; 48_000], 48_000, Default::default()).unwrap();
        let stopwatch = Stopwatch::new();
        tracing::subscriber::with_default(stopwatch.clone(), || {
            ffsvc_audio::AudioFile::open(&path)
                .unwrap()
                .read(&ffsvc_audio::ReadOptions::at_rate(16_000))
                .unwrap();
        });
        let [read, decode, resample, augment, features] = stopwatch.seconds();
        assert!(read > 0.0 && decode > 0.0 && resample > 0.0, "{read} {decode} {resample}");
        assert_eq!([augment, features], [0.0; 2]);
    }
}
