//! Real files, where the shared corpora are there: whole decodes against crops.

use std::path::{Path, PathBuf};

use ffsvc_audio::{AudioFile, ReadOptions};

fn corpus(name: &str) -> PathBuf {
    ffsvc_test_data::shared("corpora").join(name)
}

/// Every `step`-th file with one of `extensions` under `folder`, by name.
fn files(folder: &Path, extension: &str, step: usize) -> Vec<PathBuf> {
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
    found.into_iter().step_by(step).collect()
}

/// Of one open file, so that every read also starts after another one.
fn crops_equal_the_whole(path: &Path) {
    let options = ReadOptions::default();
    let mut file = AudioFile::open(path).unwrap();
    let whole = file.read(&options).unwrap().samples;
    assert_eq!(file.count_frames().unwrap(), whole.len() as u64, "{}", path.display());
    let len = whole.len();
    for (start, len) in
        [(0, len), (0, 1), (len - 1, 1), (len / 3, len / 3), (len / 2 + 1, 100), (4095.min(len - 2), 2)]
    {
        let mut crop = vec![0.0; len];
        file.crop_into(start as u64, &mut crop, &options).unwrap();
        assert!(crop == whole[start..start + len], "{} {start}+{len}", path.display());
    }
    let options = ReadOptions::at_rate(22_050);
    let whole = file.read(&options).unwrap().samples;
    let start = whole.len() / 2;
    let crop = file.crop(start as u64, 500, &options).unwrap().samples;
    assert!(crop.iter().zip(&whole[start..]).all(|(a, b)| (a - b).abs() < 1e-6), "{}", path.display());
    assert!(file.crop(whole.len() as u64, 1, &options).is_err());
}

fn flac_speech() {
    let folder = corpus("speechocean762/flac");
    let files = files(&folder, "flac", 250);
    assert!(!files.is_empty());
    for path in files {
        assert!(AudioFile::open(&path).unwrap().frames().is_some());
        crops_equal_the_whole(&path);
    }
}

fn flac_music() {
    let folder = corpus("music");
    let path = folder.join("loop_amen_full.flac");
    crops_equal_the_whole(&path);
}

fn ogg_noise() {
    let folder = corpus("noise");
    let files = files(&folder, "ogg", 150);
    assert!(!files.is_empty());
    for path in files {
        crops_equal_the_whole(&path);
    }
}

ffsvc_test_data::shared_tests!(flac_speech, flac_music, ogg_noise);
