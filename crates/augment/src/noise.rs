//! Additive noise at a stated signal-to-noise ratio.

/// Mean of the squared samples; 0 for no samples.
pub fn mean_power(samples: &[f32]) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    // Eight sums side by side: fast, and the same on every machine.
    let (blocks, rest) = samples.as_chunks::<8>();
    let mut sums = [0.0f64; 8];
    for block in blocks {
        for (sum, sample) in sums.iter_mut().zip(block) {
            *sum += f64::from(*sample) * f64::from(*sample);
        }
    }
    let rest: f64 = rest.iter().map(|sample| f64::from(*sample) * f64::from(*sample)).sum();
    (sums.iter().sum::<f64>() + rest) / samples.len() as f64
}

/// Adds `noise` to `speech`, scaled so that the ratio of their mean powers is `snr_db` decibels; the speech is not scaled.
///
/// `speech_power` is the [`mean_power`] that counts as the signal's: that of `speech` before any noise was added to it.
/// Where either side is silent no ratio exists and nothing is added.
pub(crate) fn add_at_snr(speech: &mut [f32], noise: &[f32], speech_power: f64, snr_db: f64) {
    let noise_power = mean_power(noise);
    let gain = (speech_power / noise_power).sqrt() * 10f64.powf(-snr_db / 20.0);
    if speech_power > 0.0 && noise_power > 0.0 && gain.is_finite() {
        let gain = gain as f32;
        for (sample, noise) in speech.iter_mut().zip(noise) {
            *sample += gain * noise;
        }
    }
}

/// Fills `out` with `source` repeated, beginning at sample `start`. An empty source gives silence.
pub(crate) fn repeat_from(source: &[f32], start: usize, out: &mut [f32]) {
    if source.is_empty() {
        out.fill(0.0);
        return;
    }
    let mut position = start % source.len();
    let mut filled = 0;
    while filled < out.len() {
        let count = (source.len() - position).min(out.len() - filled);
        out[filled..filled + count].copy_from_slice(&source[position..position + count]);
        filled += count;
        position = 0;
    }
}

/// Adds a talker to `babble` at unit power, so that all talkers are equally loud; a silent one adds nothing.
pub(crate) fn add_talker(babble: &mut [f32], talker: &[f32]) {
    let power = mean_power(talker);
    if power > 0.0 {
        let gain = power.sqrt().recip() as f32;
        for (sum, sample) in babble.iter_mut().zip(talker) {
            *sum += gain * sample;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn repeats_from_the_start_asked_for() {
        let mut out = [0.0; 7];
        repeat_from(&[1.0, 2.0, 3.0], 2, &mut out);
        assert_eq!(out, [3.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
        repeat_from(&[1.0, 2.0, 3.0], 3, &mut out[..2]);
        assert_eq!(out[..2], [1.0, 2.0]);
        repeat_from(&[], 5, &mut out);
        assert_eq!(out, [0.0; 7]);
    }

    #[test]
    fn silence_on_either_side_changes_nothing() {
        let mut speech = vec![0.25f32; 100];
        add_at_snr(&mut speech, &[0.0; 100], 0.0625, 10.0);
        assert_eq!(speech, [0.25; 100]);
        let mut silence = vec![0.0f32; 100];
        add_at_snr(&mut silence, &[0.5; 100], 0.0, 10.0);
        assert_eq!(silence, [0.0; 100]);
        // Powers that f64 holds but whose ratio f32 cannot: still finite samples.
        let mut loud = vec![1.0f32; 4];
        add_at_snr(&mut loud, &[1e-30; 4], 1.0, 0.0);
        assert!(loud.iter().all(|v| v.is_finite()), "{loud:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_ratio_of_powers_is_the_one_asked_for(
            speech in prop::collection::vec(-1.0f32..1.0, 50..500), seed in 1u32..1000, level in -4i32..2, snr_db in -5.0f64..40.0,
        ) {
            let level = 10f32.powi(level);
            let noise: Vec<f32> = (0..speech.len() as u32)
                .map(|n| level * ((n.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / 8_388_608.0 - 1.0))
                .collect();
            let mut mixed = speech.clone();
            add_at_snr(&mut mixed, &noise, mean_power(&speech), snr_db);
            let added: Vec<f32> = mixed.iter().zip(&speech).map(|(m, s)| m - s).collect();
            let measured = 10.0 * (mean_power(&speech) / mean_power(&added)).log10();
            prop_assert!((measured - snr_db).abs() < 0.01, "{measured} {snr_db}");
        }
    }
}
