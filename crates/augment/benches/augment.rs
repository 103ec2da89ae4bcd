//! Steps of augmentation on a crop of 2 s at 16 kHz: noise from the cache, and reverberation by responses of 0.5 s and
//! 1.5 s. Responses of a room of 72 m3 and 0.5 s, with one absorption and with octave bands. The transforms alone are timed too, and masks on 80 x 200 features.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ffsvc_audio::{SampleFormat, write_wav};
use ffsvc_augment::room::Room;
use ffsvc_augment::{
    AugmentConfig, Augmenter, Channel, Noise, NoiseKind, Plan, Reverb, Scratch, SoundCrop, SpecAugment,
    apply_masks,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use realfft::RealFftPlanner;

const RATE: u32 = 16_000;
const CROP: usize = 32_000;

fn augment(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut white = |len: usize| -> Vec<f32> { (0..len).map(|_| random.random_range(-0.3..0.3)).collect() };
    let speech = white(CROP);
    let write = |name: &str, samples: &[f32]| {
        let path = dir.path().join(name);
        write_wav(&path, samples, RATE, SampleFormat::Pcm16).expect("a WAV file");
        path
    };
    let noise = write("noise.wav", &white(5 * RATE as usize));
    let mut response = |seconds: f64| {
        let taps = white((seconds * f64::from(RATE)) as usize);
        let decay = |n: usize| (-6.9 * n as f32 / taps.len() as f32).exp();
        taps.iter().enumerate().map(|(n, v)| v * decay(n)).collect::<Vec<f32>>()
    };
    let (short, long) = (write("short.wav", &response(0.5)), write("long.wav", &response(1.5)));

    let augmenter = Augmenter::new(&AugmentConfig::default(), RATE);
    let mut scratch = Scratch::default();
    let reverb = |path| Some(Reverb::File { path, channel: 0 });
    let added = || {
        let sounds = vec![SoundCrop { path: noise.clone(), segment_s: None, place: 0.3 }];
        vec![Noise { kind: NoiseKind::Noise, sounds, snr_db: 10.0, reverb: None }]
    };
    let telephone = Channel { telephone_band: true, mu_law: true, ..Default::default() };
    let call = Channel { opus_kbps: Some(16.0), ..Default::default() };
    let plans = [
        ("noise", Plan { noises: added(), ..Default::default() }),
        ("reverb 0.5 s", Plan { reverb: reverb(short.clone()), ..Default::default() }),
        ("reverb 1.5 s", Plan { reverb: reverb(long), ..Default::default() }),
        ("noise over reverb 0.5 s", Plan { reverb: reverb(short), noises: added(), ..Default::default() }),
        ("telephone", Plan { channel: telephone, ..Default::default() }),
        ("call over the internet", Plan { channel: call, ..Default::default() }),
        ("speed 0.9", Plan { speed: 0.9, ..Default::default() }),
    ];
    for (name, plan) in &plans {
        criterion.bench_function(name, |b| {
            b.iter_batched_ref(
                || speech.clone(),
                |samples| augmenter.apply(plan, samples, &mut scratch),
                BatchSize::SmallInput,
            );
        });
    }

    // The bound: one transform there and one back of the size that the 0.5 s response takes in one block.
    let mut planner = RealFftPlanner::<f32>::new();
    let size = 49_152;
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let (mut signal, mut bins) = (forward.make_input_vec(), forward.make_output_vec());
    criterion.bench_function("two transforms of 49,152", |b| {
        b.iter(|| {
            forward.process(black_box(&mut signal), &mut bins).expect("matching sizes");
            inverse.process(&mut bins, &mut signal).expect("matching sizes");
            signal.fill(0.1);
        });
    });

    let masks = SpecAugment { probability: 1.0, ..Default::default() };
    let mut features = vec![1.0f32; 80 * 200];
    let mut random = ChaCha8Rng::seed_from_u64(2);
    criterion.bench_function("spec-augment", |b| {
        b.iter(|| {
            let drawn = masks.draw(80, 200, &mut random);
            apply_masks(black_box(&mut features), 200, &drawn);
        });
    });
}

fn rooms(criterion: &mut Criterion) {
    let one = Room {
        size_m: [6.0, 4.0, 3.0],
        rt60_s: 0.5,
        source_m: [1.5, 2.0, 1.6],
        microphone_m: [4.5, 2.5, 0.8],
        rt60_per_octave: 1.0,
        air: false,
    };
    for (name, room) in
        [("room", one), ("room in octave bands", Room { rt60_per_octave: 0.9, air: true, ..one })]
    {
        criterion.bench_function(name, |b| b.iter(|| black_box(room).impulse_response(RATE)));
    }
}

criterion_group!(benches, augment, rooms);
criterion_main!(benches);
