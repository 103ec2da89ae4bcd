//! The vocal tract: resonators in a row.

use std::f64::consts::PI;

use crate::SAMPLE_RATE;
use crate::speaker::NUM_FORMANTS;

/// The two-pole resonator of Klatt, "Software for a cascade/parallel formant synthesizer", JASA 67
/// (1980), equations 2 and 3: unit gain at 0 Hz.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resonator {
    gain: f64,
    b: f64,
    c: f64,
    past: [f64; 2],
}

impl Resonator {
    pub(crate) fn tune(&mut self, hz: f64, bandwidth_hz: f64) {
        let rate = f64::from(SAMPLE_RATE);
        let radius = (-PI * bandwidth_hz / rate).exp();
        self.c = -radius * radius;
        self.b = 2.0 * radius * (2.0 * PI * hz / rate).cos();
        self.gain = 1.0 - self.b - self.c;
    }

    pub(crate) fn next(&mut self, input: f64) -> f64 {
        let output = self.gain * input + self.b * self.past[0] + self.c * self.past[1];
        self.past = [output, self.past[0]];
        output
    }
}

/// The inverse of a [`Resonator`] (Klatt 1980, equation 4): a dip in the spectrum.
#[derive(Debug, Clone, Default)]
struct AntiResonator {
    taps: [f64; 3],
    past: [f64; 2],
}

impl AntiResonator {
    fn tune(&mut self, hz: f64, bandwidth_hz: f64) {
        let mut mirror = Resonator::default();
        mirror.tune(hz, bandwidth_hz);
        self.taps = [1.0, -mirror.b, -mirror.c].map(|tap| tap / mirror.gain);
    }

    fn next(&mut self, input: f64) -> f64 {
        let output = self.taps[0] * input + self.taps[1] * self.past[0] + self.taps[2] * self.past[1];
        self.past = [input, self.past[0]];
        output
    }
}

/// Eight formants in a row, with the pole and the zero of the nose. While zero and pole coincide, the
/// nose is shut off and leaves no trace.
#[derive(Debug, Default)]
pub(crate) struct Tract {
    formants: [Resonator; NUM_FORMANTS],
    nasal_pole: Resonator,
    nasal_zero: AntiResonator,
}

/// Frequency of the nasal pole, Hz, in an average male tract (Klatt 1980).
pub(crate) const NASAL_POLE_HZ: f64 = 270.0;
const NASAL_BANDWIDTH_HZ: f64 = 100.0;

impl Tract {
    /// Sets formants and bandwidths, and the nose's pole and zero, all in Hz.
    pub(crate) fn tune(
        &mut self,
        formants: &[f64; NUM_FORMANTS],
        bandwidth_hz: impl Fn(f64) -> f64,
        nasal_pole_hz: f64,
        nasal_zero_hz: f64,
    ) {
        for (resonator, &hz) in self.formants.iter_mut().zip(formants) {
            resonator.tune(hz, bandwidth_hz(hz));
        }
        self.nasal_pole.tune(nasal_pole_hz, NASAL_BANDWIDTH_HZ);
        self.nasal_zero.tune(nasal_zero_hz, NASAL_BANDWIDTH_HZ);
    }

    pub(crate) fn next(&mut self, input: f64) -> f64 {
        let nasal = self.nasal_zero.next(self.nasal_pole.next(input));
        self.formants.iter_mut().fold(nasal, |sample, formant| formant.next(sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speaker::Speaker;
    use crate::vowel::Vowel;

    /// Magnitude of the response at a frequency, by the sum that defines it.
    fn magnitude(response: &[f64], hz: f64) -> f64 {
        let w = 2.0 * PI * hz / f64::from(SAMPLE_RATE);
        let (re, im) = response.iter().enumerate().fold((0.0, 0.0), |(re, im), (n, x)| {
            (re + x * (w * n as f64).cos(), im - x * (w * n as f64).sin())
        });
        f64::hypot(re, im)
    }

    #[test]
    fn the_response_peaks_at_the_formants_and_is_one_at_0_hz() {
        let speaker = Speaker::draw(3, 1);
        for vowel in [Vowel::Heed, Vowel::Had, Vowel::Hud] {
            let formants = speaker.vowel_formants(vowel);
            let mut tract = Tract::default();
            tract.tune(&formants, |hz| speaker.bandwidth_hz(hz), NASAL_POLE_HZ, NASAL_POLE_HZ);
            let response: Vec<f64> = (0..4000).map(|n| tract.next(f64::from(u8::from(n == 0)))).collect();
            assert!((magnitude(&response, 0.0) - 1.0).abs() < 1e-6);
            for &formant in &formants[..4] {
                let around = (-100..=100).map(|offset| formant + f64::from(offset));
                let peak =
                    around.max_by(|a, b| magnitude(&response, *a).total_cmp(&magnitude(&response, *b)));
                let peak = peak.unwrap();
                assert!((peak - formant).abs() < 0.02 * formant, "{vowel:?}: {peak} Hz for {formant} Hz");
            }
        }
    }

    #[test]
    fn a_nasal_zero_is_a_dip() {
        let speaker = Speaker::draw(3, 1);
        let formants = speaker.vowel_formants(Vowel::Hud);
        let response = |zero| {
            let mut tract = Tract::default();
            tract.tune(&formants, |hz| speaker.bandwidth_hz(hz), NASAL_POLE_HZ, zero);
            let response: Vec<f64> = (0..4000).map(|n| tract.next(f64::from(u8::from(n == 0)))).collect();
            20.0 * (magnitude(&response, 1_000.0) / magnitude(&response, 300.0)).log10()
        };
        assert!(response(1_000.0) < response(NASAL_POLE_HZ) - 20.0);
    }
}
