//! Cepstral mean normalisation: a channel that filters the whole recording adds a constant to each
//! logarithmic band, and subtracting the mean over time takes it away.

use serde::{Deserialize, Serialize};

use crate::reduction::{mean, squared_deviations};
use crate::{Error, Result};

/// Which mean is subtracted. In TOML: `cmn = { type = "utterance" }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Cmn {
    /// Features stay as they are.
    None {},
    /// The mean over all frames of the signal: the baseline, WeSpeaker and most others.
    Utterance(UtteranceCmn),
    /// The mean over a window around each frame: Kaldi's `apply-cmvn-sliding`, for long recordings.
    Sliding(SlidingCmn),
    /// The mean over all frames, and a division by the sample standard deviation plus 1e-5: NeMo's `per_feature`.
    PerFeature {},
}

/// Options of [`Cmn::Utterance`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct UtteranceCmn {
    /// Also divides by the standard deviation over time (population, variance floored at 1e-20 as in `apply-cmvn`).
    /// Default false.
    pub normalize_variance: bool,
}

/// The longest window of [`SlidingCmn`].
const MOST_FRAMES: usize = 1_000_000;

/// Options of [`Cmn::Sliding`], with Kaldi's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SlidingCmn {
    /// Frames in the window. Default 600; speaker recipes use 300.
    pub window_frames: usize,
    /// Frames that the window has at least at the start of a signal, where `center` is false. Default 100.
    pub min_window_frames: usize,
    /// The window lies around the frame, and keeps its full width at both ends; false: it ends with the frame. Default
    /// false; speaker recipes use true.
    pub center: bool,
    /// Also divides by the standard deviation in the window (population, variance floored at 1e-10). Default false.
    pub normalize_variance: bool,
}

impl Default for SlidingCmn {
    fn default() -> Self {
        Self { window_frames: 600, min_window_frames: 100, center: false, normalize_variance: false }
    }
}

impl Default for Cmn {
    /// The baseline's: the mean over the signal.
    fn default() -> Self {
        Self::Utterance(UtteranceCmn::default())
    }
}

impl Cmn {
    /// What [`Cmn::PerFeature`] adds to a standard deviation (NeMo's `CONSTANT`).
    pub const DEVIATION_OFFSET: f64 = 1e-5;

    /// Says whether the options can be used.
    ///
    /// # Errors
    /// A window of no frames, or of more than ten thousand seconds.
    pub fn check(&self) -> Result<()> {
        let Self::Sliding(SlidingCmn { window_frames, min_window_frames, .. }) = *self else { return Ok(()) };
        if !(1..=MOST_FRAMES).contains(&window_frames) {
            return Err(Error::option("cmn.window_frames", window_frames, format!("1 to {MOST_FRAMES}")));
        }
        if min_window_frames > MOST_FRAMES {
            return Err(Error::option(
                "cmn.min_window_frames",
                min_window_frames,
                format!("0 to {MOST_FRAMES}"),
            ));
        }
        Ok(())
    }

    /// Normalises `features`, `[mel, num_frames]`, in place. `row` is working memory.
    pub fn apply(&self, features: &mut [f32], num_frames: usize, row: &mut Vec<f32>) {
        if num_frames == 0 {
            return;
        }
        let rows = features.chunks_exact_mut(num_frames);
        match self {
            Self::None {} => {}
            Self::Utterance(options) => rows.for_each(|row| options.apply_to_row(row)),
            Self::PerFeature {} => rows.for_each(standardise),
            Self::Sliding(options) => rows.for_each(|values| {
                row.clear();
                row.extend_from_slice(values);
                options.apply_to_row(row, values);
            }),
        }
    }
}

impl UtteranceCmn {
    fn apply_to_row(self, row: &mut [f32]) {
        let mean = mean(row);
        if self.normalize_variance {
            let variance = squared_deviations(row, mean) / row.len() as f64;
            let scale = 1.0 / variance.max(1e-20).sqrt();
            row.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) * scale) as f32);
        } else {
            row.iter_mut().for_each(|x| *x = (f64::from(*x) - mean) as f32);
        }
    }
}

/// [`Cmn::PerFeature`] of a row. One frame has no deviation.
fn standardise(row: &mut [f32]) {
    let mean = mean(row);
    let others = row.len().saturating_sub(1).max(1) as f64;
    let std = (squared_deviations(row, mean) / others).sqrt();
    let scale = 1.0 / (std + Cmn::DEVIATION_OFFSET);
    row.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) * scale) as f32);
}

impl SlidingCmn {
    /// Frames of the window of frame `t`, as Kaldi's `SlidingWindowCmnInternal` places it.
    fn window(self, t: usize, num_frames: usize) -> std::ops::Range<usize> {
        let width = self.window_frames;
        let (start, end) = if self.center {
            let start = t.saturating_sub(width / 2);
            (start, start.saturating_add(width))
        } else {
            (t.saturating_sub(width), (t + 1).max(self.min_window_frames))
        };
        if end > num_frames { start.saturating_sub(end - num_frames)..num_frames } else { start..end }
    }

    fn apply_to_row(self, input: &[f32], output: &mut [f32]) {
        // Running sums over the window; 64 bits keep them exact enough over any recording.
        let mut window = 0..0;
        let (mut sum, mut squares) = (0f64, 0f64);
        for (t, out) in output.iter_mut().enumerate() {
            let next = self.window(t, input.len());
            for &x in &input[window.end..next.end] {
                sum += f64::from(x);
                squares += f64::from(x) * f64::from(x);
            }
            for &x in &input[window.start..next.start] {
                sum -= f64::from(x);
                squares -= f64::from(x) * f64::from(x);
            }
            window = next;
            let frames = window.len() as f64;
            let mean = sum / frames;
            let centred = f64::from(input[t]) - mean;
            *out = if !self.normalize_variance {
                centred as f32
            } else if window.len() == 1 {
                0.0
            } else {
                let variance = squares / frames - mean * mean;
                (centred / variance.max(1e-10).sqrt()) as f32
            };
        }
    }
}
