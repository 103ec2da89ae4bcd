//! A tree of recordings that is no published corpus.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ffsvc_kaldi_io::DataDir;

use crate::files::{line_of, sound_files};
use crate::{Error, Output, PathPattern, Prepared, Result};

/// A tree of recordings, whose folders say who speaks.
#[derive(Debug, Clone)]
pub struct Folders<'a> {
    /// The tree.
    pub folder: &'a Path,
    /// What its folders mean.
    pub layout: Layout,
}

/// How a path says who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// The folder at this level below the tree is the speaker: 1 is the first. What is further below may be of any
    /// depth.
    SpeakerDepth(usize),
    /// Paths have these parts. `{speaker}` is the speaker; every other part but `{utterance}` becomes a table
    /// `utt2NAME`. Files of other paths are left out.
    Pattern(PathPattern),
}

/// A recording that was found.
struct Found {
    file: PathBuf,
    speaker: String,
    /// The path below the tree, without the file's ending.
    levels: Vec<String>,
    parts: Vec<(String, String)>,
}

impl Folders<'_> {
    /// Writes a data directory of all recordings: `wav.scp`, `utt2spk`, `spk2utt`, and a table for each other part of
    /// the pattern. An utterance is named by its speaker and its path, so that names differ; white space in them becomes `_`.
    ///
    /// # Errors
    /// There is no recording of this layout; a path cannot stand in a table; `output` has a data directory; a file
    /// cannot be read or written.
    pub fn prepare(&self, output: &Output) -> Result<Prepared> {
        output.check()?;
        let mut prepared = Prepared::default();
        let mut recordings = Vec::new();
        for file in sound_files(&[self.folder.to_path_buf()]) {
            let file = file?;
            line_of(&file)?;
            match self.read(&file) {
                Some(found) => recordings.push(found),
                None => prepared.surplus.add(file.display()),
            }
        }
        if recordings.is_empty() {
            let found = match prepared.surplus.count {
                0 => "there is no sound file".to_owned(),
                _ => format!("these do not fit: {}", prepared.surplus),
            };
            let folder = self.folder.display().to_string();
            return Err(Error::NoRecording { folder, layout: self.layout.to_string(), found });
        }
        let names = names(&recordings, &mut prepared);
        let mut tables: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        let mut speakers = BTreeSet::new();
        for (found, name) in recordings.iter().zip(names) {
            let mut row = |table: &str, value: String| {
                tables.entry(table.to_owned()).or_default().push((name.clone(), value));
            };
            row("wav.scp", line_of(&found.file)?.to_owned());
            row("utt2spk", found.speaker.clone());
            found.parts.iter().for_each(|(part, value)| row(&format!("utt2{part}"), value.clone()));
            speakers.insert(&found.speaker);
        }
        prepared.speakers = Some(speakers.len());
        if speakers.len() == 1 {
            prepared.remarks.push("there is only one speaker; is the speaker on another level?".to_owned());
        }
        prepared.wrote(output.path(), recordings.len(), "utterances");
        DataDir::create(tables.iter().map(|(name, rows)| (name.as_str(), rows.clone())), output)?;
        Ok(prepared)
    }

    fn read(&self, file: &Path) -> Option<Found> {
        let below = file.strip_prefix(self.folder).ok()?.with_extension("");
        let levels: Vec<&str> = below.iter().map(|level| level.to_str()).collect::<Option<_>>()?;
        let mut parts = Vec::new();
        let speaker = match &self.layout {
            // The file itself is no folder.
            Layout::SpeakerDepth(depth) => *levels.split_last()?.1.get(depth.checked_sub(1)?)?,
            Layout::Pattern(pattern) => {
                let found = pattern.read(&levels)?;
                let others = found.iter().filter(|(name, _)| !matches!(*name, "speaker" | "utterance"));
                parts = others.map(|(name, value)| ((*name).to_owned(), one_word(value))).collect();
                found.iter().find(|(name, _)| *name == "speaker")?.1
            }
        };
        let levels = levels.into_iter().map(one_word).collect();
        Some(Found { file: file.to_path_buf(), speaker: one_word(speaker), levels, parts })
    }
}

/// A name for each recording: its speaker, and the rest of its path.
fn names(recordings: &[Found], prepared: &mut Prepared) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut numbered = crate::Tally::default();
    let names = recordings.iter().map(|found| {
        // A name begins with the speaker, as Kaldi wants it: names and speakers then have the same order.
        let path = found.levels.join("-");
        let name = match path.strip_prefix(&found.speaker) {
            Some(rest) if rest.starts_with('-') || rest.is_empty() => path,
            _ => format!("{}-{path}", found.speaker),
        };
        let mut unique = name.clone();
        let mut number = 2;
        while !taken.insert(unique.clone()) {
            unique = format!("{name}-{number}");
            number += 1;
        }
        if unique != name {
            numbered.add(format!("{} is {unique}", found.file.display()));
        }
        unique
    });
    let names = names.collect();
    if !numbered.is_empty() {
        prepared.remarks.push(format!("names that two recordings would have got were numbered: {numbered}"));
    }
    names
}

/// White space cannot stand in a name.
fn one_word(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join("_")
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SpeakerDepth(depth) => {
                write!(f, "{}{{speaker}}/.../{{utterance}}", "*/".repeat(depth.saturating_sub(1)))
            }
            Self::Pattern(pattern) => pattern.fmt(f),
        }
    }
}
