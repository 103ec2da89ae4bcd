//! The sound files that augmentation draws from, checked before training begins.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use ffsvc_audio::AudioFile;

use crate::error::Error;

/// How many files a report names.
const NAMED: usize = 5;

/// Files by what they are for. The caller has read the lists; nothing is guessed from names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SoundFiles {
    /// Sounds of things, animals and places.
    pub noise: Vec<PathBuf>,
    /// Music.
    pub music: Vec<PathBuf>,
    /// Room impulse responses.
    pub rirs: Vec<PathBuf>,
    /// The training utterances, for babble. Checked by whoever reads the training data, not here.
    pub babble: Vec<BabbleUtterance>,
}

/// A recording of one speaker.
#[derive(Debug, Clone, PartialEq)]
pub struct BabbleUtterance {
    /// Its sound file.
    pub path: PathBuf,
    /// The part of the file that it is, as [`SoundCrop::segment_s`](crate::SoundCrop::segment_s).
    pub segment_s: Option<(f64, Option<f64>)>,
    /// The speaker's index, which must agree with [`Item::speaker`](crate::Item::speaker).
    pub speaker: u32,
}

/// A sound file whose header could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoundFile {
    /// The file.
    pub path: PathBuf,
    /// Its channels. Of a room impulse response one is drawn for each use.
    pub channels: usize,
    /// Its sample rate in Hz.
    pub sample_rate: u32,
    /// Samples of each channel, where the header says it.
    pub num_samples: Option<u64>,
}

/// The usable files of [`SoundFiles`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CheckedFiles {
    /// As [`SoundFiles::noise`].
    pub noise: Vec<SoundFile>,
    /// As [`SoundFiles::music`].
    pub music: Vec<SoundFile>,
    /// As [`SoundFiles::rirs`].
    pub rirs: Vec<SoundFile>,
    /// Utterances by speaker.
    pub babble: BTreeMap<u32, Vec<BabbleUtterance>>,
}

/// What was found in one list.
#[derive(Debug)]
pub struct ListReport {
    /// Which list: `noise`, `music` or `rir`.
    pub list: &'static str,
    /// Files that can be used.
    pub usable: usize,
    /// Their duration in seconds, as far as headers tell.
    pub seconds: f64,
    /// Usable files at another rate than the front end's: they are converted whenever they are decoded, which costs time.
    pub other_rate: Vec<PathBuf>,
    /// Files that cannot be read or are empty.
    pub bad: Vec<Error>,
}

impl SoundFiles {
    /// Opens every file of the three lists and reads its header. Files that cannot be read are left out and reported;
    /// whether to go on without them is the caller's decision.
    pub fn check(self, sample_rate: u32) -> (CheckedFiles, Vec<ListReport>) {
        let mut reports = Vec::new();
        let mut check = |list, paths: Vec<PathBuf>| {
            let (files, report) = check_list(list, paths, sample_rate);
            if report.usable + report.bad.len() > 0 {
                reports.push(report);
            }
            files
        };
        let noise = check("noise", self.noise);
        let music = check("music", self.music);
        let rirs = check("rir", self.rirs);
        let mut babble: BTreeMap<u32, Vec<BabbleUtterance>> = BTreeMap::new();
        for utterance in self.babble {
            babble.entry(utterance.speaker).or_default().push(utterance);
        }
        (CheckedFiles { noise, music, rirs, babble }, reports)
    }
}

fn check_list(list: &'static str, paths: Vec<PathBuf>, sample_rate: u32) -> (Vec<SoundFile>, ListReport) {
    let mut report = ListReport { list, usable: 0, seconds: 0.0, other_rate: Vec::new(), bad: Vec::new() };
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        match AudioFile::open(&path).map(|file| *file.info()) {
            Ok(info) if info.num_samples == Some(0) => report
                .bad
                .push(Error::Audio(ffsvc_audio::Error { path, cause: ffsvc_audio::Cause::NoSamples })),
            Ok(info) => {
                report.usable += 1;
                report.seconds += info.duration_s().unwrap_or(0.0);
                if info.sample_rate != sample_rate {
                    report.other_rate.push(path.clone());
                }
                files.push(SoundFile {
                    path,
                    channels: info.channels.max(1),
                    sample_rate: info.sample_rate,
                    num_samples: info.num_samples,
                });
            }
            Err(error) => report.bad.push(Error::Audio(error)),
        }
    }
    (files, report)
}

impl fmt::Display for ListReport {
    /// One line with the counts, then the first files of each complaint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} list: {} files, {:.1} minutes", self.list, self.usable, self.seconds / 60.0)?;
        if !self.other_rate.is_empty() {
            write!(f, "; {} at another sample rate (converted when read)", self.other_rate.len())?;
            for path in self.other_rate.iter().take(NAMED) {
                write!(f, "\n  another rate: {}", path.display())?;
            }
        }
        if !self.bad.is_empty() {
            write!(
                f,
                "{}{} cannot be used",
                if self.other_rate.is_empty() { "; " } else { "\n  " },
                self.bad.len()
            )?;
            for error in self.bad.iter().take(NAMED) {
                write!(f, "\n  unusable: {error}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffsvc_audio::{SampleFormat, write_wav};

    #[test]
    fn unusable_files_are_named_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        write_wav(at("good.wav"), &[0.1; 16_000], 16_000, SampleFormat::Pcm16).unwrap();
        write_wav(at("slow.wav"), &[0.1; 8000], 8000, SampleFormat::Pcm16).unwrap();
        std::fs::write(at("empty.wav"), "").unwrap();
        std::fs::write(at("text.wav"), "not a sound\n").unwrap();
        let noise = ["good.wav", "slow.wav", "empty.wav", "text.wav", "absent.wav"].map(at).to_vec();
        let files = SoundFiles { noise, rirs: vec![at("good.wav")], ..Default::default() };
        let (checked, reports) = files.check(16_000);
        let file = |name: &str, sample_rate, num_samples| SoundFile {
            path: at(name),
            channels: 1,
            sample_rate,
            num_samples: Some(num_samples),
        };
        assert_eq!(checked.noise, [file("good.wav", 16_000, 16_000), file("slow.wav", 8000, 8000)]);
        assert_eq!(checked.rirs, [file("good.wav", 16_000, 16_000)]);
        assert_eq!(reports.len(), 2, "no music list, no report of one");
        assert_eq!((reports[0].usable, reports[0].bad.len()), (2, 3));
        assert_eq!(reports[0].other_rate, [at("slow.wav")]);
        assert!((reports[0].seconds - 2.0).abs() < 1e-9);
        let text = reports[0].to_string();
        for word in ["2 files", "slow.wav", "empty.wav", "text.wav", "absent.wav", "3 cannot be used"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert_eq!(reports[1].to_string(), "rir list: 1 files, 0.0 minutes");
    }
}
