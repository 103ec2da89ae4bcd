//! The estimate of a recording's memory against what is really taken, counted by the allocator.

#![recursion_limit = "256"]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::Module;
use burn::tensor::Device;
use ffsvc_audio::SampleFormat;
use ffsvc_extraction::{Error, Extractor};
use ffsvc_features::FrontEndConfig;
use ffsvc_kaldi_io::WavSource;
use ffsvc_models::{
    CamPlusPlusConfig, ERes2NetConfig, ERes2NetV2Config, EcapaTdnnConfig, Ge2eLstmConfig,
    GeminiDfResNetConfig, ModelConfig, ModelInfo, ReDimNet2Config, ReDimNetConfig, RepVggConfig,
    Res2NetConfig, ResNetConfig, SimAmResNetConfig, SpeechBrainEcapaConfig, TdnnConfig, TitaNetConfig,
    WespeakerEcapaConfig,
};

/// The system's allocator, counting the bytes that are held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn extractor(model: ModelConfig) -> Extractor {
    let device = Device::flex();
    device.seed(5);
    let network = model.init(80, &device).unwrap();
    let info = ModelInfo::new(model, FrontEndConfig::default());
    Extractor::of_model(network.valid(), &info, &device).unwrap()
}

fn recording(folder: &Path, seconds: usize) -> PathBuf {
    let path = folder.join(format!("{seconds}.wav"));
    let samples: Vec<f32> = (0..16_000 * seconds).map(|n| (n as f32 * 0.07).sin() * 0.3).collect();
    ffsvc_audio::write_wav(&path, &samples, 16_000, SampleFormat::Pcm16).unwrap();
    path
}

/// What the error of a recording that does not fit says that it would take.
fn estimate(extractor: Extractor, path: &Path) -> (u64, Extractor) {
    let options = *extractor.options();
    let extractor = extractor.with_options(options.with_memory(1));
    let Err(Error::Memory { needed, available: 1, .. }) =
        extractor.embed(&WavSource::File(path.into()).into())
    else {
        panic!("a recording in a byte of memory")
    };
    (needed, extractor.with_options(options))
}

#[test]
fn recordings_take_what_is_estimated() {
    let folder = tempfile::tempdir().unwrap();
    let resnet = |depth| ModelConfig::Resnet(ResNetConfig { depth, ..Default::default() });
    let (short, long) = (recording(folder.path(), 6), recording(folder.path(), 100));
    let ecapa = ModelConfig::EcapaTdnn(EcapaTdnnConfig::default());
    let wespeaker_ecapa = ModelConfig::WespeakerEcapaTdnn(WespeakerEcapaConfig::default());
    let size = SpeechBrainEcapaConfig { channels: 512, aggregated: 1536, ..Default::default() };
    let speechbrain_ecapa = ModelConfig::SpeechBrainEcapaTdnn(size);
    let titanet = |channels| ModelConfig::TitaNet(TitaNetConfig { channels, ..Default::default() });
    let gemini = GeminiDfResNetConfig { depth: 60, ..Default::default() };
    // For 80 rows of features.
    let redimnet = ReDimNetConfig { channels: 6, ..Default::default() };
    let narrow = ResNetConfig { in_planes: 16, ..Default::default() };
    let cases = [
        // In blocks.
        ("ResNet34 with 16 channels", ModelConfig::Resnet(narrow), &long),
        ("CAM++", ModelConfig::CamPlusPlus(CamPlusPlusConfig::default()), &long),
        ("x-vector", ModelConfig::Tdnn(TdnnConfig::default()), &long),
        ("ECAPA-TDNN", ecapa.clone(), &long),
        ("ECAPA-TDNN of WeSpeaker", wespeaker_ecapa.clone(), &long),
        ("ECAPA-TDNN of SpeechBrain", speechbrain_ecapa.clone(), &long),
        ("TitaNet", titanet(1024), &long),
        ("TitaNet, small", titanet(256), &long),
        // In windows, some of them at a time.
        ("LSTM", ModelConfig::Ge2eLstm(Ge2eLstmConfig::default()), &long),
        ("LSTM", ModelConfig::Ge2eLstm(Ge2eLstmConfig::default()), &short),
        // All at once.
        ("ResNet34", resnet(34), &short),
        ("ResNet50", resnet(50), &short),
        ("CAM++", ModelConfig::CamPlusPlus(CamPlusPlusConfig::default()), &short),
        ("ECAPA-TDNN", ecapa, &short),
        ("ECAPA-TDNN of WeSpeaker", wespeaker_ecapa, &short),
        ("ECAPA-TDNN of SpeechBrain", speechbrain_ecapa, &short),
        ("TitaNet", titanet(1024), &short),
        ("TitaNet, small", titanet(256), &short),
        ("x-vector", ModelConfig::Tdnn(TdnnConfig::default()), &short),
        ("ERes2Net", ModelConfig::ERes2Net(ERes2NetConfig::default()), &short),
        (
            "ERes2NetV2 with 16 channels",
            ModelConfig::ERes2NetV2(ERes2NetV2Config { in_planes: 16, ..Default::default() }),
            &short,
        ),
        ("Res2Net", ModelConfig::Res2Net(Res2NetConfig::default()), &short),
        ("RepVGG", ModelConfig::RepVgg(RepVggConfig::default()), &short),
        ("Gemini DF-ResNet60", ModelConfig::GeminiDfResnet(gemini), &short),
        ("ReDimNet2", ModelConfig::ReDimNet2(ReDimNet2Config { channels: 9, ..Default::default() }), &short),
        ("ReDimNet", ModelConfig::ReDimNet(redimnet), &short),
        (
            "SimAM-ResNet34 with 16 channels",
            ModelConfig::SimAmResnet(SimAmResNetConfig { in_planes: 16, ..Default::default() }),
            &short,
        ),
    ];
    let mut wrong = Vec::new();
    for (name, config, path) in cases {
        let (estimate, extractor) = estimate(extractor(config), path);
        // Working memory that threads keep is not of this recording.
        extractor.embed(&WavSource::File(path.clone()).into()).unwrap();
        let taken = || {
            let before = HELD.load(Ordering::Relaxed);
            PEAK.store(before, Ordering::Relaxed);
            extractor.embed(&WavSource::File(path.clone()).into()).unwrap();
            (PEAK.load(Ordering::Relaxed) - before) as u64
        };
        let mut least = taken();
        // Where other programs hold a thread up, two pieces of work may be in memory at once that are not as a rule.
        for _ in 0..3 {
            if estimate as f64 / (least as f64) < 1.2 {
                least = least.min(taken());
            }
        }
        let (taken, ratio) = (least, estimate as f64 / least as f64);
        println!(
            "{name}: {:.1} MiB taken for {}, {:.1} MiB estimated ({ratio:.2})",
            taken as f64 / f64::from(1 << 20),
            path.file_name().unwrap().display(),
            estimate as f64 / f64::from(1 << 20)
        );
        if !(1.2..2.0).contains(&ratio) {
            wrong.push((name, path));
        }
    }
    assert!(wrong.is_empty(), "the estimates for {wrong:?} are off");
}
