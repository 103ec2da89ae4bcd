//! Whole training items from recordings of 8 s at 16 kHz, and a whole batch of 128 of them, on one thread. An item is:
//! read a crop of 2 s, augment it, compute 80 log-mel bands, subtract the mean.

use std::fs;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ffsvc_audio::{SampleFormat, write_wav};
use ffsvc_dataset::{BatchMaker, Draw, Scratch};
use ffsvc_trainer::ExperimentConfig;

const RATE: u32 = 16_000;
const UTTERANCES: u32 = 128;

const CLEAN: &str = "";
const NOISE: &str = r#"
[augment.additive]
probability = 1.0
babble.weight = 0.0
noise.list = "DIR/noise.list"
"#;
const REVERB: &str = r#"
[augment.reverb]
probability = 1.0
list = "DIR/rir.list"
"#;
const BASELINE: &str = r#"
[augment]
compat = true
additive.noise.list = "DIR/noise.list"
additive.music.list = "DIR/music.list"
reverb.list = "DIR/rir.list"
"#;

/// Uniform noise; `seed` tells recordings apart.
fn noise(samples: u32, seed: u32) -> Vec<f32> {
    let value = |n: u32| (n ^ seed.wrapping_mul(40_503)).wrapping_mul(2_654_435_761) >> 8;
    (0..samples).map(|n| value(n) as f32 / 16_777_216.0 * 0.6 - 0.3).collect()
}

fn decaying(samples: u32, seed: u32) -> Vec<f32> {
    let decay = |n: usize| (-6.9 * n as f32 / samples as f32).exp();
    noise(samples, seed).iter().enumerate().map(|(n, v)| v * decay(n)).collect()
}

/// A data directory of [`UTTERANCES`] recordings of 8 speakers, and lists of noises (5 s), music (30 s) and impulse
/// responses (0.5 s).
fn make_corpus(dir: &Path) {
    let write = |name: String, samples: &[f32]| {
        let path = dir.join(name);
        write_wav(&path, samples, RATE, SampleFormat::Pcm16).expect("a WAV file");
        path.display().to_string()
    };
    let (mut wav_scp, mut utt2spk) = (String::new(), String::new());
    for n in 0..UTTERANCES {
        let id = format!("s{}-u{n:03}", n % 8);
        wav_scp += &format!("{id} {}\n", write(format!("{id}.wav"), &noise(8 * RATE, n)));
        utt2spk += &format!("{id} s{}\n", n % 8);
    }
    let sorted = |text: &str| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n") + "\n"
    };
    fs::write(dir.join("wav.scp"), sorted(&wav_scp)).expect("a table");
    fs::write(dir.join("utt2spk"), sorted(&utt2spk)).expect("a table");
    let speakers = (0..8).map(|speaker| {
        let own: Vec<String> =
            (speaker..UTTERANCES).step_by(8).map(|n| format!("s{speaker}-u{n:03}")).collect();
        format!("s{speaker} {}\n", own.join(" "))
    });
    fs::write(dir.join("spk2utt"), speakers.collect::<String>()).expect("a table");
    for (list, samples) in [("noise", 5 * RATE), ("music", 30 * RATE), ("rir", RATE / 2)] {
        let make = if list == "rir" { decaying } else { noise };
        let paths: String =
            (0..8).map(|n| write(format!("{list}{n}.wav"), &make(samples, 1000 + n)) + "\n").collect();
        fs::write(dir.join(format!("{list}.list")), paths).expect("a list");
    }
}

fn draw(utterance: u32) -> Draw {
    Draw { utterance, repetition: 0 }
}

fn maker(dir: &Path, augment: &str) -> BatchMaker {
    let text = format!(
        "[data]\ntrain = \"DIR\"\n[model]\narchitecture = \"resnet\"\n[head]\nkind = \"aam-softmax\"\n{augment}"
    );
    let text = text.replace("DIR", &dir.display().to_string());
    let config: ExperimentConfig = toml::from_str(&text).expect("a configuration");
    BatchMaker::open(&config.crops(&[])).expect("a readable corpus")
}

fn data_path(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    make_corpus(dir.path());
    let mut group = criterion.benchmark_group("whole item");
    group.throughput(Throughput::Elements(1));
    for (name, augment) in
        [("clean", CLEAN), ("noise", NOISE), ("reverb", REVERB), ("baseline mix", BASELINE)]
    {
        let maker = maker(dir.path(), augment);
        let mut scratch = Scratch::default();
        // Another plan every time.
        let mut items = (0..).flat_map(|epoch| (0..UTTERANCES).map(move |index| (epoch, draw(index))));
        group.bench_function(name, |b| {
            b.iter(|| items.next().map(|(epoch, index)| maker.make(epoch, &[index], &mut scratch)));
        });
    }
    group.finish();

    let maker = maker(dir.path(), BASELINE);
    let members: Vec<Draw> = (0..UTTERANCES).map(draw).collect();
    let (mut scratch, mut epochs) = (Scratch::default(), 0..);
    let mut group = criterion.benchmark_group("whole batch");
    group.throughput(Throughput::Elements(u64::from(UTTERANCES)));
    group.bench_function("baseline mix", |b| {
        b.iter(|| epochs.next().map(|epoch| maker.make(epoch, &members, &mut scratch)));
    });
    group.finish();
}

criterion_group!(benches, data_path);
criterion_main!(benches);
