//! WeSpeaker's shards: tar files with recordings and their speakers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ffsvc_kaldi_io::{DataDir, ListFile, Output};
use tar::{Archive, Entry};

use crate::files::line_of;
use crate::{Error, Prepared, Result};

/// Endings of recordings: `AUDIO_FORMAT_SETS` of WeSpeaker's `wespeaker/dataset/processor.py`.
const RECORDINGS: [&str; 7] = ["flac", "mp3", "m4a", "ogg", "opus", "wav", "wma"];
/// The most bytes of a speaker's name.
const MAX_NAME: u64 = 4096;

/// WeSpeaker's shards (`tools/make_shard_list.py`): tar files with two entries for each utterance, `KEY.spk` with the speaker's
/// name and `KEY.wav` (or `.flac`, ...), one after the other.
///
/// The tar files stay as they are. `wav.scp` names the recordings inside of them as `FILE.tar:OFFSET`, with the offset of the
/// recording's header, which the toolkit reads wherever it reads audio.
#[derive(Debug)]
pub struct Shards<'a> {
    /// `shard.list`: a path of a tar file on each line.
    pub list: &'a Path,
}

/// The entries of one utterance.
#[derive(Default)]
struct Utterance {
    speaker: Option<String>,
    /// As `wav.scp` names it.
    recording: Option<String>,
}

impl Shards<'_> {
    /// Writes `wav.scp`, `utt2spk` and `spk2utt`. Reads the headers of the tar files, and the entries `.spk`. Entries of other kinds
    /// are left out and counted.
    ///
    /// # Errors
    /// - The list names no tar file, or a file that is compressed or cannot be read.
    /// - An utterance lacks its speaker or its recording, or is there twice.
    /// - A name cannot stand in a table.
    /// - `output` has a data directory; a file cannot be written.
    pub fn prepare(&self, output: &Output) -> Result<Prepared> {
        output.check()?;
        let mut prepared = Prepared::default();
        let mut utterances: BTreeMap<String, (Utterance, PathBuf)> = BTreeMap::new();
        for shard in self.paths()? {
            for (key, utterance) in read_shard(&shard, &mut prepared)? {
                if utterance.speaker.is_none() || utterance.recording.is_none() {
                    let (there, lacks) = match utterance.speaker {
                        Some(_) => ("spk", "a recording"),
                        None => ("a recording", "spk"),
                    };
                    return Err(Error::Content {
                        list: shard,
                        found: format!("{key} with {there} and without {lacks}"),
                        expected: "`KEY.spk` and `KEY.wav` (or .flac, .mp3, .m4a, .ogg) for each utterance",
                    });
                }
                if let Some((_, first)) = utterances.get(&key) {
                    return Err(Error::Twice { utterance: key, first: first.clone(), second: shard });
                }
                utterances.insert(key, (utterance, shard.clone()));
            }
        }
        let column = |value: fn(&Utterance) -> &Option<String>| -> Vec<(String, String)> {
            let rows = utterances.iter();
            rows.filter_map(|(key, (utterance, _))| Some((key.clone(), value(utterance).clone()?))).collect()
        };
        let speakers = column(|utterance| &utterance.speaker);
        prepared.speakers = Some(speakers.iter().map(|(_, speaker)| speaker).collect::<BTreeSet<_>>().len());
        DataDir::create(
            [("wav.scp", column(|utterance| &utterance.recording)), ("utt2spk", speakers)],
            output,
        )?;
        prepared.wrote(output.path(), utterances.len(), "utterances");
        Ok(prepared)
    }

    /// The tar files of the list.
    fn paths(&self) -> Result<Vec<PathBuf>> {
        let content = |found: String, expected| Error::Content { list: self.list.into(), found, expected };
        let bytes = ListFile::open(self.list)?.read_all()?;
        let text = String::from_utf8(bytes).map_err(|_| {
            content("bytes that are no UTF-8".to_owned(), "a path of a tar file on each line")
        })?;
        let mut paths = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            let path = line.strip_prefix("file://").unwrap_or(line);
            if path.contains("://") {
                let found = format!("{path:?} on line {number}");
                return Err(content(found, "tar files on this machine: copy them first"));
            }
            if !path.is_empty() {
                paths.push(PathBuf::from(path));
            }
        }
        if paths.is_empty() {
            return Err(content("no path".to_owned(), "a path of a tar file on each line"));
        }
        Ok(paths)
    }
}

/// The utterances of a tar file by their keys.
fn read_shard(path: &Path, prepared: &mut Prepared) -> Result<BTreeMap<String, Utterance>> {
    let place = line_of(path)?;
    let failed = |source| Error::List { path: path.to_path_buf(), source };
    let damaged = |found: String| Error::Content {
        list: path.to_path_buf(),
        found,
        expected: "a tar file that is not compressed, with UTF-8 names",
    };
    let mut file = File::open(path).map_err(failed)?;
    let len = file.metadata().map_err(failed)?.len();
    let mut magic = [0; 6];
    let count = file.read(&mut magic).map_err(failed)?;
    if [&b"\x1f\x8b"[..], b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"]
        .iter()
        .any(|known| magic[..count].starts_with(known))
    {
        return Err(damaged("a compressed file, in which no recording has a place".to_owned()));
    }
    let file = File::open(path).map_err(failed)?;
    let mut archive = Archive::new(file);
    let mut utterances: BTreeMap<String, Utterance> = BTreeMap::new();
    for entry in archive.entries_with_seek().map_err(failed)? {
        let mut entry = entry.map_err(|error| damaged(error.to_string()))?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = std::str::from_utf8(&entry.path_bytes())
            .map_err(|_| damaged("a name that is no UTF-8".to_owned()))?
            .to_owned();
        if entry.size() > len.saturating_sub(entry.raw_file_position()) {
            return Err(damaged(format!("{name} of {} bytes, which the file ends in", entry.size())));
        }
        let Some((key, ending)) = name.rsplit_once('.').filter(|(key, _)| !key.is_empty()) else {
            prepared.surplus.add(format!("{place}: {name}"));
            continue;
        };
        let twice = || Error::Twice { utterance: name.clone(), first: path.into(), second: path.into() };
        if ending == "spk" {
            let speaker =
                read_speaker(&mut entry).map_err(|found| damaged(format!("{name} with {found}")))?;
            let known = &mut utterances.entry(key.to_owned()).or_default().speaker;
            if known.replace(speaker).is_some() {
                return Err(twice());
            }
        } else if RECORDINGS.contains(&ending) {
            let recording = format!("{place}:{}", entry.raw_header_position());
            let known = &mut utterances.entry(key.to_owned()).or_default().recording;
            if known.replace(recording).is_some() {
                return Err(twice());
            }
        } else {
            prepared.surplus.add(format!("{place}: {name}"));
        }
    }
    Ok(utterances)
}

/// The name in an entry `.spk`, or what is there instead.
fn read_speaker(entry: &mut Entry<'_, impl Read>) -> std::result::Result<String, String> {
    let mut bytes = Vec::new();
    entry.by_ref().take(MAX_NAME + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    match String::from_utf8(bytes) {
        Ok(name) if name.len() as u64 <= MAX_NAME && !name.trim().is_empty() => Ok(name.trim().to_owned()),
        Ok(name) if name.trim().is_empty() => Err("no name".to_owned()),
        Ok(_) => Err(format!("a name of more than {MAX_NAME} bytes")),
        Err(_) => Err("a name that is no UTF-8".to_owned()),
    }
}
