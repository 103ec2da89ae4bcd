//! Opening a data directory of a million utterances, as VoxCeleb2 with augmented copies has.
//!
//! The peak memory of the process (Linux) is printed before the measurements begin.

use std::fmt::Write;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ffsvc_kaldi_io::DataDir;

const UTTERANCES: u64 = 1_000_000;
const SPEAKERS: u64 = 6_000;

fn write_directory(path: &Path) {
    let (mut wav, mut utt2spk) = (String::new(), String::new());
    for utterance in 0..UTTERANCES {
        let speaker = utterance * SPEAKERS / UTTERANCES;
        let id = format!("id{speaker:05}-JzJMDhhxTVI-{utterance:07}");
        writeln!(wav, "{id} /data/voxceleb2/dev/wav/id{speaker:05}/JzJMDhhxTVI/{utterance:07}.wav").unwrap();
        writeln!(utt2spk, "{id} id{speaker:05}").unwrap();
    }
    std::fs::write(path.join("wav.scp"), wav).unwrap();
    std::fs::write(path.join("utt2spk"), utt2spk).unwrap();
}

fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find(|line| line.starts_with("VmHWM")).map(str::to_owned)
}

/// Sets the peak to the present use, so that it does not count what the preparation took.
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn open_a_million(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    write_directory(folder.path());
    reset_peak();
    let dir = DataDir::open(folder.path()).unwrap();
    assert_eq!((dir.len() as u64, dir.speakers().len() as u64), (UTTERANCES, SPEAKERS));
    drop(dir);
    if let Some(peak) = peak_memory() {
        println!("opening {UTTERANCES} utterances: {peak}");
    }
    let mut group = criterion.benchmark_group("DataDir");
    group.sample_size(10).throughput(Throughput::Elements(UTTERANCES));
    group.bench_function("open 1M utterances", |bencher| {
        bencher.iter(|| DataDir::open(folder.path()).unwrap());
    });
    group.finish();
}

criterion_group!(benches, open_a_million);
criterion_main!(benches);
