//! What a call over the internet does: coding by Opus ([RFC 6716](https://www.rfc-editor.org/rfc/rfc6716)), as for speech.

use opus_pure::{Application, MAX_PACKET_BYTES, OpusDecoder, OpusEncoder};

use crate::error::{Error, Result};

/// Packets a second: of 20 ms, what calls use.
const PACKETS_A_SECOND: usize = 50;
/// Of libopus's 0 to 10: what telephones can afford.
const COMPLEXITY: i32 = 5;

/// An encoder and a decoder at the rate of the samples.
pub(crate) struct InternetCall {
    encoder: OpusEncoder,
    decoder: OpusDecoder,
    packet: usize,
}

impl InternetCall {
    /// At a mean rate of `bits_per_second`, libopus's default.
    ///
    /// # Errors
    /// Opus does not have the sample rate: it has 8, 12, 16, 24 and 48 kHz.
    pub(crate) fn new(sample_rate: u32, bits_per_second: u32) -> Result<Self> {
        let unknown_rate = |_| Error::Config {
            key: "channel.opus".into(),
            found: format!("more than 0 at {sample_rate} Hz"),
            expected: "0, or samples of 8, 12, 16, 24 or 48 kHz".into(),
        };
        let rate = i32::try_from(sample_rate).unwrap_or(i32::MAX);
        let mut encoder = OpusEncoder::new(rate, 1, Application::Voip).map_err(unknown_rate)?;
        encoder.complexity = COMPLEXITY;
        encoder.bitrate_bps = i32::try_from(bits_per_second).unwrap_or(i32::MAX);
        let decoder = OpusDecoder::new(rate, 1).map_err(unknown_rate)?;
        Ok(Self { encoder, decoder, packet: sample_rate as usize / PACKETS_A_SECOND })
    }

    /// Codes and decodes the samples, which keep their places in time.
    ///
    /// # Errors
    /// The codec fails.
    pub(crate) fn apply(mut self, samples: &[f32]) -> Result<Vec<f32>> {
        let delay = self.encoder.lookahead();
        let mut coded = [0; MAX_PACKET_BYTES];
        let (mut input, mut output) = (vec![0.0; self.packet], vec![0.0; self.packet]);
        let mut received = Vec::with_capacity(samples.len() + delay + self.packet);
        let mut left = samples;
        while received.len() < samples.len() + delay {
            let (now, later) = left.split_at(left.len().min(self.packet));
            input[..now.len()].copy_from_slice(now);
            input[now.len()..].fill(0.0);
            left = later;
            let bytes = self.encoder.encode(&input, self.packet, &mut coded).map_err(failed)?;
            let frames = self.decoder.decode(&coded[..bytes], self.packet, &mut output).map_err(failed)?;
            received.extend_from_slice(&output[..frames]);
            if frames == 0 {
                return Err(failed("no samples came back"));
            }
        }
        received.drain(..delay);
        received.truncate(samples.len());
        Ok(received)
    }
}

fn failed(cause: impl ToString) -> Error {
    Error::Opus { what: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 16_000;

    /// A voice: pulses through a resonance.
    fn voice() -> Vec<f32> {
        let (mut y1, mut y2) = (0.0f32, 0.0f32);
        let mut samples: Vec<f32> = (0..2 * RATE as usize + 77)
            .map(|n| {
                let pulse = if n % 133 == 0 { 1.0 } else { 0.0 };
                let y = pulse + 1.8 * y1 - 0.9 * y2;
                (y2, y1) = (y1, y);
                y
            })
            .collect();
        let peak = samples.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
        samples.iter_mut().for_each(|sample| *sample *= 0.5 / peak);
        samples
    }

    /// Correlation of the received samples, so many later, with the original ones.
    fn fidelity(original: &[f32], received: &[f32], shift: usize) -> f64 {
        let pairs = || original.iter().zip(&received[shift..]).skip(3000).take(20_000);
        let product: f64 = pairs().map(|(a, b)| f64::from(a * b)).sum();
        let energies =
            pairs().fold((0.0, 0.0), |(a2, b2), (a, b)| (a2 + f64::from(a * a), b2 + f64::from(b * b)));
        product / (energies.0 * energies.1).sqrt()
    }

    #[test]
    fn a_call_keeps_time_and_loses_with_its_rate() {
        let voice = voice();
        let mut last = 0.0;
        for bits_per_second in [6_000, 12_000, 32_000] {
            let received = InternetCall::new(RATE, bits_per_second).unwrap().apply(&voice).unwrap();
            assert_eq!(received.len(), voice.len());
            let here = fidelity(&voice, &received, 0);
            println!("{bits_per_second} bit/s: correlation {here:.4}");
            assert!(here > last && here > 0.8, "{bits_per_second}: {here}");
            assert!((1..20).all(|shift| fidelity(&voice, &received, shift) < here), "{bits_per_second}");
            let again = InternetCall::new(RATE, bits_per_second).unwrap().apply(&voice).unwrap();
            assert!(again == received);
            last = here;
        }
        assert!(last > 0.96, "{last}");
    }

    #[test]
    fn silence_and_single_samples_pass() {
        for samples in [vec![], vec![0.3], vec![0.0; 5000]] {
            let received = InternetCall::new(RATE, 12_000).unwrap().apply(&samples).unwrap();
            assert_eq!(received.len(), samples.len());
            assert!(received.iter().all(|sample| sample.abs() < 0.31));
        }
    }

    #[test]
    fn other_sample_rates_are_refused() {
        let error = InternetCall::new(22_050, 12_000).err().unwrap().to_string();
        assert!(error.starts_with("augment.channel.opus = more than 0 at 22050 Hz, expected"), "{error}");
    }
}
