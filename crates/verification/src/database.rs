//! Enrolled speakers in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ffsvc_atomic_file::Lock;
use ffsvc_scoring::report::SourceFile;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::verifier::{Verifier, Voice};

/// Version of the files.
const VERSION: u32 = 1;
const DATABASE: &str = "database.json";
const SPEAKERS: &str = "speakers";
/// Longest name of a speaker, bytes: its escaped form has to be a file name.
const MAX_NAME_BYTES: usize = 80;

/// `database.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    /// The model that made all embeddings.
    model: SourceFile,
}

/// A recording that a speaker was enrolled with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolledRecording {
    /// Its path at the time.
    pub recording: String,
    /// Seconds of speech.
    pub speech_s: f64,
    /// The detector of the speech, where only the speech was embedded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speech_only: Option<String>,
    /// `[embedding_size]`, as the network gives it.
    pub embedding: Vec<f32>,
}

/// `speakers/NAME.json`: a speaker and their recordings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolledSpeaker {
    /// Name.
    pub name: String,
    /// SHA-256 of the model file that made the embeddings.
    pub model_sha256: String,
    /// What the speaker was enrolled with, in the order of enrolment.
    pub recordings: Vec<EnrolledRecording>,
}

/// A speaker and how near a voice is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Name.
    pub speaker: String,
    /// Cosine of the voice and the mean of the speaker's embeddings of length 1.
    pub score: f64,
}

/// Enrolled speakers in a folder, all embedded by one model.
///
/// Speakers are read when the database is opened. [`add`](Self::add) and [`remove`](Self::remove) lock the folder for the
/// moment that they write.
#[derive(Debug)]
pub struct SpeakerDatabase {
    folder: PathBuf,
    header: Header,
    speakers: BTreeMap<String, EnrolledSpeaker>,
}

impl SpeakerDatabase {
    /// Opens the database in `folder`.
    ///
    /// # Errors
    /// There is none, or one of its files is damaged.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref().to_path_buf();
        let path = folder.join(DATABASE);
        if !path.is_file() {
            return Err(Error::NoDatabase { path: folder });
        }
        let header: Header = read_json(&path)?;
        if header.version != VERSION {
            let (found, expected) = (format!("version {}", header.version), format!("version {VERSION}"));
            return Err(Error::Damaged { path, found, expected });
        }
        let mut speakers = BTreeMap::new();
        for path in json_files(&folder.join(SPEAKERS))? {
            let speaker: EnrolledSpeaker = read_json(&path)?;
            check(&speaker, &header).map_err(|(found, expected)| Error::Damaged { path, found, expected })?;
            speakers.insert(speaker.name.clone(), speaker);
        }
        Ok(Self { folder, header, speakers })
    }

    /// Opens the database in `folder`, or makes an empty one there for `model`.
    ///
    /// # Errors
    /// As [`open`](Self::open); it belongs to another model; the folder cannot be made.
    pub fn open_or_create(folder: impl AsRef<Path>, model: &SourceFile) -> Result<Self> {
        let folder = folder.as_ref();
        if !folder.join(DATABASE).is_file() {
            let speakers = folder.join(SPEAKERS);
            fs::create_dir_all(&speakers).map_err(|source| Error::Io { path: speakers, source })?;
            let _lock = lock(folder)?;
            // Another process may have made it while this one waited for the lock.
            if !folder.join(DATABASE).is_file() {
                write_json(&folder.join(DATABASE), &Header { version: VERSION, model: model.clone() })?;
            }
        }
        let database = Self::open(folder)?;
        database.check_model(model)?;
        Ok(database)
    }

    /// Checks that the database belongs to `model`.
    ///
    /// # Errors
    /// It does not: the SHA-256 differ.
    pub fn check_model(&self, model: &SourceFile) -> Result<()> {
        if self.header.model.sha256 == model.sha256 {
            return Ok(());
        }
        Err(Error::OtherModel {
            path: self.folder.clone(),
            theirs: self.header.model.to_string(),
            ours: model.to_string(),
        })
    }

    /// The model that made the embeddings.
    pub fn model(&self) -> &SourceFile {
        &self.header.model
    }

    /// The speakers, in the order of their names.
    pub fn speakers(&self) -> impl Iterator<Item = &EnrolledSpeaker> {
        self.speakers.values()
    }

    /// Number of speakers.
    pub fn len(&self) -> usize {
        self.speakers.len()
    }

    /// Whether nobody is enrolled.
    pub fn is_empty(&self) -> bool {
        self.speakers.is_empty()
    }

    /// A speaker.
    ///
    /// # Errors
    /// Nobody of this name is enrolled.
    pub fn speaker(&self, name: &str) -> Result<&EnrolledSpeaker> {
        self.speakers.get(name).ok_or_else(|| Error::UnknownSpeaker {
            path: self.folder.clone(),
            name: name.to_owned(),
            known: self.speakers.keys().cloned().collect(),
        })
    }

    /// Enrols a speaker with these voices, or adds them to those that the speaker has.
    ///
    /// # Errors
    /// - No voices, or a voice of length zero.
    /// - A recording that the speaker already has.
    /// - A name that no file can have.
    /// - Another process writes to the database.
    /// - The file cannot be written.
    pub fn add(&mut self, name: &str, voices: &[Voice]) -> Result<&EnrolledSpeaker> {
        let path = self.path_of(name)?;
        let refuse = |reason: String| Error::Enrolment { speaker: name.to_owned(), reason };
        if voices.is_empty() {
            return Err(refuse("no recordings to enrol".to_owned()));
        }
        let _lock = lock(&self.folder)?;
        // What another process has added since this database was opened is kept.
        let mut speaker = match path.is_file() {
            true => read_json(&path)?,
            false => EnrolledSpeaker {
                name: name.to_owned(),
                model_sha256: self.header.model.sha256.clone(),
                recordings: Vec::new(),
            },
        };
        check(&speaker, &self.header).map_err(|(found, expected)| Error::Damaged {
            path: path.clone(),
            found,
            expected,
        })?;
        for voice in voices {
            if speaker.recordings.iter().any(|known| known.recording == voice.recording) {
                return Err(refuse(format!("{} is enrolled already", voice.recording)));
            }
            if voice.embedding.iter().all(|&x| x == 0.0) {
                return Err(refuse(format!("the embedding of {} is zero", voice.recording)));
            }
            speaker.recordings.push(EnrolledRecording {
                recording: voice.recording.clone(),
                speech_s: voice.quality.speech_s,
                speech_only: voice.speech_only.as_ref().map(|speech| speech.detector.to_owned()),
                embedding: voice.embedding.clone(),
            });
        }
        write_json(&path, &speaker)?;
        self.speakers.insert(name.to_owned(), speaker);
        self.speaker(name)
    }

    /// Forgets a speaker and all that belongs to them.
    ///
    /// # Errors
    /// Nobody of this name is enrolled; another process writes to the database; the file cannot be removed.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        self.speaker(name)?;
        let path = self.path_of(name)?;
        let _lock = lock(&self.folder)?;
        fs::remove_file(&path).map_err(|source| Error::Io { path, source })?;
        self.speakers.remove(name);
        Ok(())
    }

    /// The score of a voice and one enrolled speaker.
    ///
    /// # Errors
    /// Nobody of this name is enrolled; the verifier has another model.
    pub fn verify(&self, verifier: &Verifier, name: &str, voice: &Voice) -> Result<Candidate> {
        self.check_model(verifier.model())?;
        self.candidate(verifier, self.speaker(name)?, voice)
    }

    /// All speakers with their scores, the nearest first. Speakers of equal score are in the order of their names.
    ///
    /// # Errors
    /// Nobody is enrolled; the verifier has another model.
    pub fn identify(&self, verifier: &Verifier, voice: &Voice) -> Result<Vec<Candidate>> {
        self.check_model(verifier.model())?;
        if self.is_empty() {
            return Err(Error::NoDatabase { path: self.folder.clone() });
        }
        let candidates = self.speakers().map(|speaker| self.candidate(verifier, speaker, voice));
        let mut candidates = candidates.collect::<Result<Vec<_>>>()?;
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(candidates)
    }

    fn candidate(&self, verifier: &Verifier, speaker: &EnrolledSpeaker, voice: &Voice) -> Result<Candidate> {
        let score = verifier.score(&speaker.mean(), &voice.embedding)?;
        Ok(Candidate { speaker: speaker.name.clone(), score })
    }

    fn path_of(&self, name: &str) -> Result<PathBuf> {
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
            return Err(Error::Name { name: name.to_owned() });
        }
        Ok(self.folder.join(SPEAKERS).join(format!("{}.json", file_name(name))))
    }
}

impl EnrolledSpeaker {
    /// The mean of the embeddings, each brought to length 1.
    fn mean(&self) -> Vec<f32> {
        let size = self.recordings.first().map_or(0, |recording| recording.embedding.len());
        let mut sum = vec![0.0_f64; size];
        for recording in &self.recordings {
            let squares: f64 = recording.embedding.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            for (sum, &x) in sum.iter_mut().zip(&recording.embedding) {
                *sum += f64::from(x) / squares.sqrt();
            }
        }
        sum.iter().map(|sum| (sum / self.recordings.len() as f64) as f32).collect()
    }
}

/// What is wrong with a speaker's file: found, expected.
fn check(speaker: &EnrolledSpeaker, header: &Header) -> std::result::Result<(), (String, String)> {
    if speaker.model_sha256 != header.model.sha256 {
        return Err((
            format!("embeddings of model {}", speaker.model_sha256),
            format!("those of {} ({})", header.model.path, header.model.sha256),
        ));
    }
    let size = speaker.recordings.first().map_or(0, |recording| recording.embedding.len());
    for EnrolledRecording { recording, embedding, .. } in &speaker.recordings {
        if embedding.len() != size
            || embedding.iter().any(|x| !x.is_finite())
            || embedding.iter().all(|&x| x == 0.0)
        {
            return Err((
                format!("an embedding of {recording} with {} numbers", embedding.len()),
                format!("{size} finite numbers that are not all zero"),
            ));
        }
    }
    Ok(())
}

/// A file name for any speaker's name: bytes other than letters, digits, `-`, `_` and inner dots are written as `%XX`.
fn file_name(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn lock(folder: &Path) -> Result<Lock> {
    Lock::folder(folder)
        .map_err(|error| Error::Locked { path: folder.to_path_buf(), reason: error.to_string() })
}

fn json_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let at = |source| Error::Io { path: folder.to_path_buf(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(at)? {
        let path = entry.map_err(at)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Damaged {
        path: path.to_path_buf(),
        found: error.to_string(),
        expected: "a file of a speaker database".to_owned(),
    })
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let io = |source: std::io::Error| Error::Io { path: path.to_path_buf(), source };
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| io(error.into()))?;
    text.push(b'\n');
    ffsvc_atomic_file::write(path, text).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_safe_and_distinct() {
        assert_eq!(file_name("ann-1_b"), "ann-1_b");
        assert_eq!(file_name("../a b"), "%2E%2E%2Fa%20b");
        assert_ne!(file_name("a%20b"), file_name("a b"));
        // A file name has at most 255 bytes.
        assert!(3 * MAX_NAME_BYTES + ".json".len() <= 255);
    }

    #[test]
    fn the_mean_is_of_directions() {
        let recording = |embedding: Vec<f32>| EnrolledRecording {
            recording: "r".into(),
            speech_s: 1.0,
            speech_only: None,
            embedding,
        };
        let speaker = EnrolledSpeaker {
            name: "a".into(),
            model_sha256: String::new(),
            recordings: vec![recording(vec![2.0, 0.0]), recording(vec![0.0, 8.0])],
        };
        assert_eq!(speaker.mean(), [0.5, 0.5]);
    }
}
