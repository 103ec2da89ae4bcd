//! Voice activity detection: Kaldi's rule as Kaldi has it, and what is speech in known mixtures.

mod goldens;

use std::path::{Path, PathBuf};

use ffsvc_features::{EnergyVad, NoiseFloorVad, Scratch, SpeechDetector, Vad};
use ffsvc_synth::{Speaker, Vowel, sustained_vowel};
use goldens::Golden;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const RATE: usize = 16_000;

fn detect(vad: &Vad, samples: &[f32]) -> Vec<bool> {
    SpeechDetector::new(RATE as u32, vad).unwrap().detect(&mut Scratch::new(), samples).unwrap()
}

fn share(decisions: &[bool]) -> f64 {
    decisions.iter().filter(|&&speech| speech).count() as f64 / decisions.len() as f64
}

#[test]
fn energy_rule_is_kaldis() {
    let golden = Golden::committed("vad/kaldi");
    let (samples, energies) = (golden.f32("samples"), golden.f32("log_energies"));
    let decisions = golden.f32("decisions");
    let options = golden.f32("options");
    assert_eq!(options.len(), 7 * 4);
    for (options, expected) in options.chunks_exact(4).zip(decisions.chunks_exact(energies.len())) {
        let vad = EnergyVad {
            energy_threshold: options[0],
            energy_mean_scale: options[1],
            frames_context: options[2] as usize,
            proportion_threshold: options[3],
        };
        let expected: Vec<bool> = expected.iter().map(|&decision| decision == 1.0).collect();
        assert_eq!(vad.decide(&energies), expected, "{vad:?}");
        // From samples, at another rate.
        let detector = SpeechDetector::new(8000, &Vad::Energy(vad)).unwrap();
        assert_eq!(detector.detect(&mut Scratch::new(), &samples).unwrap(), expected, "{vad:?}");
    }
}

/// Noise of unit RMS; `smoothing` from 0 (white) towards 1 takes its high frequencies away.
fn noise(num_samples: usize, smoothing: f32, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut last = 0.0;
    let mut noise: Vec<f32> = (0..num_samples)
        .map(|_| {
            let white: f32 = StandardNormal.sample(&mut rng);
            last = smoothing * last + white;
            last
        })
        .collect();
    let rms = (noise.iter().map(|x| x * x).sum::<f32>() / num_samples as f32).sqrt();
    noise.iter_mut().for_each(|x| *x /= rms);
    noise
}

/// Vowels of several speakers with pauses between them, and whether each sample is inside a vowel.
fn vowels_and_pauses() -> (Vec<f32>, Vec<bool>) {
    let vowels = [Vowel::Heed, Vowel::Hod, Vowel::Whod, Vowel::Head, Vowel::Had, Vowel::Hood];
    let pauses_s = [0.4, 0.3, 0.5, 0.25, 0.6, 0.35, 0.4];
    let mut samples = vec![0f32; (pauses_s[0] * RATE as f64) as usize];
    let mut inside = vec![false; samples.len()];
    // Short vocal tracts have their two highest formants at one place, where they whistle louder than the vowel.
    let speakers =
        (0..).map(|number| Speaker::draw(1, number)).filter(|s| s.vowel_formants(Vowel::Heed)[6] < 7_700.0);
    for (k, ((vowel, pause_s), speaker)) in vowels.into_iter().zip(&pauses_s[1..]).zip(speakers).enumerate() {
        let sound = sustained_vowel(&speaker, vowel, speaker.f0_hz, 0.2 + 0.1 * k as f64);
        samples.extend(&sound);
        inside.resize(samples.len(), true);
        samples.resize(samples.len() + (pause_s * RATE as f64) as usize, 0.0);
        inside.resize(samples.len(), false);
    }
    (samples, inside)
}

#[test]
fn vowels_are_speech_and_the_pauses_between_them_are_not() {
    let (clean, inside) = vowels_and_pauses();
    let power = clean.iter().map(|x| x * x).sum::<f32>() / clean.len() as f32;
    let inside_s = inside.iter().filter(|&&inside| inside).count() as f64 / RATE as f64;
    for (snr_db, missed_limit) in [(40.0, 0.0), (20.0, 0.0), (10.0, 0.01), (5.0, 0.02)] {
        for smoothing in [0.0, 0.9] {
            let gain = (power / 10f32.powf(snr_db / 10.0)).sqrt();
            let noise = noise(clean.len(), smoothing, 3);
            let mixture: Vec<f32> = clean.iter().zip(&noise).map(|(x, noise)| x + gain * noise).collect();
            let found = detect(&Vad::default(), &mixture);
            // Frames wholly inside a vowel, and frames more than 100 ms from any: hangover and smoothing lie between.
            let (mut missed, mut vowel_frames, mut false_alarms) = (0_u32, 0_u32, 0_u32);
            for (t, &speech) in found.iter().enumerate() {
                let frame = &inside[t * 160..t * 160 + 400];
                let around = &inside[(t * 160).saturating_sub(1600)..(t * 160 + 2000).min(inside.len())];
                if frame.iter().all(|&inside| inside) {
                    vowel_frames += 1;
                    missed += u32::from(!speech);
                } else if around.iter().all(|&inside| !inside) {
                    false_alarms += u32::from(speech);
                }
            }
            let missed = f64::from(missed) / f64::from(vowel_frames);
            let speech_s = SpeechDetector::speech_s(&found);
            println!("{snr_db} dB, {smoothing}: {missed:.3} missed, {speech_s:.2} s of {inside_s:.2} s");
            assert!(missed <= missed_limit, "{snr_db} dB, {smoothing}: {missed} missed");
            assert!(false_alarms <= 2, "{snr_db} dB, {smoothing}: {false_alarms} frames of noise");
            // Six vowels, each with 40 ms of lead and hangover and two frames of smoothing at both ends.
            let expected_s = (0.95 - missed_limit) * inside_s..inside_s + 6.0 * 0.1;
            assert!(expected_s.contains(&speech_s), "{snr_db} dB: {speech_s} s, not {expected_s:?}");
        }
    }
}

#[test]
fn steady_noise_is_no_speech_but_for_kaldis_rule() {
    for (smoothing, level) in [(0.0, 0.3), (0.9, 0.03), (0.97, 0.003)] {
        let noise: Vec<f32> = noise(5 * RATE, smoothing, 7).iter().map(|x| x * level).collect();
        let found = share(&detect(&Vad::default(), &noise));
        assert!(found < 0.02, "{smoothing}: {found}");
        assert!(share(&detect(&Vad::Energy(EnergyVad::default()), &noise)) > 0.98);
    }
}

#[test]
fn the_level_of_a_recording_plays_no_part() {
    let (clean, _) = vowels_and_pauses();
    let noise = noise(clean.len(), 0.9, 9);
    let at = |gain: f32| -> Vec<f32> {
        clean.iter().zip(&noise).map(|(x, noise)| gain * (x + 0.01 * noise)).collect()
    };
    let expected = detect(&Vad::default(), &at(1.0));
    for gain in [0.5, 0.0625] {
        assert_eq!(detect(&Vad::default(), &at(gain)), expected);
    }
}

#[test]
fn nothing_and_silence_have_no_speech() {
    for samples in [&[][..], &[0.1; 399], &[0.0; 16_000], &[0.5; 16_000]] {
        assert_eq!(share(&[detect(&Vad::default(), samples), vec![false]].concat()), 0.0);
    }
    assert_eq!(detect(&Vad::default(), &[0.0; 400]).len(), 1);
    let mut samples = vec![0.0; RATE];
    samples[5] = f32::NAN;
    let detector = SpeechDetector::new(RATE as u32, &Vad::default()).unwrap();
    assert!(detector.detect(&mut Scratch::new(), &samples).is_err());
}

#[test]
fn options_out_of_range_are_errors_that_name_them() {
    let energy = EnergyVad::default();
    let floor = NoiseFloorVad::default();
    let cases = [
        (Vad::Energy(EnergyVad { energy_threshold: f32::NAN, ..energy }), "energy_threshold"),
        (Vad::Energy(EnergyVad { energy_mean_scale: -0.5, ..energy }), "energy_mean_scale"),
        (Vad::Energy(EnergyVad { proportion_threshold: 1.0, ..energy }), "proportion_threshold"),
        (Vad::NoiseFloor(NoiseFloorVad { margin_db: 0.0, ..floor }), "margin_db"),
        (Vad::NoiseFloor(NoiseFloorVad { floor_percentile: 101.0, ..floor }), "floor_percentile"),
        (Vad::NoiseFloor(NoiseFloorVad { silence_dbfs: 1.0, ..floor }), "silence_dbfs"),
    ];
    for (vad, option) in cases {
        let error = SpeechDetector::new(16_000, &vad).unwrap_err().to_string();
        assert!(error.contains(option), "{error}");
    }
}

/// Up to `count` files under `folder`, spread evenly.
fn files(folder: &Path, count: usize) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found.into_iter().step_by(200).take(count).collect()
}

fn read(path: &Path) -> Vec<f32> {
    let options = ffsvc_audio::ReadOptions::at_rate(RATE as u32);
    ffsvc_audio::AudioFile::open(path).unwrap().read(&options).unwrap().samples
}

/// Real speech in real noise, against a plain level threshold (30 dB below the 95th percentile) on the clean recording.
fn real_speech_in_noise() {
    let corpora = ffsvc_test_data::shared("corpora");
    let speech: Vec<Vec<f32>> =
        files(&corpora.join("speechocean762/flac"), 10).iter().map(|path| read(path)).collect();
    assert!(speech.len() >= 9);
    let reference: Vec<Vec<bool>> = speech
        .iter()
        .map(|samples| {
            let frames = samples.windows(400).step_by(160);
            let levels: Vec<f32> = frames.map(|frame| frame.iter().map(|x| x * x).sum::<f32>()).collect();
            let mut sorted = levels.clone();
            sorted.sort_by(f32::total_cmp);
            let limit = sorted[sorted.len() * 95 / 100] / 1000.0;
            levels.into_iter().map(|level| level > limit).collect()
        })
        .collect();
    let seconds =
        |decisions: &[Vec<bool>]| decisions.iter().map(|d| SpeechDetector::speech_s(d)).sum::<f64>();
    let rain = read(&corpora.join("noise/002_-_Rain/1-17367-A.ogg"));
    let white = noise(10 * RATE, 0.0, 1);
    for (name, background, snr_db) in
        [("clean", &white, 100.0), ("rain", &rain, 20.0), ("rain", &rain, 10.0), ("white", &white, 10.0)]
    {
        let mixtures: Vec<Vec<f32>> = speech
            .iter()
            .map(|samples| {
                let power = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32;
                let gain = (power(samples) / power(background)).sqrt() / 10f32.powf(snr_db / 20.0);
                samples.iter().zip(background.iter().cycle()).map(|(x, noise)| x + gain * noise).collect()
            })
            .collect();
        let of =
            |vad: &Vad| -> Vec<Vec<bool>> { mixtures.iter().map(|samples| detect(vad, samples)).collect() };
        let found = of(&Vad::default());
        let ratio = seconds(&found) / seconds(&reference);
        let kaldi = seconds(&of(&Vad::Energy(EnergyVad::default()))) / seconds(&reference);
        println!("{name} {snr_db} dB: {ratio:.2} of the time that is speech; Kaldi's rule {kaldi:.2}");
        assert!((0.75..1.15).contains(&ratio), "{name} {snr_db} dB: {ratio}");
        assert!(name == "clean" || kaldi > 1.2, "{name} {snr_db} dB: {kaldi}");
    }
}

ffsvc_test_data::shared_tests!(real_speech_in_noise);
