//! Windows of a recording, whose embeddings are averaged.

use serde::{Deserialize, Serialize};

use crate::error::{Result, require, require_size};

/// How a network sees a recording outside training: in windows of one length. Its embedding is the mean of theirs, of length 1.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Windows {
    /// Frames of a window. Default: 160.
    pub frames: usize,
    /// Frames from the beginning of a window to that of the next one. Default: 77, so 1.3 windows a second.
    pub shift: usize,
    /// The last window is left out, unless it is the only one, if less than this share of it lies on the recording. Otherwise silence
    /// fills it. Default: 0.75.
    pub least_coverage: f64,
}

impl Default for Windows {
    /// Those of Resemblyzer.
    fn default() -> Self {
        Self { frames: 160, shift: 77, least_coverage: 0.75 }
    }
}

impl Windows {
    pub(crate) fn validate(&self) -> Result<()> {
        require_size(self.frames, "model.windows.frames")?;
        let is_within = (1..=self.frames).contains(&self.shift);
        require(is_within, "model.windows.shift", self.shift, "from 1 to the frames of a window")?;
        let share = self.least_coverage;
        require(
            share > 0.0 && share <= 1.0,
            "model.windows.least_coverage",
            share,
            "a number above 0, at most 1",
        )
    }

    /// Number of windows of a recording of `frames` frames, the first of which is at its beginning: 1 or more.
    pub fn count(&self, frames: usize) -> usize {
        let windows = (frames + self.shift).saturating_sub(self.frames) / self.shift + 1;
        let last = (windows - 1) * self.shift;
        // The last frame is at the end of the recording, or less than a frame before it.
        let on_recording = frames.saturating_sub(1) as f64 - last as f64;
        if windows > 1 && on_recording < self.least_coverage * self.frames as f64 {
            windows - 1
        } else {
            windows
        }
    }

    /// Number of windows that lie within `frames` frames.
    pub fn count_within(&self, frames: usize) -> usize {
        frames.checked_sub(self.frames).map_or(0, |rest| rest / self.shift + 1)
    }

    /// Frames that so many windows reach over.
    pub fn reach(&self, windows: usize) -> usize {
        windows.saturating_sub(1) * self.shift + self.frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `VoiceEncoder.compute_partial_slices` of Resemblyzer, with its numbers of samples.
    fn resemblyzer(samples: usize, rate: f64, least_coverage: f64) -> usize {
        let frames = (samples + 1).div_ceil(160) as isize;
        let step = (100.0 / rate).round() as isize;
        let starts: Vec<isize> = (0..(frames - 160 + step + 1).max(1)).step_by(step as usize).collect();
        let last = starts[starts.len() - 1] as f64 * 160.0;
        let coverage = (samples as f64 - last) / (160.0 * 160.0);
        starts.len() - usize::from(coverage < least_coverage && starts.len() > 1)
    }

    #[test]
    fn windows_are_those_of_resemblyzer() {
        for (rate, least_coverage) in [(1.3f64, 0.75), (1.0, 0.5), (4.0, 1.0), (0.625, 0.25)] {
            let shift = (100.0 / rate).round() as usize;
            let windows = Windows { frames: 160, shift, least_coverage };
            windows.validate().expect("in range");
            for samples in (1..400_000).step_by(53).chain((19_000..33_000).step_by(1)) {
                let count = windows.count(samples / 160 + 1);
                assert_eq!(
                    count,
                    resemblyzer(samples, rate, least_coverage),
                    "{samples} samples, {windows:?}"
                );
            }
        }
    }

    #[test]
    fn windows_that_leave_gaps_or_see_nothing_are_refused() {
        let right = Windows::default();
        for wrong in [
            Windows { frames: 0, ..right },
            Windows { shift: 0, ..right },
            Windows { shift: 161, ..right },
            Windows { least_coverage: 0.0, ..right },
            Windows { least_coverage: f64::NAN, ..right },
        ] {
            assert!(wrong.validate().is_err(), "{wrong:?}");
        }
    }
}
