//! LibriSpeech.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ffsvc_kaldi_io::{DataDir, ListFile, Output};

use crate::files::Recordings;
use crate::{Error, Prepared, Result};

/// What to prepare of LibriSpeech: some of its subsets, or all of it.
///
/// Recordings are known by their names, `103-1240-0000.flac`: reader, chapter, part of the chapter. An utterance has the
/// name of its file, and the reader is its speaker.
#[derive(Debug)]
pub struct LibriSpeech<'a> {
    /// Folders of the corpus: `LibriSpeech`, or subsets such as `LibriSpeech/train-clean-100`.
    pub sources: &'a [PathBuf],
}

impl LibriSpeech<'_> {
    /// Writes `wav.scp`, `utt2spk`, `spk2utt` and `utt2chapter`. Chapters are the recording sessions. Also writes
    /// `spk2gender` (`f`, `m`), if the list `SPEAKERS.TXT` of the corpus is in a source or in the folder above it.
    ///
    /// # Errors
    /// There is no recording of the corpus, or one is there twice; `SPEAKERS.TXT` cannot be read or has other lines; `output`
    /// has a data directory; a file cannot be written.
    pub fn prepare(&self, output: &Output) -> Result<Prepared> {
        output.check()?;
        let found = Recordings::find(self.sources, |path| {
            path.file_stem()?.to_str().filter(|stem| parts(stem).is_some()).map(str::to_owned)
        })?;
        let found = found.expect_some("LibriSpeech", "103-1240-0000.flac", self.sources)?;
        let table = |value: fn([&str; 2]) -> String| -> Vec<(String, String)> {
            let rows = found.files.keys().filter_map(|name| Some((name.clone(), value(parts(name)?))));
            rows.collect()
        };
        let mut tables = vec![
            ("wav.scp", found.wav_scp()?),
            ("utt2spk", table(|[speaker, _]| speaker.to_owned())),
            ("utt2chapter", table(|[_, chapter]| chapter.to_owned())),
        ];
        let speakers: BTreeSet<&str> =
            found.files.keys().filter_map(|name| parts(name)).map(|[speaker, _]| speaker).collect();
        let mut prepared = Prepared { surplus: found.surplus.clone(), ..Prepared::default() };
        prepared.speakers = Some(speakers.len());
        let list = self
            .sources
            .iter()
            .flat_map(|source| [source.join("SPEAKERS.TXT"), source.join("../SPEAKERS.TXT")])
            .find(|list| list.is_file());
        match list {
            Some(list) => {
                let genders = read_genders(&list)?;
                let known = speakers.iter().filter_map(|&speaker| {
                    Some((speaker.to_owned(), genders.get(speaker)?.to_ascii_lowercase()))
                });
                tables.push(("spk2gender", known.collect()));
            }
            None => prepared.remarks.push("no SPEAKERS.TXT was found: spk2gender is not written".into()),
        }
        DataDir::create(tables, output)?;
        prepared.wrote(output.path(), found.files.len(), "utterances");
        Ok(prepared)
    }
}

/// Reader and chapter of a name `103-1240-0000`.
fn parts(stem: &str) -> Option<[&str; 2]> {
    let parts: Vec<&str> = stem.split('-').collect();
    let [speaker, chapter, part] = parts[..] else { return None };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(speaker) && is_number(chapter) && is_number(part)).then_some([speaker, chapter])
}

/// The gender of each reader: lines `14   | F | train-clean-360  | 25.03 | Kristin LeMoine`, and comments that begin with `;`.
fn read_genders(list: &Path) -> Result<BTreeMap<String, String>> {
    let bytes = ListFile::open(list)?.read_all()?;
    let text = String::from_utf8_lossy(&bytes);
    let mut genders = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with(';') || line.trim().is_empty() {
            continue;
        }
        let mut fields = line.split('|').map(str::trim);
        match (fields.next(), fields.next()) {
            (Some(speaker), Some(gender @ ("F" | "M"))) => {
                genders.insert(speaker.to_owned(), gender.to_owned());
            }
            _ => {
                return Err(Error::Content {
                    list: list.to_path_buf(),
                    found: format!("{line:?} on line {number}"),
                    expected: "`READER | F or M | ...`",
                });
            }
        }
    }
    Ok(genders)
}
