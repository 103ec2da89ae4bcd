//! What makes a synthetic voice that voice.

use rand::RngExt;

use crate::random::{Purpose, normal, stream, uniform};
use crate::vowel::{Sex, Vowel};

/// Formants of every sound. At 16 kHz the tract of an adult has about eight resonances.
pub const NUM_FORMANTS: usize = 8;

/// Speed of sound in the warm, moist air of a vocal tract, cm/s (Fant 1960).
const SPEED_OF_SOUND_CM: f64 = 35_300.0;
/// Formants stay below this, Hz: half the sample rate less room for their bandwidth.
const HIGHEST_FORMANT_HZ: f64 = 7_700.0;

/// A synthetic speaker. The values hold for all that the speaker says.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Speaker {
    /// Sex, which sets the averages that the other values vary around.
    pub sex: Sex,
    /// Median pitch, Hz.
    pub f0_hz: f64,
    /// How far accents raise the pitch, semitones.
    pub accent_semitones: f64,
    /// How fast the pitch falls within a phrase, semitones a second.
    pub declination_semitones: f64,
    /// Vocal-tract length, cm: all formants are inversely proportional to it.
    pub tract_length_cm: f64,
    /// The speaker's own factor on each formant, beside the length.
    pub formant_factors: [f64; NUM_FORMANTS],
    /// The speaker's own factor on F1 and F2 of each vowel (an accent, so to say).
    pub vowel_factors: [[f64; 2]; 12],
    /// Factor on all formant bandwidths.
    pub bandwidth_factor: f64,
    /// Part of each period during which the glottis is open (Klatt and Klatt 1990).
    pub open_quotient: f64,
    /// Attenuation of the voice at 3 kHz by soft glottal closure, dB.
    pub tilt_db: f64,
    /// Standard deviation of the period from pulse to pulse, relative.
    pub jitter: f64,
    /// Standard deviation of the amplitude from pulse to pulse, dB.
    pub shimmer_db: f64,
    /// Level of the breath noise beside the voice, dB.
    pub breath_db: f64,
    /// Factor on the frequencies of fricatives and bursts.
    pub frication_factor: f64,
    /// Factor on the duration of every sound.
    pub slowness: f64,
    /// How often a syllable starts with a consonant.
    pub onset_probability: f64,
}

impl Speaker {
    /// The speaker with this number; even numbers are women, odd ones men. The same seed and number
    /// always give the same speaker.
    ///
    /// Pitch (15 %) and tract length (6 %) vary so much around the averages of the sexes that they overlap.
    pub fn draw(seed: u64, number: u64) -> Self {
        let rng = &mut stream(seed, Purpose::Speaker, number, 0);
        let sex = if number.is_multiple_of(2) { Sex::Female } else { Sex::Male };
        let average_f0: f64 = if sex == Sex::Female { 200.0 } else { 120.0 };
        Self {
            sex,
            f0_hz: average_f0 * normal(rng, 0.0, 0.15).exp(),
            accent_semitones: uniform(rng, [1.5, 5.0]),
            declination_semitones: uniform(rng, [0.3, 2.0]),
            tract_length_cm: sex.tract_length_cm() * normal(rng, 0.0, 0.06).exp(),
            formant_factors: std::array::from_fn(|_| normal(rng, 0.0, 0.045).exp()),
            vowel_factors: std::array::from_fn(|_| std::array::from_fn(|_| normal(rng, 0.0, 0.05).exp())),
            bandwidth_factor: normal(rng, 0.0, 0.25).exp(),
            open_quotient: uniform(rng, [0.4, 0.85]),
            tilt_db: uniform(rng, [0.0, 18.0]),
            jitter: uniform(rng, [0.002, 0.012]),
            shimmer_db: uniform(rng, [0.1, 0.8]),
            breath_db: uniform(rng, [-45.0, -22.0]),
            frication_factor: normal(rng, 0.0, 0.12).exp(),
            slowness: normal(rng, 0.0, 0.18).exp(),
            onset_probability: 0.6 + 0.3 * rng.random::<f64>(),
        }
    }

    /// The speaker's F1 to F8 of a vowel, Hz, ascending.
    pub fn vowel_formants(&self, vowel: Vowel) -> [f64; NUM_FORMANTS] {
        let mut formants = self.formants(vowel.average_formants(self.sex));
        for (formant, factor) in formants.iter_mut().zip(self.vowel_factors[vowel as usize]) {
            *formant *= factor;
        }
        ordered(formants)
    }

    /// Turns average F1 to F4 of the speaker's sex into F1 to F8 of this speaker.
    ///
    /// F5 and above are those of a uniform tube closed at the glottis, `(2n - 1) c / 4L`: they hardly
    /// depend on the sound.
    pub(crate) fn formants(&self, average: [f64; 4]) -> [f64; NUM_FORMANTS] {
        let scale = self.sex.tract_length_cm() / self.tract_length_cm;
        let tube = SPEED_OF_SOUND_CM / (4.0 * self.tract_length_cm);
        ordered(std::array::from_fn(|i| {
            let formant = average.get(i).map_or((2 * i + 1) as f64 * tube, |f| f * scale);
            formant * self.formant_factors[i]
        }))
    }

    /// Bandwidth of a formant at a frequency, Hz: 50 Hz at the bottom and rising with its square, as the
    /// measured ones do (about 100 Hz at 2.5 kHz and 250 Hz at 5 kHz).
    pub fn bandwidth_hz(&self, formant_hz: f64) -> f64 {
        self.bandwidth_factor * 50.0 * (1.0 + (formant_hz / 2_450.0).powi(2))
    }
}

/// Keeps formants apart and below the highest frequency.
fn ordered(mut formants: [f64; NUM_FORMANTS]) -> [f64; NUM_FORMANTS] {
    for i in 1..NUM_FORMANTS {
        formants[i] = formants[i].max(formants[i - 1] + 150.0);
    }
    formants.map(|f| f.min(HIGHEST_FORMANT_HZ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voices_vary_around_the_published_averages() {
        let speakers: Vec<_> = (0..400).map(|n| Speaker::draw(7, n)).collect();
        for (sex, f0) in [(Sex::Female, 200.0), (Sex::Male, 120.0)] {
            let of_sex: Vec<_> = speakers.iter().filter(|s| s.sex == sex).collect();
            let mean =
                |f: &dyn Fn(&Speaker) -> f64| of_sex.iter().map(|s| f(s)).sum::<f64>() / of_sex.len() as f64;
            assert!((mean(&|s| s.f0_hz) / f0 - 1.0).abs() < 0.04);
            for vowel in [Vowel::Heed, Vowel::Hod, Vowel::Whod] {
                for (i, average) in vowel.average_formants(sex).iter().enumerate() {
                    let ours = mean(&|s| s.vowel_formants(vowel)[i]);
                    assert!((ours / average - 1.0).abs() < 0.04, "{vowel:?} F{}: {ours}", i + 1);
                }
            }
        }
        let (women, men): (Vec<&Speaker>, Vec<&Speaker>) =
            speakers.iter().partition(|s| s.sex == Sex::Female);
        let deepest_woman = women.iter().map(|s| s.f0_hz).fold(f64::INFINITY, f64::min);
        let highest_man = men.iter().map(|s| s.f0_hz).fold(0.0, f64::max);
        assert!(deepest_woman < highest_man);
    }

    #[test]
    fn formants_ascend_within_the_band() {
        for number in 0..200 {
            let speaker = Speaker::draw(1, number);
            for vowel in Vowel::ALL {
                let formants = speaker.vowel_formants(vowel);
                assert!(formants.is_sorted() && formants[0] > 150.0 && formants[7] <= HIGHEST_FORMANT_HZ);
            }
        }
    }
}
