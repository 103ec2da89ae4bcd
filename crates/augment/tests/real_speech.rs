//! What a plan does to real speech, noise and rooms, measured on the output.

use std::path::{Path, PathBuf};

use ffsvc_audio::{AudioFile, ReadOptions};
use ffsvc_augment::room::{Room, RoomRanges};
use ffsvc_augment::{
    AugmentConfig, Augmenter, Channel, Noise, NoiseKind, Plan, Reverb, Scratch, SoundCrop, mean_power,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn corpora() -> PathBuf {
    ffsvc_test_data::shared("corpora")
}

/// `count` files with this extension under `folder`, spread evenly.
fn files(folder: &Path, extension: &str, count: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    let step = found.len().div_ceil(count);
    found.into_iter().step_by(step).collect()
}

/// Two seconds of each of several utterances.
fn speech(corpora: &Path, count: usize) -> Vec<Vec<f32>> {
    let options = ReadOptions::at_rate(16_000);
    let utterances = files(&corpora.join("speechocean762/flac"), "flac", count);
    let crop = |path: &PathBuf| {
        let samples = AudioFile::open(path).unwrap().read(&options).unwrap().samples;
        let start = samples.len().saturating_sub(32_000) / 2;
        samples[start..samples.len().min(start + 32_000)].to_vec()
    };
    utterances.iter().map(crop).collect()
}

fn decibels(ratio: f64) -> f64 {
    10.0 * ratio.log10()
}

fn the_snr_asked_for_is_in_the_output() {
    let corpora = corpora();
    let noises = files(&corpora.join("noise"), "ogg", 12);
    let talkers = files(&corpora.join("speechocean762/flac/dev"), "flac", 5);
    let rir = files(&corpora.join("rir/surrey-room-a"), "wav", 1).remove(0);
    let augmenter = Augmenter::new(&AugmentConfig::default(), 16_000);
    let mut scratch = Scratch::default();
    let (mut worst, mut measured) = (0.0f64, 0);
    for (round, speech) in speech(&corpora, 6).into_iter().enumerate() {
        let sound =
            |path: &PathBuf| SoundCrop { path: path.clone(), segment_s: None, place: round as f64 / 7.0 };
        let mut cases: Vec<(NoiseKind, Vec<SoundCrop>, f64)> = Vec::new();
        for (noise, snr_db) in noises.iter().zip([0.0, 3.0, 7.5, 10.0, 15.0, 20.0].into_iter().cycle()) {
            cases.push((NoiseKind::Noise, vec![sound(noise)], snr_db));
        }
        cases.push((NoiseKind::Babble, talkers.iter().map(sound).collect(), 13.0));
        for (kind, sounds, snr_db) in cases {
            let reverb = Some(Reverb::File { path: rir.clone(), channel: 1 });
            for (reverb, of_noise) in [(None, None), (reverb.clone(), None), (reverb.clone(), reverb.clone())]
            {
                let clean = Plan { reverb, ..Default::default() };
                let noise = Noise { kind, sounds: sounds.clone(), snr_db, reverb: of_noise };
                let noisy = Plan { noises: vec![noise], ..clean.clone() };
                let mut apply = |plan: &Plan| {
                    let mut samples = speech.clone();
                    augmenter.apply(plan, &mut samples, &mut scratch).unwrap();
                    assert_eq!(samples.len(), speech.len());
                    samples
                };
                let (clean, noisy) = (apply(&clean), apply(&noisy));
                let added: Vec<f32> = noisy.iter().zip(&clean).map(|(a, b)| a - b).collect();
                if mean_power(&added) == 0.0 {
                    // A pause in the recording: digital silence has no SNR.
                    continue;
                }
                let found = decibels(mean_power(&clean) / mean_power(&added));
                worst = worst.max((found - snr_db).abs());
                measured += 1;
            }
        }
    }
    println!("{measured} mixtures, at most {worst:.1e} dB from the SNR asked for");
    assert!(measured > 150 && worst < 0.01, "{measured} mixtures, {worst} dB");
}

/// The lag of `wet` behind `dry`, and the change of level in dB. The lag is from the generalised cross-correlation with
/// phase transform (Knapp & Carter, 1976). The periods of voiced speech mislead the plain one, but not this one.
fn lag_and_level(dry: &[f32], wet: &[f32]) -> (isize, f64) {
    let size = (2 * dry.len()).next_power_of_two();
    let mut planner = realfft::RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let spectrum = |samples: &[f32]| {
        let mut padded = samples.to_vec();
        padded.resize(size, 0.0);
        let mut bins = forward.make_output_vec();
        forward.process(&mut padded, &mut bins).unwrap();
        bins
    };
    let pairs = spectrum(wet).into_iter().zip(spectrum(dry));
    let mut bins: Vec<_> = pairs
        .map(|(wet, dry)| {
            let cross = wet * dry.conj();
            if cross.norm() > 0.0 { cross / cross.norm() } else { cross }
        })
        .collect();
    let last = bins.len() - 1;
    (bins[0].im, bins[last].im) = (0.0, 0.0);
    let mut correlation = inverse.make_output_vec();
    inverse.process(&mut bins, &mut correlation).unwrap();
    let at = |lag: isize| correlation[lag.rem_euclid(size as isize) as usize].abs();
    let best = (-1000..=1000).max_by(|a, b| at(*a).total_cmp(&at(*b))).unwrap();
    (best, decibels(mean_power(wet) / mean_power(dry)))
}

fn reverberated_speech_keeps_its_place_and_about_its_level() {
    let corpora = corpora();
    let augmenter = Augmenter::new(&AugmentConfig::default(), 16_000);
    let mut scratch = Scratch::default();
    let mut responses: Vec<Reverb> = files(&corpora.join("rir/surrey-room-a"), "wav", 4)
        .into_iter()
        .flat_map(|path| [0, 1].map(|channel| Reverb::File { path: path.clone(), channel }))
        .collect();
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let near = RoomRanges { distances_m: vec![[0.5, 1.5]], rt60_s: [0.2, 0.4], ..Default::default() };
    responses.extend((0..6).map(|_| Reverb::Simulated(near.draw(&mut random).unwrap())));
    let utterances = speech(&corpora, 3);
    let (mut lags, mut levels) = (Vec::new(), Vec::new());
    for reverb in responses {
        for dry in &utterances {
            let plan = Plan { reverb: Some(reverb.clone()), ..Default::default() };
            let mut wet = dry.clone();
            augmenter.apply(&plan, &mut wet, &mut scratch).unwrap();
            assert_eq!(wet.len(), dry.len());
            let (lag, level) = lag_and_level(dry, &wet);
            lags.push(lag);
            levels.push(level);
        }
    }
    let (low, high) = levels.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
    println!("lags {lags:?}; level from {low:.1} to {high:.1} dB");
    assert!(lags.iter().all(|lag| lag.abs() <= 1), "{lags:?}");
    assert!(low > -10.0 && high < 6.0, "level from {low} to {high} dB");
}

/// In an empty hall the strongest path is still the direct one; a distant source must not be late.
fn a_distant_source_is_not_late() {
    let corpora = corpora();
    let room = Room {
        size_m: [8.0, 6.0, 3.0],
        rt60_s: 0.3,
        source_m: [1.0, 1.5, 1.5],
        microphone_m: [5.9, 2.5, 1.0],
        rt60_per_octave: 1.0,
        air: false,
    };
    let plan = Plan { reverb: Some(Reverb::Simulated(room)), ..Default::default() };
    let augmenter = Augmenter::new(&AugmentConfig::default(), 16_000);
    let mut impulse = vec![0.0f32; 8000];
    impulse[2000] = 1.0;
    augmenter.apply(&plan, &mut impulse, &mut Scratch::default()).unwrap();
    let first = impulse.iter().position(|v| v.abs() > 0.05).unwrap();
    assert!((1999..=2001).contains(&first), "{first}");
    for dry in speech(&corpora, 3) {
        let mut wet = dry.clone();
        augmenter.apply(&plan, &mut wet, &mut Scratch::default()).unwrap();
        assert!(wet.iter().all(|v| v.is_finite()) && mean_power(&wet) > 0.1 * mean_power(&dry));
    }
}

fn the_telephone_takes_the_band_and_little_else() {
    let corpora = corpora();
    let augmenter = Augmenter::new(&AugmentConfig::default(), 16_000);
    let mut scratch = Scratch::default();
    for dry in speech(&corpora, 4) {
        let mut apply = |samples: &[f32], channel| {
            let mut samples = samples.to_vec();
            augmenter.apply(&Plan { channel, ..Default::default() }, &mut samples, &mut scratch).unwrap();
            samples
        };
        let telephone = Channel { telephone_band: true, ..Default::default() };
        let band = apply(&dry, telephone);
        let (lag, _) = lag_and_level(&dry, &band);
        assert!(lag.abs() <= 1, "{lag}");
        // At 20 dB below full scale, where a line is meant to be used. With mu-law the band is cut at both ends of the line.
        let gain_db = Some((-20.0 - decibels(mean_power(&band))).round());
        let coded = apply(&dry, Channel { gain_db, mu_law: true, ..telephone });
        let sent = apply(&dry, Channel { gain_db, ..telephone });
        let uncoded = apply(&sent, telephone);
        let error: Vec<f32> = coded.iter().zip(&uncoded).map(|(a, b)| a - b).collect();
        // G.711 has 37 to 38 dB there for Gaussian signals; the receiver's filter takes off the part of the error outside of
        // the band, more than half of it.
        let quality = decibels(mean_power(&uncoded) / mean_power(&error));
        println!("mu-law: {quality:.1} dB");
        assert!((37.0..45.0).contains(&quality), "{quality} dB");
    }
}

ffsvc_test_data::shared_tests!(
    the_snr_asked_for_is_in_the_output,
    reverberated_speech_keeps_its_place_and_about_its_level,
    a_distant_source_is_not_late,
    the_telephone_takes_the_band_and_little_else
);
