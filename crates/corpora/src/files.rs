//! The sound files of a folder, and the recordings of a corpus among them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::{Error, Result, Tally};

/// Endings of sound files. Other files (licences, lists) are no business of a report.
const SOUNDS: [&str; 8] = ["wav", "m4a", "flac", "mp3", "ogg", "sph", "au", "w64"];

/// Every sound file below the folders, in byte order within each. Links are followed.
pub(crate) fn sound_files(folders: &[PathBuf]) -> impl Iterator<Item = Result<PathBuf>> + '_ {
    let walk = |folder: &PathBuf| WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
    folders.iter().flat_map(walk).filter_map(|entry| match entry {
        Ok(entry) => (entry.file_type().is_file() && is_sound(entry.path())).then(|| Ok(entry.into_path())),
        Err(error) => {
            let path = error.path().map(Path::to_path_buf).unwrap_or_default();
            Some(Err(Error::List { path, source: error.into() }))
        }
    })
}

fn is_sound(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    SOUNDS.iter().any(|sound| extension.eq_ignore_ascii_case(sound))
}

/// A path as a list can hold it.
pub(crate) fn line_of(path: &Path) -> Result<&str> {
    path.to_str()
        .filter(|line| !line.contains(['\n', '\r']) && line.trim_ascii() == *line && !line.ends_with('|'))
        .ok_or_else(|| Error::Path { path: path.to_path_buf() })
}

/// The folders in words.
pub(crate) fn in_words(folders: &[PathBuf]) -> String {
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The recordings of a corpus.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    /// File of each utterance.
    pub(crate) files: BTreeMap<String, PathBuf>,
    /// Sound files that `name` did not know.
    pub(crate) surplus: Tally,
}

impl Recordings {
    /// Finds them: `name` tells an utterance's name from the path of a file, or `None` for a file of another kind.
    ///
    /// Of a WAV file and a coded one of the same recording the WAV file is taken: VoxCeleb2 is often converted.
    pub(crate) fn find(folders: &[PathBuf], name: impl Fn(&Path) -> Option<String>) -> Result<Self> {
        let mut found = Self::default();
        for file in sound_files(folders) {
            let file = file?;
            line_of(&file)?;
            let Some(utterance) = name(&file) else {
                found.surplus.add(file.display());
                continue;
            };
            let is_wav = |path: &Path| path.extension().is_some_and(|extension| extension == "wav");
            match found.files.get(&utterance) {
                None => drop(found.files.insert(utterance, file)),
                Some(first) if is_wav(first) && !is_wav(&file) => {}
                Some(first) if is_wav(&file) && !is_wav(first) => drop(found.files.insert(utterance, file)),
                Some(first) => return Err(Error::Twice { utterance, first: first.clone(), second: file }),
            }
        }
        Ok(found)
    }

    /// An error if there is none.
    pub(crate) fn expect_some(
        self,
        corpus: &'static str,
        example: &'static str,
        folders: &[PathBuf],
    ) -> Result<Self> {
        if self.files.is_empty() {
            let found = match self.surplus.count {
                0 => "there is no sound file".to_owned(),
                _ => format!("other sound files: {}", self.surplus),
            };
            return Err(Error::NothingFound { corpus, folders: in_words(folders), example, found });
        }
        Ok(self)
    }

    /// Rows of `wav.scp`.
    pub(crate) fn wav_scp(&self) -> Result<Vec<(String, String)>> {
        self.files
            .iter()
            .map(|(utterance, file)| Ok((utterance.clone(), line_of(file)?.to_owned())))
            .collect()
    }
}

/// The stem of a file's name, if its ending is `wav`.
pub(crate) fn wav_stem(path: &Path) -> Option<&str> {
    path.extension().is_some_and(|extension| extension == "wav").then(|| path.file_stem()?.to_str()).flatten()
}

/// Whether a text is of so many digits.
pub(crate) fn is_number(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())
}
