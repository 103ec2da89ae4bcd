//! Crops of sound files: short files decoded once and kept, of long ones only the crop read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ffsvc_audio::{AudioFile, ReadOptions};

use crate::cache::{Cache, CacheUse};
use crate::error::Result;
use crate::noise::repeat_from;
use crate::plan::SoundCrop;

/// Files up to this long are decoded whole, in seconds. It must not depend on what the cache holds: a crop of a file whose
/// rate is changed equals that part of the whole only within 1e-6.
const WHOLE_S: u64 = 30;

/// Sounds at one sample rate.
pub(crate) struct SoundStore {
    sample_rate: u32,
    /// By path, and whether the baseline's filter was applied.
    cache: Cache<(PathBuf, bool), Held>,
}

enum Held {
    /// All samples.
    Whole(Vec<f32>),
    /// How many samples a longer file has.
    Long(u64),
}

impl Held {
    fn bytes(&self, path: &Path) -> usize {
        let samples = match self {
            Self::Whole(samples) => samples.len(),
            Self::Long(_) => 0,
        };
        samples * size_of::<f32>() + 2 * path.as_os_str().len()
    }
}

impl SoundStore {
    pub(crate) fn new(sample_rate: u32, budget: usize) -> Self {
        Self { sample_rate, cache: Cache::new(budget) }
    }

    /// How files are read: in the baseline's way, through its low-pass, or not.
    pub(crate) fn options(&self, compat: bool) -> ReadOptions {
        ReadOptions::at_rate(self.sample_rate).with_compat_lowpass(compat)
    }

    pub(crate) fn usage(&self) -> CacheUse {
        self.cache.usage()
    }

    /// Fills `out` from the sound. The part begins at the share `place` of all possible starts. A shorter sound is
    /// repeated from the share `place` of it on (in the baseline's way: from its beginning).
    ///
    /// `keep` holds short files in the cache; the samples do not depend on it.
    pub(crate) fn fill(&self, sound: &SoundCrop, compat: bool, keep: bool, out: &mut [f32]) -> Result<()> {
        let SoundCrop { path, place, .. } = sound;
        // Files are kept, not parts of them.
        let held = if keep && sound.segment_s.is_none() {
            self.cache.get_or_make(
                &(path.clone(), compat),
                |held| held.bytes(path),
                || self.open(sound, compat),
            )?
        } else {
            Arc::new(self.open(sound, compat)?)
        };
        match held.as_ref() {
            Held::Whole(samples) => fill_from(samples, *place, compat, out),
            Held::Long(total) if *total > out.len() as u64 => {
                let start = start(*total, out.len() as u64, *place, compat);
                open_file(sound)?.crop_into(start, out, &self.options(compat))?;
            }
            Held::Long(_) => {
                let whole = open_file(sound)?.read(&self.options(compat))?;
                fill_from(&whole.samples, *place, compat, out);
            }
        }
        Ok(())
    }

    fn open(&self, sound: &SoundCrop, compat: bool) -> Result<Held> {
        let options = self.options(compat);
        let most = WHOLE_S * u64::from(self.sample_rate);
        let mut file = open_file(sound)?;
        match file.info().num_samples_at(options.sample_rate) {
            Some(total) if total > most => Ok(Held::Long(total)),
            _ => {
                let samples = file.read(&options)?.samples;
                // A file whose header tells no length can turn out to be long.
                let long = samples.len() as u64 > most;
                Ok(if long { Held::Long(samples.len() as u64) } else { Held::Whole(samples) })
            }
        }
    }
}

fn open_file(sound: &SoundCrop) -> Result<AudioFile> {
    let file = AudioFile::open(&sound.path)?;
    Ok(match sound.segment_s {
        Some((start_s, end_s)) => file.with_segment(start_s, end_s)?,
        None => file,
    })
}

fn fill_from(samples: &[f32], place: f64, compat: bool, out: &mut [f32]) {
    let (total, len) = (samples.len(), out.len());
    if total > len {
        let start = start(total as u64, len as u64, place, compat) as usize;
        out.copy_from_slice(&samples[start..start + len]);
    } else {
        let first = if compat { 0 } else { (place * total as f64) as usize };
        repeat_from(samples, first, out);
    }
}

/// A start for `len` of `total` samples, `len < total`. The baseline never draws the last one (`_get_sample`).
fn start(total: u64, len: u64, place: f64, compat: bool) -> u64 {
    let starts = total - len + u64::from(!compat);
    ((place * starts as f64) as u64).min(total - len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffsvc_audio::{SampleFormat, write_wav};

    #[test]
    fn samples_depend_neither_on_the_budget_nor_on_keeping() {
        let dir = tempfile::tempdir().unwrap();
        // Short and long, at the store's rate and at another.
        let files: Vec<PathBuf> = [(16_000, 2), (16_000, 31), (22_050, 2), (22_050, 31)]
            .into_iter()
            .map(|(rate, seconds)| {
                let path = dir.path().join(format!("{rate}-{seconds}.wav"));
                let samples: Vec<f32> = (0..rate * seconds).map(|n| (n as f32 * 0.013).sin() * 0.5).collect();
                write_wav(&path, &samples, rate, SampleFormat::Pcm16).unwrap();
                path
            })
            .collect();
        let store = |budget| SoundStore::new(16_000, budget);
        let (ample, tight, none) = (store(1 << 24), store(140_000), store(0));
        let mut outputs = [(); 4].map(|()| vec![0.0f32; 40_000]);
        for round in 0..3 {
            for path in &files {
                let sound = SoundCrop { path: path.clone(), segment_s: None, place: f64::from(round) / 3.0 };
                ample.fill(&sound, false, true, &mut outputs[0]).unwrap();
                tight.fill(&sound, false, true, &mut outputs[1]).unwrap();
                none.fill(&sound, false, true, &mut outputs[2]).unwrap();
                ample.fill(&sound, false, false, &mut outputs[3]).unwrap();
                assert!(outputs.iter().all(|other| *other == outputs[0]), "{}", path.display());
            }
        }
        assert_eq!((ample.usage().hits, none.usage().hits), (8, 0));
        assert!(tight.usage().bytes <= 140_000);
    }

    #[test]
    fn a_segment_is_a_sound_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let ramp: Vec<f32> = (0..16_000).map(|n| n as f32 / 32_768.0).collect();
        write_wav(&path, &ramp, 16_000, SampleFormat::Pcm16).unwrap();
        let store = SoundStore::new(16_000, 1 << 24);
        let filled = |segment_s, place, len| {
            let sound = SoundCrop { path: path.clone(), segment_s, place };
            let mut out = vec![0.0; len];
            store.fill(&sound, false, true, &mut out).unwrap();
            out
        };
        assert_eq!(filled(None, 0.0, 100), ramp[..100]);
        assert_eq!(filled(Some((0.25, Some(0.5))), 0.0, 100), ramp[4000..4100]);
        let repeated = [&ramp[12_000..], &ramp[12_000..12_100]].concat();
        assert_eq!(filled(Some((0.75, None)), 0.0, 4100), repeated);
    }

    #[test]
    fn every_start_is_possible_and_none_beyond() {
        assert_eq!(start(10, 8, 0.0, false), 0);
        assert_eq!(start(10, 8, 0.999_999_9, false), 2);
        assert_eq!(start(10, 8, 0.999_999_9, true), 1);
        assert_eq!(start(10, 8, 1.0, false), 2);
    }
}
