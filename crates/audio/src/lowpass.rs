//! The low-pass that the FFSVC2022 baseline puts before its rate change: SoX `lowpass 8000`.

/// Cut-off of the baseline's low-pass in Hz.
const CUTOFF_HZ: f64 = 8000.0;

/// SoX's two-pole Butterworth low-pass (`lowpass`, `src/biquads.c`), a bilinear biquad of R. Bristow-Johnson's cookbook
/// with Q = 1/sqrt(2).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lowpass {
    b: [f64; 3],
    a: [f64; 2],
}

impl Lowpass {
    /// The baseline's low-pass at `sample_rate`, or `None` where 8 kHz is at or above the Nyquist frequency. At exactly
    /// 16 kHz its poles and zeros cancel, so leaving it out changes nothing; below that SoX refuses to run it.
    pub(crate) fn of_baseline(sample_rate: u32) -> Option<Self> {
        let omega = std::f64::consts::TAU * CUTOFF_HZ / f64::from(sample_rate);
        if omega >= std::f64::consts::PI {
            return None;
        }
        let alpha = omega.sin() * std::f64::consts::FRAC_1_SQRT_2;
        let a0 = 1.0 + alpha;
        let b1 = (1.0 - omega.cos()) / a0;
        Some(Self { b: [b1 / 2.0, b1, b1 / 2.0], a: [-2.0 * omega.cos() / a0, (1.0 - alpha) / a0] })
    }

    /// Samples after which the filter has forgotten its start to 1e-10.
    pub(crate) fn memory(&self) -> u64 {
        // The larger pole's radius; the poles are a conjugate pair or, for a negative discriminant, real.
        let discriminant = self.a[0] * self.a[0] / 4.0 - self.a[1];
        let radius =
            if discriminant < 0.0 { self.a[1].sqrt() } else { self.a[0].abs() / 2.0 + discriminant.sqrt() };
        // f64 to u64 saturates, which is what a pole on the unit circle asks for.
        (1e-10f64.ln() / radius.ln()).ceil() as u64 + 2
    }

    /// Filters in place from a state of rest.
    pub(crate) fn apply(&self, samples: &mut [f32]) {
        let ([b0, b1, b2], [a1, a2]) = (self.b, self.a);
        let (mut state1, mut state2) = (0.0, 0.0);
        for sample in samples {
            let input = f64::from(*sample);
            let output = b0 * input + state1;
            state1 = b1 * input - a1 * output + state2;
            state2 = b2 * input - a2 * output;
            *sample = output as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_from_16_khz_down() {
        assert!(Lowpass::of_baseline(8000).is_none());
        assert!(Lowpass::of_baseline(16_000).is_none());
        assert!(Lowpass::of_baseline(16_001).is_some());
    }

    #[test]
    fn halves_the_power_at_the_cutoff() {
        let lowpass = Lowpass::of_baseline(48_000).unwrap();
        let mut tone: Vec<f32> = (0..4800).map(|n| (std::f32::consts::TAU * n as f32 / 6.0).sin()).collect();
        lowpass.apply(&mut tone);
        let power = tone[2400..].iter().map(|v| v * v).sum::<f32>() / 2400.0;
        assert!((power - 0.25).abs() < 1e-4, "{power}");
    }

    #[test]
    fn forgets_after_its_memory() {
        for rate in [16_100, 22_050, 44_100, 48_000, 192_000] {
            let lowpass = Lowpass::of_baseline(rate).unwrap();
            let mut impulse = vec![0.0; lowpass.memory() as usize + 100];
            impulse[0] = 1.0;
            lowpass.apply(&mut impulse);
            let tail = impulse[lowpass.memory() as usize..].iter().fold(0.0f32, |max, v| max.max(v.abs()));
            assert!(tail < 1e-8, "{rate} Hz: {tail}");
        }
    }
}
