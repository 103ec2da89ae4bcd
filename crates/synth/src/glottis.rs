//! The glottal source.

use rand::Rng;

use crate::SAMPLE_RATE;
use crate::random::{decibels, gaussian};
use crate::speaker::Speaker;

/// Pulses of glottal flow, differentiated (so that the radiation at the lips is included), with breath.
///
/// The pulse is KLGLOTT88 (Klatt and Klatt, "Analysis, synthesis, and perception of voice quality variations", JASA 87,
/// 1990; Rosenberg's 1971 polynomial). The flow is `t^2 - t^3` while the glottis is open. So the derivative is `2x -
/// 3x^2`, which ends in a jump of 1. The jump is band-limited with the two-sample polynomial of Valimaki and
/// Huovilainen (2007). Otherwise its aliases would make high voices sound harsh.
#[derive(Debug)]
pub(crate) struct Glottis {
    open_quotient: f64,
    jitter: f64,
    shimmer_db: f64,
    breath: f64,
    tilt: OnePole,
    /// Position within the period, 0 to 1, and its step a sample.
    phase: f64,
    step: f64,
    amplitude: f64,
}

impl Glottis {
    pub(crate) fn new(speaker: &Speaker) -> Self {
        Self {
            open_quotient: speaker.open_quotient,
            jitter: speaker.jitter,
            shimmer_db: speaker.shimmer_db,
            breath: decibels(speaker.breath_db),
            tilt: OnePole::with_attenuation(3_000.0, speaker.tilt_db),
            phase: 1.0,
            step: 0.0,
            amplitude: 1.0,
        }
    }

    /// One sample at pitch `f0_hz`, with `voicing` and `aspiration` from 0 to 1.
    pub(crate) fn next(&mut self, f0_hz: f64, voicing: f64, aspiration: f64, rng: &mut impl Rng) -> f64 {
        if self.phase >= 1.0 {
            self.phase -= 1.0;
            // Pitch holds for one whole pulse, as the folds do.
            let period = 1.0 + self.jitter * gaussian(rng).clamp(-3.0, 3.0);
            self.step = f0_hz / (f64::from(SAMPLE_RATE) * period);
            self.amplitude = decibels(self.shimmer_db * gaussian(rng));
        }
        let is_open = self.phase < self.open_quotient;
        let x = self.phase / self.open_quotient;
        let pulse = if is_open { x * (2.0 - 3.0 * x) } else { 0.0 };
        let pulse = pulse + 0.5 * smooth_jump(self.phase - self.open_quotient, self.step);
        self.phase += self.step;

        // Breath comes through the open glottis; some leaks while a voiced one is closed.
        let gate = if is_open || voicing < 0.05 { 1.0 } else { 0.4 };
        let noise = gaussian(rng) * gate * (self.breath * voicing + 0.25 * aspiration);
        self.tilt.next(pulse * self.amplitude * voicing) + noise
    }
}

/// What makes a unit jump at `distance` = 0 band-limited; both arguments in periods.
fn smooth_jump(distance: f64, step: f64) -> f64 {
    let t = distance / step;
    if (0.0..1.0).contains(&t) {
        2.0 * t - t * t - 1.0
    } else if (-1.0..0.0).contains(&t) {
        t * t + 2.0 * t + 1.0
    } else {
        0.0
    }
}

/// A one-pole low-pass filter with unit gain at 0 Hz.
#[derive(Debug, Clone)]
pub(crate) struct OnePole {
    pole: f64,
    last: f64,
}

impl OnePole {
    /// Attenuates by `db` (0 or more) at `hz`.
    pub(crate) fn with_attenuation(hz: f64, db: f64) -> Self {
        // (1 - p)^2 = A (1 - 2 p cos w + p^2), solved for p inside the unit circle.
        let a = 10f64.powf(-db.max(0.0) / 10.0);
        let cos = (std::f64::consts::TAU * hz / f64::from(SAMPLE_RATE)).cos();
        let b = 1.0 - a * cos;
        let pole = if a < 1.0 { (b - (b * b - (1.0 - a).powi(2)).sqrt()) / (1.0 - a) } else { 0.0 };
        Self { pole, last: 0.0 }
    }

    pub(crate) fn next(&mut self, input: f64) -> f64 {
        self.last = (1.0 - self.pole) * input + self.pole * self.last;
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tilt_filter_attenuates_as_asked() {
        for db in [0.0, 3.0, 6.0, 18.0] {
            let mut filter = OnePole::with_attenuation(3_000.0, db);
            let w = std::f64::consts::TAU * 3_000.0 / f64::from(SAMPLE_RATE);
            let (mut input, mut output) = (0.0, 0.0);
            for n in 0..32_000 {
                let x = (w * n as f64).sin();
                let y = filter.next(x);
                if n > 1_000 {
                    input += x * x;
                    output += y * y;
                }
            }
            let got = 10.0 * f64::log10(input / output);
            assert!((got - db).abs() < 0.01, "asked {db} dB, got {got} dB");
        }
    }
}
