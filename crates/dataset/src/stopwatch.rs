//! Where the time of a batch goes.

use std::time::Instant;

use ffsvc_audio::Watch;

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

    /// Its name in print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Decode => "decode",
            Self::Resample => "resample",
            Self::Augment => "augment",
            Self::Features => "features",
        }
    }
}

impl From<ffsvc_audio::Stage> for Stage {
    fn from(stage: ffsvc_audio::Stage) -> Self {
        match stage {
            ffsvc_audio::Stage::Read => Self::Read,
            ffsvc_audio::Stage::Decode => Self::Decode,
            ffsvc_audio::Stage::Resample => Self::Resample,
        }
    }
}

/// Adds up the time spent in each stage. Off by default, as in training: it then costs a comparison a stage.
#[derive(Debug, Default)]
pub struct Stopwatch {
    on: bool,
    current: Option<(Stage, Instant)>,
    seconds: [f64; Stage::ALL.len()],
}

impl Stopwatch {
    /// A stopwatch that runs.
    pub fn on() -> Self {
        Self { on: true, ..Self::default() }
    }

    /// Seconds spent in each stage, in the order of [`Stage::ALL`].
    pub fn seconds(&self) -> [f64; Stage::ALL.len()] {
        self.seconds
    }

    pub(crate) fn enter(&mut self, stage: Stage) {
        if self.on {
            let now = Instant::now();
            self.add_current(now);
            self.current = Some((stage, now));
        }
    }

    /// Between items no stage is under way.
    pub(crate) fn stop(&mut self) {
        if self.on {
            self.add_current(Instant::now());
        }
    }

    fn add_current(&mut self, now: Instant) {
        if let Some((stage, since)) = self.current.take() {
            self.seconds[stage as usize] += now.duration_since(since).as_secs_f64();
        }
    }
}

impl Watch for Stopwatch {
    fn enter(&mut self, stage: ffsvc_audio::Stage) {
        Stopwatch::enter(self, stage.into());
    }
}
