//! How long training takes, from steps that were timed.

use serde::Serialize;

/// How fast a run learns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pace {
    /// Seconds of an optimiser step, waiting for data included.
    pub step_seconds: f64,
    /// Utterances of an optimiser step.
    pub step_utterances: usize,
}

impl Pace {
    /// Utterances of VoxCeleb2's development part: the corpus that networks of this kind are usually trained on.
    pub const VOXCELEB2_UTTERANCES: usize = 1_092_009;
    /// Its speakers.
    pub const VOXCELEB2_SPEAKERS: usize = 5_994;

    /// Seconds of so many optimiser steps, without validations and checkpoints.
    pub fn seconds(&self, steps: usize) -> f64 {
        self.step_seconds * steps as f64
    }

    /// Seconds of so many epochs over VoxCeleb2's development part, without validations and checkpoints. The classifier of its
    /// 5,994 speakers adds a little, where the steps that were timed have fewer classes.
    pub fn voxceleb2_seconds(&self, epochs: usize) -> f64 {
        let steps = Self::VOXCELEB2_UTTERANCES / self.step_utterances.max(1);
        self.seconds(steps.saturating_mul(epochs))
    }

    /// A line for a person: how long `steps` take that `what` describes, and what `epochs` are for VoxCeleb2.
    pub fn describe(&self, steps: usize, what: &str, epochs: usize) -> String {
        format!(
            "{} for {steps} steps{what}, at {:.3} s a step without validations; {} for {epochs} epochs of VoxCeleb2 dev ({} \
             utterances of {} speakers)",
            time_in_words(self.seconds(steps)),
            self.step_seconds,
            time_in_words(self.voxceleb2_seconds(epochs)),
            Self::VOXCELEB2_UTTERANCES,
            Self::VOXCELEB2_SPEAKERS,
        )
    }
}

/// A time in the unit that suits it.
pub fn time_in_words(seconds: f64) -> String {
    let (minute, hour, day) = (60.0, 3600.0, 86_400.0);
    match seconds {
        s if s < 2.0 * minute => format!("{s:.0} s"),
        s if s < 2.0 * hour => format!("{:.0} min", s / minute),
        s if s < 2.0 * day => format!("{:.1} h", s / hour),
        s => format!("{:.1} days", s / day),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_run_and_the_whole_of_voxceleb2() {
        let pace = Pace { step_seconds: 0.5, step_utterances: 128 };
        assert_eq!(pace.seconds(100), 50.0);
        // 8,531 steps an epoch, as configs/resnet34.toml says.
        assert_eq!(pace.voxceleb2_seconds(2), 8531.0);
        let text = pace.describe(240, " that are left", 50);
        assert!(text.starts_with("2 min for 240 steps that are left, at 0.500 s a step"), "{text}");
        assert!(text.contains("2.5 days for 50 epochs of VoxCeleb2 dev (1092009 utterances"), "{text}");
        for (seconds, words) in [(3.4, "3 s"), (600.0, "10 min"), (9000.0, "2.5 h"), (1e6, "11.6 days")] {
            assert_eq!(time_in_words(seconds), words);
        }
    }
}
