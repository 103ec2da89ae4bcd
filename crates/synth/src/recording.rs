//! How it is recorded: room, microphone, noise and level, anew for every utterance.

use rand::{Rng, RngExt};
use realfft::num_complex::Complex64;
use realfft::{FftError, RealFftPlanner};

use crate::SAMPLE_RATE;
use crate::biquad::Biquad;
use crate::config::SynthConfig;
use crate::random::{decibels, gaussian, log_uniform, uniform};
use crate::room::Room;

/// Peaks above this are avoided by a lower level: 16-bit samples never clip.
pub(crate) const HIGHEST_PEAK: f64 = 0.9;

/// The circumstances of one recording.
#[derive(Debug)]
pub(crate) struct Recording {
    room: Room,
    channel: Vec<Biquad>,
    pub(crate) snr_db: f64,
    /// Slope of the noise spectrum, dB an octave.
    noise_slope_db: f64,
    /// RMS level of the whole, dB below full scale.
    level_db: f64,
}

impl Recording {
    pub(crate) fn draw(config: &SynthConfig, rng: &mut impl Rng) -> Self {
        let rt60_s = log_uniform(rng, config.rt60_s);
        let distance_m = log_uniform(rng, config.distance_m);
        let eq = [-config.channel_db, config.channel_db];
        let channel = vec![
            Biquad::high_pass(log_uniform(rng, [40.0, 200.0])),
            Biquad::high_shelf(log_uniform(rng, [800.0, 2_500.0]), uniform(rng, eq)),
            Biquad::peak(log_uniform(rng, [200.0, 1_000.0]), 0.8, uniform(rng, eq)),
            Biquad::peak(log_uniform(rng, [1_000.0, 6_000.0]), 1.2, uniform(rng, eq)),
            Biquad::low_pass(log_uniform(rng, [4_500.0, 7_500.0])),
        ];
        Self {
            room: Room::draw(rt60_s, distance_m, rng),
            channel,
            snr_db: uniform(rng, config.snr_db),
            noise_slope_db: uniform(rng, [-8.0, 0.0]),
            level_db: uniform(rng, [-38.0, -18.0]),
        }
    }

    /// Records dry speech. The result is as long as the speech. Its SNR is exact: mean power of the speech as it
    /// arrives, pauses included, over that of the noise.
    pub(crate) fn record(&self, dry: &[f64], rng: &mut impl Rng) -> Result<Vec<f32>, FftError> {
        let (mut speech, noise) = self.speech_and_noise(dry, rng)?;
        for (sample, noise) in speech.iter_mut().zip(&noise) {
            *sample += noise;
        }
        let peak = speech.iter().fold(f64::MIN_POSITIVE, |peak, x| peak.max(x.abs()));
        let rms = power(&speech).sqrt().max(f64::MIN_POSITIVE);
        let gain = (decibels(self.level_db) / rms).min(HIGHEST_PEAK / peak);
        Ok(speech.into_iter().map(|x| (x * gain) as f32).collect())
    }

    /// The speech at the microphone and the noise that belongs to it.
    fn speech_and_noise(&self, dry: &[f64], rng: &mut impl Rng) -> Result<(Vec<f64>, Vec<f64>), FftError> {
        let response = self.room.impulse_response(rng);
        let mut speech = convolve(dry, &response)?;
        let mut noise = coloured_noise(dry.len(), self.noise_slope_db, rng)?;
        for filter in &self.channel {
            let mut filter = filter.clone();
            speech.iter_mut().for_each(|x| *x = filter.next(*x));
        }
        let gain = (power(&speech) / power(&noise).max(f64::MIN_POSITIVE)).sqrt() / decibels(self.snr_db);
        noise.iter_mut().for_each(|x| *x *= gain);
        Ok((speech, noise))
    }
}

fn power(samples: &[f64]) -> f64 {
    samples.iter().map(|x| x * x).sum::<f64>() / samples.len().max(1) as f64
}

/// The first `signal.len()` samples of the convolution.
fn convolve(signal: &[f64], response: &[f64]) -> Result<Vec<f64>, FftError> {
    let size = (signal.len() + response.len()).next_power_of_two();
    let mut planner = RealFftPlanner::<f64>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let spectrum_of = |samples: &[f64]| {
        let mut padded = forward.make_input_vec();
        padded[..samples.len()].copy_from_slice(samples);
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut padded, &mut spectrum).map(|()| spectrum)
    };
    let mut spectrum = spectrum_of(signal)?;
    for (bin, factor) in spectrum.iter_mut().zip(spectrum_of(response)?) {
        *bin *= factor / size as f64;
    }
    let mut output = inverse.make_output_vec();
    inverse.process(&mut spectrum, &mut output)?;
    output.truncate(signal.len());
    Ok(output)
}

/// Gaussian noise whose spectrum falls by `slope_db` an octave above 60 Hz.
fn coloured_noise(num_samples: usize, slope_db: f64, rng: &mut impl Rng) -> Result<Vec<f64>, FftError> {
    let size = num_samples.next_power_of_two().max(2);
    let mut planner = RealFftPlanner::<f64>::new();
    let (inverse, exponent) = (planner.plan_fft_inverse(size), slope_db / (20.0 * 2f64.log10()));
    let mut spectrum = inverse.make_input_vec();
    let last = spectrum.len() - 1;
    for (i, bin) in spectrum.iter_mut().enumerate() {
        let hz = i as f64 * f64::from(SAMPLE_RATE) / size as f64;
        let gain = (hz.max(60.0) / 1_000.0).powf(exponent);
        // The ends of a real spectrum are real; no constant offset.
        let imaginary = if i == last { 0.0 } else { gaussian(rng) };
        *bin = Complex64::new(gaussian(rng), imaginary) * if i == 0 { 0.0 } else { gain };
    }
    let mut noise = inverse.make_output_vec();
    inverse.process(&mut spectrum, &mut noise)?;
    // Any stretch of the circle will do; start it anywhere.
    let start = rng.random_range(0..size);
    noise.rotate_left(start);
    noise.truncate(num_samples);
    Ok(noise)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn the_snr_is_the_one_asked_for_and_peaks_stay_below_full_scale() {
        for i in 0..8 {
            let rng = &mut stream(5, Purpose::Recording, i, 0);
            let config = SynthConfig::default();
            let recording = Recording::draw(&config, rng);
            assert!((config.snr_db[0]..=config.snr_db[1]).contains(&recording.snr_db));
            let dry: Vec<f64> = (0..16_000).map(|n| (n as f64 * 0.1).sin() * gaussian(rng)).collect();
            let (speech, noise) = recording.speech_and_noise(&dry, rng).unwrap();
            let got = 10.0 * (power(&speech) / power(&noise)).log10();
            assert!((got - recording.snr_db).abs() < 1e-6, "asked {} dB, got {got} dB", recording.snr_db);

            let impulse: Vec<f64> = (0..16_000).map(|n| f64::from(u8::from(n == 100))).collect();
            for dry in [dry, impulse] {
                let out = recording.record(&dry, rng).unwrap();
                assert_eq!(out.len(), dry.len());
                let peak = out.iter().fold(0f32, |peak, x| peak.max(x.abs()));
                assert!(peak > 0.0 && f64::from(peak) <= HIGHEST_PEAK + 1e-6, "{peak}");
            }
        }
    }

    #[test]
    fn convolution_equals_its_definition() {
        let signal: Vec<f64> = (0..50).map(|n| f64::from(n * n % 7)).collect();
        let response = [1.0, -0.5, 0.0, 0.25];
        for (n, got) in convolve(&signal, &response).unwrap().into_iter().enumerate() {
            let expected: f64 = (0..=n.min(3)).map(|k| response[k] * signal[n - k]).sum();
            assert!((got - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn noise_has_the_slope_asked_for() {
        let rng = &mut stream(5, Purpose::Recording, 0, 1);
        let noise = coloured_noise(1 << 15, -6.0, rng).unwrap();
        let band = |hz: f64| {
            let mut filter = Biquad::default();
            filter.tune_band(hz, hz / 10.0);
            // Bands of constant relative width: what is left is the slope of the density plus 3 dB an octave.
            10.0 * power(&noise.iter().map(|x| filter.next(*x)).collect::<Vec<_>>()).log10()
                - 10.0 * hz.log10()
        };
        let slope = (band(3_200.0) - band(400.0)) / 3.0;
        assert!((slope + 6.0).abs() < 0.7, "{slope} dB an octave");
    }
}
