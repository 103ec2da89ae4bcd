//! Voices measured as one measures people: pitch by autocorrelation, formants by linear prediction.

use std::f64::consts::TAU;

use ffsvc_synth::{SAMPLE_RATE, Speaker, Vowel, sustained_vowel};

const RATE: f64 = SAMPLE_RATE as f64;

fn autocorrelation(samples: &[f64], lag: usize) -> f64 {
    samples.iter().zip(&samples[lag..]).map(|(a, b)| a * b).sum()
}

/// Middle of a vowel, without the onset.
fn vowel(speaker: &Speaker, vowel: Vowel, f0_hz: f64) -> Vec<f64> {
    let samples = sustained_vowel(speaker, vowel, f0_hz, 0.8);
    samples[2_000..12_000].iter().map(|x| f64::from(*x)).collect()
}

/// Mean of 16 neighbours.
fn below_1_khz(samples: &[f64]) -> Vec<f64> {
    samples.windows(16).map(|window| window.iter().sum()).collect()
}

#[test]
fn pitch_is_the_one_asked_for() {
    for number in 0..6 {
        let speaker = Speaker::draw(11, number);
        for f0 in [85.0, 120.0, 170.0, 240.0] {
            // Formants are taken out first, as pitch trackers do.
            let samples = below_1_khz(&below_1_khz(&vowel(&speaker, Vowel::Hod, f0)));
            // From half an octave below to half an octave above, with the peak between samples by a parabola.
            let lags = (RATE / f0 / 1.4) as usize..(RATE / f0 * 1.4) as usize;
            let peak = lags
                .max_by(|a, b| autocorrelation(&samples, *a).total_cmp(&autocorrelation(&samples, *b)))
                .unwrap();
            let [a, b, c] = [peak - 1, peak, peak + 1].map(|lag| autocorrelation(&samples, lag));
            let measured = RATE / (peak as f64 + 0.5 * (a - c) / (a - 2.0 * b + c));
            assert!(
                (measured / f0 - 1.0).abs() < 0.015,
                "speaker {number}: asked {f0} Hz, measured {measured} Hz"
            );
        }
    }
}

/// Linear prediction by the autocorrelation method (Levinson's recursion).
fn predictor(samples: &[f64], order: usize) -> Vec<f64> {
    let window = |n: usize| 0.54 - 0.46 * (TAU * n as f64 / (samples.len() - 1) as f64).cos();
    let windowed: Vec<f64> = samples.iter().enumerate().map(|(n, x)| x * window(n)).collect();
    let r: Vec<f64> = (0..=order).map(|lag| autocorrelation(&windowed, lag)).collect();
    let mut a = vec![1.0];
    let mut error = r[0];
    for i in 1..=order {
        let k = -(0..i).map(|j| a[j] * r[i - j]).sum::<f64>() / error;
        let mut next = a.clone();
        next.push(0.0);
        for j in 1..=i {
            next[j] += k * a[i - j];
        }
        a = next;
        error *= 1.0 - k * k;
    }
    a
}

fn envelope(predictor: &[f64], hz: f64) -> f64 {
    let (re, im) = predictor.iter().enumerate().fold((0.0, 0.0), |(re, im), (n, a)| {
        let w = TAU * hz * n as f64 / RATE;
        (re + a * w.cos(), im - a * w.sin())
    });
    1.0 / re.hypot(im)
}

#[test]
fn formants_are_those_of_the_speaker() {
    for number in [1, 3, 5] {
        let speaker = Speaker::draw(11, number);
        for name in [Vowel::Hod, Vowel::Had, Vowel::Heed, Vowel::Head] {
            // A low pitch, so that the harmonics sample the envelope densely.
            let samples = vowel(&speaker, name, 60.0);
            let emphasised: Vec<f64> = samples.windows(2).map(|w| w[1] - 0.9 * w[0]).collect();
            let predictor = predictor(&emphasised, 20);
            let spectrum: Vec<f64> = (0..800).map(|i| envelope(&predictor, f64::from(i) * 10.0)).collect();
            let peaks: Vec<f64> = (1..799)
                .filter(|&i| spectrum[i] > spectrum[i - 1] && spectrum[i] > spectrum[i + 1])
                .map(|i| i as f64 * 10.0)
                .collect();
            for (i, formant) in speaker.vowel_formants(name)[..3].iter().enumerate() {
                let nearest = peaks.iter().map(|peak| (peak - formant).abs()).fold(f64::INFINITY, f64::min);
                let allowed = if i == 0 { 60.0 } else { 0.05 * formant };
                assert!(
                    nearest < allowed,
                    "speaker {number} {name:?} F{}: {formant} Hz, peaks {peaks:?}",
                    i + 1
                );
            }
        }
    }
}

#[test]
fn speakers_differ_and_stay_themselves() {
    let samples = |number| sustained_vowel(&Speaker::draw(11, number), Vowel::Hud, 150.0, 0.1);
    assert_eq!(samples(1), samples(1));
    assert_ne!(samples(1), samples(3));
    let peak = samples(1).iter().fold(0f32, |peak, x| peak.max(x.abs()));
    assert!((peak - 0.5).abs() < 1e-6);
    assert!(sustained_vowel(&Speaker::draw(11, 1), Vowel::Hud, 150.0, -1.0).is_empty());
}
