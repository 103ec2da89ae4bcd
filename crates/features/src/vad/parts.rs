//! From decisions on frames to parts of a recording.

use super::FRAME_SHIFT_S;
use crate::{Error, Result};

/// Which parts of a recording are speech, given which of its frames are.
///
/// The defaults are those of Silero VAD's `get_speech_timestamps`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpeechParts {
    /// Shorter parts are left out, s. Default 0.25.
    pub min_speech_s: f64,
    /// Shorter pauses belong to the speech around them, s. Default 0.1.
    pub min_pause_s: f64,
    /// What is added before and after each part, s: at most half of the pause that is there. Default 0.03.
    pub pad_s: f64,
}

impl Default for SpeechParts {
    fn default() -> Self {
        Self { min_speech_s: 0.25, min_pause_s: 0.1, pad_s: 0.03 }
    }
}

impl SpeechParts {
    /// The parts, from one time to another in seconds, in order and apart from each other. `decisions` are those of
    /// [`SpeechDetector::detect`](crate::SpeechDetector::detect); a decision holds for the 10 ms around the middle of its frame,
    /// the first one from the start on and the last one to the end of the recording.
    ///
    /// ```
    /// use ffsvc_features::SpeechParts;
    ///
    /// // 0.5 s of speech, a pause of 0.2 s, and a click.
    /// let decisions = [vec![true; 50], vec![false; 20], vec![true; 3], vec![false; 25]].concat();
    /// let parts = SpeechParts::default().of(&decisions, 1.0)?;
    /// assert_eq!(parts.len(), 1);
    /// assert!(parts[0].0 == 0.0 && (parts[0].1 - 0.5375).abs() < 1e-9);
    /// # Ok::<(), ffsvc_features::Error>(())
    /// ```
    ///
    /// # Errors
    /// An option is negative or not a number.
    pub fn of(&self, decisions: &[bool], duration_s: f64) -> Result<Vec<(f64, f64)>> {
        for (option, value) in
            [("min_speech_s", self.min_speech_s), ("min_pause_s", self.min_pause_s), ("pad_s", self.pad_s)]
        {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::option(option, value, "at least 0 s"));
            }
        }
        let mut parts: Vec<(f64, f64)> = Vec::new();
        let mut frame = 0;
        for run in decisions.chunk_by(|a, b| a == b) {
            let (first, end) = (frame, frame + run.len());
            frame = end;
            if !run[0] {
                continue;
            }
            let from = if first == 0 { 0.0 } else { border(first) };
            let to = if end == decisions.len() { duration_s } else { border(end).min(duration_s) };
            match parts.last_mut() {
                // A tenth of a frame, because times are sums.
                Some(last) if from - last.1 < self.min_pause_s - 0.1 * FRAME_SHIFT_S => last.1 = to,
                _ => parts.push((from, to)),
            }
        }
        parts.retain(|(from, to)| to - from > self.min_speech_s - 0.1 * FRAME_SHIFT_S);
        let bare = parts.clone();
        for (place, part) in parts.iter_mut().enumerate() {
            let before = match place.checked_sub(1) {
                Some(last) => (bare[place].0 - bare[last].1) / 2.0,
                None => bare[place].0,
            };
            let after = match bare.get(place + 1) {
                Some(next) => (next.0 - bare[place].1) / 2.0,
                None => duration_s - bare[place].1,
            };
            part.0 -= self.pad_s.min(before);
            part.1 += self.pad_s.min(after).max(0.0);
        }
        Ok(parts)
    }
}

/// Where the decision on a frame begins to hold, s: frames are 25 ms long.
fn border(frame: usize) -> f64 {
    (frame as f64 + 0.75) * FRAME_SHIFT_S
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Frames of one kind after the other, beginning with a pause.
    fn runs(lengths: &[usize]) -> Vec<bool> {
        lengths.iter().enumerate().flat_map(|(n, &length)| vec![n % 2 == 1; length]).collect()
    }

    #[test]
    fn short_pauses_and_short_parts_are_left_out() {
        let options = SpeechParts { min_speech_s: 0.25, min_pause_s: 0.1, pad_s: 0.0 };
        let of = |lengths: &[usize]| {
            let decisions = runs(lengths);
            options.of(&decisions, decisions.len() as f64 * 0.01 + 0.015).unwrap()
        };
        let rounded = |parts: Vec<(f64, f64)>| -> Vec<(i64, i64)> {
            parts.iter().map(|(from, to)| ((from * 1e4).round() as i64, (to * 1e4).round() as i64)).collect()
        };
        // Pauses of 90 and of 100 ms, a part of 240 and one of 250 ms.
        assert_eq!(rounded(of(&[10, 30, 9, 30, 10, 24, 20, 25, 5])), [(1075, 7975), (13_375, 15_875)]);
        assert_eq!(rounded(of(&[0, 40])), [(0, 4150)]);
        assert_eq!(rounded(of(&[5])), []);
        assert!(options.of(&[], 0.0).unwrap().is_empty());
    }

    #[test]
    fn padding_stays_inside_of_pauses() {
        let options = SpeechParts { min_speech_s: 0.0, min_pause_s: 0.02, pad_s: 0.05 };
        let decisions = runs(&[3, 40, 4, 40, 100, 40, 3]);
        let parts = options.of(&decisions, 2.315).unwrap();
        let expected = [(0.0, 0.4575), (0.4575, 0.9275), (1.8275, 2.315)];
        for (found, expected) in parts.iter().zip(expected) {
            assert!((found.0 - expected.0).abs() < 1e-9 && (found.1 - expected.1).abs() < 1e-9, "{parts:?}");
        }
        let error = SpeechParts { pad_s: -1.0, ..options }.of(&decisions, 2.315).unwrap_err().to_string();
        assert!(error.contains("pad_s = -1"), "{error}");
    }

    proptest! {
        #[test]
        fn parts_are_in_order_apart_and_inside(
            decisions in prop::collection::vec(any::<bool>(), 0..300),
            min_speech_s in 0.0..0.3_f64,
            min_pause_s in 0.0..0.3_f64,
            pad_s in 0.0..0.3_f64,
        ) {
            let duration_s = decisions.len() as f64 * 0.01 + 0.015;
            let options = SpeechParts { min_speech_s, min_pause_s, pad_s };
            let parts = options.of(&decisions, duration_s).unwrap();
            let times: Vec<f64> = parts.iter().flat_map(|&(from, to)| [from, to]).collect();
            prop_assert!(times.iter().all(|time| (0.0..=duration_s + 1e-9).contains(time)), "{times:?}");
            prop_assert!(times.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9), "{times:?}");
            prop_assert!(parts.iter().all(|(from, to)| to > from));
        }
    }
}
