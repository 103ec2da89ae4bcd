//! Recordings decoded once into WAV files, so that training need not decode them for every crop.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ffsvc_audio::{Channel, ReadOptions, SampleFormat, write_wav};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, IoContext, ReadError, Result};
use crate::recording::{Recording, read_audio, wav_path};

/// The file that says how a folder's recordings were made.
const SETTINGS: &str = "conversion.json";

/// Recordings to 16-bit WAV files in a folder. A file is there whole or not at all, and one that is there is kept: an
/// interrupted conversion goes on where it ended.
///
/// ```
/// use ffsvc_audio::{SampleFormat, write_wav};
/// use ffsvc_dataset::{Conversion, Recording};
/// use ffsvc_kaldi_io::WavSource;
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// write_wav(folder.join("a.wav"), &[0.5; 800], 8000, SampleFormat::Pcm16)?;
/// let recordings = [Recording { id: "ann-1".into(), source: WavSource::File(folder.join("a.wav")).into() }];
/// let conversion = Conversion::open(&folder.join("out"), Some(16_000), Default::default())?;
/// let outcomes = conversion.run(&recordings);
/// assert!(outcomes[0].as_ref().is_ok_and(|path| path.ends_with("ann-1.wav")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Conversion {
    folder: PathBuf,
    read: ReadOptions,
}

/// What must be the same for all files of a folder.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    sample_rate: Option<u32>,
    channel: String,
}

impl Conversion {
    /// A conversion into `folder`, to `sample_rate` Hz (`None`: each recording's own), of one channel. A folder of files that
    /// were made with other settings is refused.
    ///
    /// # Errors
    /// The folder cannot be made, or has files with other settings.
    pub fn open(folder: &Path, sample_rate: Option<u32>, channel: Channel) -> Result<Self> {
        std::fs::create_dir_all(folder).at(folder)?;
        let now = Settings { sample_rate, channel: channel.to_string() };
        let path = folder.join(SETTINGS);
        let state = |reason: String| Error::State { path: path.clone(), reason };
        if path.exists() {
            let text = std::fs::read_to_string(&path).at(&path)?;
            let then: Settings = serde_json::from_str(&text).map_err(|error| state(error.to_string()))?;
            if then != now {
                return Err(state(format!(
                    "the files here were made with {}, not {}",
                    then.words(),
                    now.words()
                )));
            }
        } else {
            let text = serde_json::to_string_pretty(&now).map_err(|error| state(error.to_string()))?;
            ffsvc_atomic_file::write(&path, text + "\n").at(&path)?;
        }
        let read = sample_rate.map_or_else(ReadOptions::default, ReadOptions::at_rate);
        Ok(Self { folder: folder.to_path_buf(), read: read.with_channel(channel) })
    }

    /// The file of an utterance.
    pub fn path_of(&self, utterance: &str) -> PathBuf {
        wav_path(&self.folder, utterance)
    }

    /// Looks whether each recording has a file of its own.
    ///
    /// # Errors
    /// Two utterances would be in one file.
    pub fn check(&self, recordings: &[Recording]) -> Result<()> {
        let mut files: HashMap<PathBuf, &str> = HashMap::with_capacity(recordings.len());
        for recording in recordings {
            if let Some(other) = files.insert(self.path_of(&recording.id), &recording.id) {
                let reason = format!("would be the file of both {other} and {}", recording.id);
                return Err(Error::State { path: self.path_of(other), reason });
            }
        }
        Ok(())
    }

    /// Whether the file of an utterance is there already.
    pub fn is_done(&self, utterance: &str) -> bool {
        self.path_of(utterance).is_file()
    }

    /// Converts a block of recordings on all threads, but for those that are [done](Self::is_done). Gives the file of each, in
    /// their order.
    pub fn run(&self, recordings: &[Recording]) -> Vec<std::result::Result<PathBuf, ReadError>> {
        recordings.par_iter().map(|recording| self.convert(recording)).collect()
    }

    fn convert(&self, Recording { id, source }: &Recording) -> std::result::Result<PathBuf, ReadError> {
        let path = self.path_of(id);
        if !path.is_file() {
            let audio = read_audio(source, &self.read)?;
            write_wav(&path, &audio.samples, audio.sample_rate, SampleFormat::Pcm16)?;
        }
        Ok(path)
    }
}

impl Settings {
    fn words(&self) -> String {
        let rate = self.sample_rate.map_or_else(|| "their own rates".to_owned(), |rate| format!("{rate} Hz"));
        format!("{rate}, channel {}", self.channel)
    }
}

#[cfg(test)]
mod tests {
    use ffsvc_kaldi_io::WavSource;

    use super::*;

    #[test]
    fn what_is_there_is_kept_and_other_settings_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write_wav(at("a.wav"), &[0.25; 1600], 16_000, SampleFormat::Pcm16).unwrap();
        let recording =
            |id: &str, name: &str| Recording { id: id.into(), source: WavSource::File(at(name)).into() };
        let recordings = [recording("ann/1", "a.wav"), recording("bob", "missing.wav")];
        let out = at("out");
        let conversion = Conversion::open(&out, Some(8_000), Channel::First).unwrap();
        let outcomes = conversion.run(&recordings);
        let written = outcomes[0].as_ref().unwrap();
        assert_eq!(*written, out.join("ann_1.wav"));
        assert!(outcomes[1].is_err() && !conversion.is_done("bob"));
        let audio = read_audio(&WavSource::File(written.clone()).into(), &ReadOptions::default()).unwrap();
        assert_eq!((audio.sample_rate, audio.samples.len()), (8_000, 800));

        std::fs::write(written, "kept").unwrap();
        let again = Conversion::open(&out, Some(8_000), Channel::First).unwrap();
        assert!(again.run(&recordings)[0].is_ok());
        assert_eq!(std::fs::read_to_string(written).unwrap(), "kept");
        assert!(again.check(&recordings).is_ok());
        let error = again.check(&[recording("a/b", "a.wav"), recording("a_b", "a.wav")]).unwrap_err();
        assert!(error.to_string().contains("both a/b and a_b"), "{error}");
        let error = Conversion::open(&out, None, Channel::First).unwrap_err().to_string();
        assert!(error.contains("were made with 8000 Hz, channel first, not their own rates"), "{error}");
    }
}
