//! Plans: drawn as configured, the same in print, the same samples whatever threads and caches do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ffsvc_audio::{SampleFormat, write_wav};
use ffsvc_augment::{
    AugmentConfig, Augmenter, BabbleUtterance, CheckedFiles, Error, Item, NoiseKind, Plan, Planner, Reverb,
    Scratch, SoundFiles,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ITEM: Item = Item { speaker: 2, num_mels: 80, num_frames: 200 };

/// Everything at once, often.
const CONFIG: &str = r#"
speed.probability = 0.5
reverb = { probability = 0.6, list = "rirs", simulated = { share = 0.4, rooms = 6 } }
gain.probability = 0.5
clipping.probability = 0.3
channel = { telephone_band = 0.3, mu_law = 0.5 }
spec_augment = { probability = 0.6 }
[additive]
probability = 0.8
count = [1, 2]
noise.list = "noises"
music = { list = "musics", weight = 2.0 }
babble = {}
"#;

/// Three noises, one piece of music longer than what is held whole, two responses, and six speakers.
fn files(dir: &Path) -> SoundFiles {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut write = |name: String, len: usize, rate: u32| -> PathBuf {
        let path = dir.join(name);
        let decay = if rate == 16_001 { 6.0 / len as f32 } else { 0.0 };
        let samples: Vec<f32> =
            (0..len).map(|n| (-decay * n as f32).exp() * random.random_range(-0.4..0.4)).collect();
        write_wav(&path, &samples, rate.min(48_000), SampleFormat::Pcm16).unwrap();
        path
    };
    let noise = (0..3).map(|n| write(format!("noise{n}.wav"), 9000 + 20_000 * n, 16_000)).collect();
    let music =
        vec![write("music.wav".into(), 31 * 22_050, 22_050), write("jingle.wav".into(), 50_000, 16_000)];
    let rirs = (0..2).map(|n| write(format!("rir{n}.wav"), 5000, 16_001)).collect();
    let babble = (0..12)
        .map(|n| BabbleUtterance {
            segment_s: None,
            path: write(format!("utt{n}.wav"), 15_000 + 4000 * n, 16_000),
            speaker: n as u32 % 6,
        })
        .collect();
    SoundFiles { noise, music, rirs, babble }
}

fn planner(config: &AugmentConfig, files: CheckedFiles) -> Planner {
    Planner::new(config, files, &mut ChaCha8Rng::seed_from_u64(0)).unwrap()
}

fn stream(index: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1000 + index)
}

fn speech(index: u64) -> Vec<f32> {
    let mut random = stream(index);
    (0..20_000).map(|n| (f64::from(n) * 0.02).sin() as f32 * random.random_range(0.0..0.3)).collect()
}

#[test]
fn replayed_plans_give_the_same_samples_on_any_threads_and_caches() {
    let dir = tempfile::tempdir().unwrap();
    let config: AugmentConfig = toml::from_str(CONFIG).unwrap();
    let planner = planner(&config, files(dir.path()).check(16_000).0);
    let plans: Vec<Plan> = (0..60).map(|index| planner.draw(ITEM, &mut stream(index))).collect();
    let printed: Vec<String> = plans.iter().map(|plan| serde_json::to_string(plan).unwrap()).collect();

    let ample = Augmenter::new(&config, 16_000);
    let mut scratch = Scratch::default();
    let expected: Vec<Vec<f32>> = (0..60u64)
        .map(|index| {
            let mut samples = speech(index);
            ample.apply(&plans[index as usize], &mut samples, &mut scratch).unwrap();
            assert!(samples.iter().all(|v| v.is_finite()));
            samples
        })
        .collect();
    let (sounds, filters) = ample.cache_use();
    assert!(sounds.hits > 0 && filters.hits > 0, "{sounds:?} {filters:?}");

    for budget in [0, 1] {
        let config = AugmentConfig { sound_cache_mib: budget, rir_cache_mib: budget, ..config.clone() };
        let augmenter = Augmenter::new(&config, 16_000);
        std::thread::scope(|scope| {
            for worker in 0..4usize {
                let (augmenter, printed, expected) = (&augmenter, &printed, &expected);
                scope.spawn(move || {
                    let mut scratch = Scratch::default();
                    for index in (0..60).skip(worker).step_by(4).collect::<Vec<_>>().into_iter().rev() {
                        let plan: Plan = serde_json::from_str(&printed[index]).unwrap();
                        let mut samples = speech(index as u64);
                        augmenter.apply(&plan, &mut samples, &mut scratch).unwrap();
                        assert!(samples == expected[index], "budget {budget}: {}", printed[index]);
                    }
                });
            }
        });
    }
}

#[test]
fn plans_are_the_same_from_the_same_stream_and_survive_print() {
    let dir = tempfile::tempdir().unwrap();
    let config: AugmentConfig = toml::from_str(CONFIG).unwrap();
    let planner = planner(&config, files(dir.path()).check(16_000).0);
    for index in 0..2000 {
        let plan = planner.draw(ITEM, &mut stream(index));
        assert_eq!(plan, planner.draw(ITEM, &mut stream(index)));
        let printed = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&printed).unwrap(), plan, "{printed}");
    }
    assert_eq!(serde_json::to_string(&Plan::default()).unwrap(), r#"{"speed":1.0}"#);
    assert!(serde_json::from_str::<Plan>(r#"{"sped":1.0}"#).is_err());
}

/// Shares within four standard deviations of 20,000 draws.
#[test]
fn steps_are_drawn_as_often_as_configured() {
    let dir = tempfile::tempdir().unwrap();
    let config: AugmentConfig = toml::from_str(CONFIG).unwrap();
    let planner = planner(&config, files(dir.path()).check(16_000).0);
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    let rounds = 20_000;
    for index in 0..rounds {
        let plan = planner.draw(ITEM, &mut stream(index));
        let mut count =
            |what, happened: bool| *counts.entry(what).or_default() += f64::from(u8::from(happened));
        count("slow", plan.speed == 0.9);
        count("fast", plan.speed == 1.1);
        count("room", plan.reverb.is_some());
        count("simulated", matches!(plan.reverb, Some(Reverb::Simulated(_))));
        count("noisy", !plan.noises.is_empty());
        count("two noises", plan.noises.len() == 2);
        count("far field", plan.reverb.is_some() && !plan.noises.is_empty());
        count("first is music", plan.noises.first().is_some_and(|n| n.kind == NoiseKind::Music));
        count("first shares the room", plan.noises.first().is_some_and(|n| n.reverb.is_some()));
        count("gain", plan.channel.gain_db.is_some());
        count("clip", plan.channel.clip.is_some());
        count("telephone", plan.channel.telephone_band);
        count("mu-law", plan.channel.mu_law);
        count("masks", !plan.masks.is_empty());
        for noise in &plan.noises {
            let range = match noise.kind {
                NoiseKind::Noise => 0.0..=15.0,
                NoiseKind::Music => 5.0..=15.0,
                NoiseKind::Babble => 13.0..=20.0,
            };
            assert!(range.contains(&noise.snr_db), "{noise:?}");
            assert!(noise.sounds.iter().all(|sound| (0.0..1.0).contains(&sound.place)));
            assert!(noise.reverb.is_none() || plan.reverb.is_some());
            if noise.kind == NoiseKind::Babble {
                let speaker = |path: &Path| {
                    let stem = path.file_stem().unwrap().to_str().unwrap();
                    stem.strip_prefix("utt").unwrap().parse::<u32>().unwrap() % 6
                };
                let mut talkers: Vec<u32> = noise.sounds.iter().map(|sound| speaker(&sound.path)).collect();
                talkers.sort_unstable();
                talkers.dedup();
                // Five others are there, of the seven that may be asked for.
                assert!(
                    talkers.len() == noise.sounds.len() && (3..=5).contains(&talkers.len()),
                    "{talkers:?}"
                );
                assert!(!talkers.contains(&ITEM.speaker), "the target talks in its own babble");
            }
        }
    }
    let expected = [
        ("slow", 0.25),
        ("fast", 0.25),
        ("room", 0.6),
        ("simulated", 0.24),
        ("noisy", 0.8),
        ("two noises", 0.4),
        ("far field", 0.48),
        ("first is music", 0.4),
        ("first shares the room", 0.24),
        ("gain", 0.5),
        ("clip", 0.3),
        ("telephone", 0.3),
        ("mu-law", 0.15),
        ("masks", 0.6),
    ];
    for (what, share) in expected {
        let found = counts[what] / rounds as f64;
        let deviation = (share * (1.0 - share) / rounds as f64).sqrt();
        assert!((found - share).abs() < 4.0 * deviation, "{what}: {found}, expected {share}");
    }
}

#[test]
fn the_baselines_steps_have_its_shares() {
    let dir = tempfile::tempdir().unwrap();
    let config: AugmentConfig = toml::from_str(
        "compat = true\nreverb.list = 'r'\nadditive.noise.list = 'n'\nadditive.music.list = 'm'",
    )
    .unwrap();
    let files = SoundFiles { babble: Vec::new(), ..files(dir.path()) };
    let planner = planner(&config, files.check(16_000).0);
    let rounds = 20_000;
    let (mut noise, mut music, mut reverb, mut time, mut frequency) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for index in 0..rounds {
        let plan = planner.draw(ITEM, &mut stream(index));
        assert!(plan.compat && plan.speed == 1.0 && plan.channel.is_clean());
        assert!(plan.noises.is_empty() || plan.reverb.is_none());
        for sound in &plan.noises {
            assert!(sound.reverb.is_none() && (0.0..=20.0).contains(&sound.snr_db));
            *(if sound.kind == NoiseKind::Noise { &mut noise } else { &mut music }) += 1.0;
        }
        reverb += f64::from(u8::from(plan.reverb.is_some()));
        for mask in &plan.masks {
            let (count, widest) = match mask.axis {
                ffsvc_augment::Axis::Time => (&mut time, 19),
                ffsvc_augment::Axis::Frequency => (&mut frequency, 3),
            };
            *count += 1.0;
            assert!(mask.end - mask.start <= widest, "{mask:?}");
        }
    }
    let shares = [(noise, 0.125), (music, 0.125), (reverb, 0.25), (time, 1.0 / 6.0), (frequency, 1.0 / 6.0)];
    for (index, (found, share)) in shares.into_iter().enumerate() {
        let found = found / rounds as f64;
        assert!(
            (found - share).abs() < 4.0 * (share * (1.0 - share) / rounds as f64).sqrt(),
            "{index}: {found}"
        );
    }
}

/// Two microphones, half a metre and four metres from the talker: the noise's ratio falls with the speech.
#[test]
fn every_microphone_hears_the_same_crop() {
    let dir = tempfile::tempdir().unwrap();
    for reverberated in [0.0, 1.0] {
        let config: AugmentConfig = toml::from_str(&format!(
            "reverb.probability = 1.0\n\
             additive = {{ probability = 1.0, noise.list = 'n', reverberated = {reverberated} }}\n\
             [reverb.simulated]\nrooms = 4\n\
             [reverb.simulated.ranges]\nrt60_s = [0.2, 0.3]\n\
             microphones = [{{ name = 'near', ahead_m = 0.5, height_m = 1.2 }}, {{ name = 'far', ahead_m = 4.0, height_m = 1.0 }}]"
        ))
        .unwrap();
        let files = SoundFiles { rirs: Vec::new(), ..files(dir.path()) };
        let planner = planner(&config, files.check(16_000).0);
        let room = |plan: &Plan| match plan.reverb {
            Some(Reverb::Simulated(room)) => room,
            _ => panic!("{plan:?}"),
        };
        let mut heard_by = [0, 0];
        for index in 0..20 {
            let plan = planner.draw(ITEM, &mut stream(index));
            heard_by[usize::from(room(&plan).distance_m() > 2.0)] += 1;
            let [near, far] = [0, 1].map(|number| planner.at_microphone(&plan, number, 16_000).unwrap());
            assert!(plan.reverb == near.reverb || plan.reverb == far.reverb);
            assert_eq!(room(&near).source_m, room(&far).source_m);
            assert!(room(&near).distance_m() < 0.7 && room(&far).distance_m() > 3.9);
            assert_eq!((near.noises.len(), far.noises.len()), (1, 1));
            let (a, b) = (&near.noises[0], &far.noises[0]);
            assert_eq!((&a.sounds, a.snr_db), (&b.sounds, plan.noises[0].snr_db));
            let energy = |plan: &Plan| room(plan).response_energy(16_000).unwrap();
            let mut expected = a.snr_db + 10.0 * (energy(&far) / energy(&near)).log10();
            if reverberated == 1.0 {
                let of_noise = |plan: &Plan| match plan.noises[0].reverb {
                    Some(Reverb::Simulated(room)) => room.response_energy(16_000).unwrap(),
                    _ => panic!("{plan:?}"),
                };
                expected -= 10.0 * (of_noise(&far) / of_noise(&near)).log10();
            } else {
                assert!(b.reverb.is_none());
                // Between what is left in the free field (18 dB) and in a lively room.
                assert!((a.snr_db - 18.5..a.snr_db - 5.0).contains(&b.snr_db), "{} {}", a.snr_db, b.snr_db);
            }
            assert!((b.snr_db - expected).abs() < 0.006, "{}, expected {expected}", b.snr_db);
            // From either of the plans the others follow.
            for plan in [&near, &far] {
                let again =
                    planner.at_microphone(&Plan { noises: Vec::new(), ..plan.clone() }, 1, 16_000).unwrap();
                assert_eq!(again.reverb, far.reverb);
            }
        }
        assert!(heard_by[0] > 3 && heard_by[1] > 3, "{heard_by:?}");
        let error = planner.at_microphone(&Plan::default(), 0, 16_000).unwrap_err().to_string();
        assert!(error.contains("microphones") && error.contains("reverb.probability = 1"), "{error}");
    }
}

#[test]
fn nothing_happens_by_default() {
    let config = AugmentConfig::default();
    assert!(!config.changes_samples());
    assert_eq!(toml::from_str::<AugmentConfig>("").unwrap(), config);
    let planner = planner(&config, CheckedFiles::default());
    let plan = planner.draw(ITEM, &mut stream(0));
    assert_eq!(plan, Plan::default());
    let mut samples = speech(0);
    Augmenter::new(&config, 16_000).apply(&plan, &mut samples, &mut Scratch::default()).unwrap();
    assert!(samples == speech(0));
}

#[test]
fn configurations_are_refused_by_key() {
    for (text, key) in [
        ("speed.probability = 1.5", "speed.probability"),
        ("speed.factors = [0.9, 1.0]", "speed.factors"),
        ("speed.factors = [0.9, 0.9]", "speed.factors"),
        ("speed.factors = [0.90001]", "speed.factors"),
        ("reverb.probability = 0.5", "reverb.probability"),
        ("reverb.simulated.rooms = 0", "reverb.simulated.rooms"),
        ("additive = { probability = 0.5, babble.weight = 0.0 }", "additive.probability"),
        ("additive = { probability = 0.5 }", "additive.probability"),
        ("additive.noise.snr_db = [15.0, 0.0]", "additive.noise.snr_db"),
        ("additive.music.weight = -1.0", "additive.music.weight"),
        ("additive.babble.talkers = [0, 3]", "additive.babble.talkers"),
        ("additive.count = [2, 1]", "additive.count"),
        ("clipping.level = [0.0, 0.5]", "clipping.level"),
        ("spec_augment.probability = nan", "spec_augment.probability"),
        ("compat = true", "additive.noise.list"),
        (
            "compat = true\ngain.probability = 0.5\nreverb.list = 'r'\nadditive.noise.list = 'n'\nadditive.music.list = 'm'",
            "compat",
        ),
    ] {
        let config: AugmentConfig = toml::from_str(text).unwrap();
        let error = config.check().unwrap_err().to_string();
        assert!(error.starts_with(&format!("augment.{key} = ")), "{text}: {error}");
    }
    assert!(toml::from_str::<AugmentConfig>("rever.probability = 0.5").is_err());
    let written: AugmentConfig = toml::from_str(CONFIG).unwrap();
    assert_eq!(toml::from_str::<AugmentConfig>(&toml::to_string(&written).unwrap()).unwrap(), written);
}

#[test]
fn missing_files_and_speakers_are_errors_before_training() {
    let dir = tempfile::tempdir().unwrap();
    let config: AugmentConfig = toml::from_str(CONFIG).unwrap();
    let new = |files: SoundFiles| Planner::new(&config, files.check(16_000).0, &mut stream(0));
    let whole = || files(dir.path());
    assert!(new(whole()).is_ok());
    for (files, word) in [
        (SoundFiles { noise: Vec::new(), ..whole() }, "noise"),
        (SoundFiles { music: vec!["absent.wav".into()], ..whole() }, "music"),
        (SoundFiles { rirs: Vec::new(), ..whole() }, "rir"),
        (
            SoundFiles { babble: whole().babble.into_iter().filter(|u| u.speaker < 3).collect(), ..whole() },
            "babble",
        ),
    ] {
        let error = new(files).unwrap_err().to_string();
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn a_bad_file_is_skipped_counted_and_in_the_end_stops_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let silent = dir.path().join("silent.wav");
    write_wav(&silent, &[0.0; 100], 16_000, SampleFormat::Pcm16).unwrap();
    let config = AugmentConfig { max_failed_share: 0.02, ..Default::default() };
    let augmenter = Augmenter::new(&config, 16_000);
    let mut scratch = Scratch::default();
    let rir = |path: &Path| Some(Reverb::File { path: path.to_path_buf(), channel: 0 });
    let good = Plan { reverb: rir(&files.rirs[0]), speed: 0.9, ..Default::default() };
    let bad = Plan { reverb: rir(&silent), speed: 0.9, ..Default::default() };

    let mut samples = speech(1);
    let error = augmenter.apply(&bad, &mut samples, &mut scratch).unwrap_err();
    assert!(error.to_string().contains("silent.wav") && samples == speech(1), "{error}");

    // The rest of the plan happens.
    let mut expected = speech(1);
    augmenter.apply(&bad.without_files(), &mut expected, &mut scratch).unwrap();
    for failures in 1..=2 {
        let mut samples = speech(1);
        let skipped = augmenter.apply_or_skip(&bad, &mut samples, &mut scratch).unwrap();
        assert!(skipped.unwrap().to_string().contains("silent.wav"));
        assert!(samples == expected && samples.len() == 22_222);
        assert_eq!(augmenter.failures().failed, failures);
    }
    for _ in 0..8 {
        assert!(augmenter.apply_or_skip(&good, &mut speech(1), &mut scratch).unwrap().is_none());
    }
    let plain = Plan { speed: 0.9, ..Default::default() };
    assert!(augmenter.apply_or_skip(&plain, &mut speech(1), &mut scratch).unwrap().is_none());
    assert_eq!((augmenter.failures().attempted, augmenter.failures().failed), (10, 2));
    // Two of a hundred are allowed, three are not.
    let error = augmenter.apply_or_skip(&bad, &mut speech(1), &mut scratch).unwrap_err();
    assert!(matches!(error, Error::TooManyFailures { failed: 3, attempted: 11, .. }), "{error}");
}

#[test]
fn classes_of_speeds_follow_those_of_speakers() {
    let config: AugmentConfig = toml::from_str("speed.probability = 0.6").unwrap();
    assert_eq!(config.speed.variants(), 3);
    assert_eq!([1.0, 0.9, 1.1].map(|factor| config.speed.class(4, factor, 10)), [4, 14, 24]);
    let same: AugmentConfig = toml::from_str("speed = { probability = 0.6, new_speakers = false }").unwrap();
    assert_eq!((same.speed.variants(), same.speed.class(4, 1.1, 10)), (1, 4));
    assert_eq!(AugmentConfig::default().speed.variants(), 1);
}
