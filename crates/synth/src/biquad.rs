//! Second-order filters of recording chains and of frication noise.

use std::f64::consts::TAU;

use crate::SAMPLE_RATE;

/// A second-order section with the designs of Bristow-Johnson's "Cookbook formulae for audio equalizer
/// biquad filter coefficients".
#[derive(Debug, Clone, Default)]
pub(crate) struct Biquad {
    feed: [f64; 3],
    back: [f64; 2],
    state: [f64; 2],
}

impl Biquad {
    /// Unit gain at `hz`, falling to both sides; half power at `bandwidth_hz` apart.
    pub(crate) fn tune_band(&mut self, hz: f64, bandwidth_hz: f64) {
        let (cos, alpha) = angles(hz, hz / bandwidth_hz);
        self.set([alpha, 0.0, -alpha], [1.0 + alpha, -2.0 * cos, 1.0 - alpha]);
    }

    /// `db` at `hz`, 0 dB far from it.
    pub(crate) fn peak(hz: f64, q: f64, db: f64) -> Self {
        let (cos, alpha) = angles(hz, q);
        let a = 10f64.powf(db / 40.0);
        Self::new(
            [1.0 + alpha * a, -2.0 * cos, 1.0 - alpha * a],
            [1.0 + alpha / a, -2.0 * cos, 1.0 - alpha / a],
        )
    }

    /// `db` well above `hz`, 0 dB well below.
    pub(crate) fn high_shelf(hz: f64, db: f64) -> Self {
        let (cos, alpha) = angles(hz, 0.5);
        let a = 10f64.powf(db / 40.0);
        let root = 2.0 * a.sqrt() * alpha;
        Self::new(
            [
                a * ((a + 1.0) + (a - 1.0) * cos + root),
                -2.0 * a * ((a - 1.0) + (a + 1.0) * cos),
                a * ((a + 1.0) + (a - 1.0) * cos - root),
            ],
            [
                (a + 1.0) - (a - 1.0) * cos + root,
                2.0 * ((a - 1.0) - (a + 1.0) * cos),
                (a + 1.0) - (a - 1.0) * cos - root,
            ],
        )
    }

    /// Butterworth high-pass, -3 dB at `hz`.
    pub(crate) fn high_pass(hz: f64) -> Self {
        let (cos, alpha) = angles(hz, std::f64::consts::FRAC_1_SQRT_2);
        let half = (1.0 + cos) / 2.0;
        Self::new([half, -2.0 * half, half], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    /// Butterworth low-pass, -3 dB at `hz`.
    pub(crate) fn low_pass(hz: f64) -> Self {
        let (cos, alpha) = angles(hz, std::f64::consts::FRAC_1_SQRT_2);
        let half = (1.0 - cos) / 2.0;
        Self::new([half, 2.0 * half, half], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    fn new(feed: [f64; 3], back: [f64; 3]) -> Self {
        let mut filter = Self::default();
        filter.set(feed, back);
        filter
    }

    fn set(&mut self, feed: [f64; 3], back: [f64; 3]) {
        self.feed = feed.map(|b| b / back[0]);
        self.back = [back[1] / back[0], back[2] / back[0]];
    }

    pub(crate) fn next(&mut self, input: f64) -> f64 {
        let output = self.feed[0] * input + self.state[0];
        self.state[0] = self.feed[1] * input - self.back[0] * output + self.state[1];
        self.state[1] = self.feed[2] * input - self.back[1] * output;
        output
    }
}

fn angles(hz: f64, q: f64) -> (f64, f64) {
    let w = TAU * hz / f64::from(SAMPLE_RATE);
    (w.cos(), w.sin() / (2.0 * q))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gain_db(mut filter: Biquad, hz: f64) -> f64 {
        let w = TAU * hz / f64::from(SAMPLE_RATE);
        let (mut re, mut im) = (0.0, 0.0);
        for n in 0..16_000 {
            let y = filter.next(f64::from(u8::from(n == 0)));
            re += y * (w * f64::from(n)).cos();
            im += y * (w * f64::from(n)).sin();
        }
        20.0 * f64::hypot(re, im).log10()
    }

    #[test]
    fn gains_are_those_of_the_design() {
        let near =
            |got: f64, expected: f64| assert!((got - expected).abs() < 0.05, "{got} dB, not {expected} dB");
        near(gain_db(Biquad::peak(1_000.0, 1.0, 6.0), 1_000.0), 6.0);
        near(gain_db(Biquad::peak(1_000.0, 1.0, -6.0), 10.0), 0.0);
        near(gain_db(Biquad::high_shelf(1_000.0, -8.0), 7_900.0), -8.0);
        near(gain_db(Biquad::high_shelf(1_000.0, -8.0), 5.0), 0.0);
        near(gain_db(Biquad::high_pass(100.0), 100.0), -3.0103);
        near(gain_db(Biquad::low_pass(4_000.0), 4_000.0), -3.0103);
        let mut band = Biquad::default();
        band.tune_band(2_000.0, 500.0);
        near(gain_db(band.clone(), 2_000.0), 0.0);
        assert!(gain_db(band, 200.0) < -20.0);
    }
}
