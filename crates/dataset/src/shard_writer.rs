//! Recordings of a data directory in tar files, as WeSpeaker's shards are.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ffsvc_atomic_file::AtomicFile;
use ffsvc_audio::{
    AudioFile, AudioInfo, Format, Limits, ReadOptions, SampleFormat, recording_bytes, wav_bytes,
};
use ffsvc_kaldi_io::{AudioSource, DataDir, WavSource};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use tar::{Builder, Header};

use crate::error::{Error, IoContext, ReadError, Result};
use crate::random::{Purpose, stream};
use crate::recording::{Recording, read_audio};

/// Bytes of a header and of a block of a tar file.
const BLOCK: u64 = 512;

/// Writes the recordings of a data directory as WeSpeaker's shards (`tools/make_shard_list.py`): tar files of two entries for each
/// utterance, `KEY.spk` with the speaker's name and `KEY.wav`, `KEY.flac`, ... with the recording.
///
/// The utterances are in a random order, which depends on the seed alone. A recording that is a whole file, or a whole entry of
/// an archive, keeps its bytes if WeSpeaker knows the format. Segments, the output of commands and other formats become 16-bit
/// WAV of the first channel.
#[derive(Debug)]
pub struct ShardWriter {
    folder: PathBuf,
    /// In the order of the shards.
    utterances: Vec<(Recording, String)>,
    per_shard: usize,
}

impl ShardWriter {
    /// Shards of the utterances of `dir` in `folder`, `per_shard` in each.
    ///
    /// # Errors
    /// An utterance without a speaker, or with a name that cannot stand in a tar file; an archive that is read is in `folder`.
    pub fn new(dir: &DataDir, folder: &Path, per_shard: usize, seed: u64) -> Result<Self> {
        let mut utterances = Vec::with_capacity(dir.len());
        for (recording, utterance) in Recording::all_of(dir).into_iter().zip(dir.utterances()) {
            let fault = |found: &str, expected: &str| Error::DataSet {
                what: format!("utterance {}", recording.id),
                found: found.to_owned(),
                expected: expected.to_owned(),
            };
            let Some(speaker) = utterance.speaker else {
                return Err(fault("no speaker in utt2spk", "one speaker, the content of its entry `.spk`"));
            };
            if !is_entry_name(&recording.id) {
                let found = "a name that no entry of a tar file can have";
                return Err(fault(found, "a name without empty parts, `.` and `..` between slashes"));
            }
            utterances.push((recording, speaker.to_owned()));
        }
        require_elsewhere(&utterances, folder)?;
        utterances.shuffle(&mut stream(seed, Purpose::Shuffle, 0, "shards"));
        Ok(Self { folder: folder.to_path_buf(), utterances, per_shard: per_shard.max(1) })
    }

    /// The tar files, named as WeSpeaker names them.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let shards = self.utterances.len().div_ceil(self.per_shard);
        (0..shards).map(|number| self.folder.join(format!("shards_{number:09}.tar")))
    }

    /// Writes the tar files on all threads, each completely or not at all. Gives the place of each recording as `wav.scp` names
    /// it, by utterance.
    ///
    /// `done` hears of each utterance, and of the error where its recording cannot be read. Then the utterance is left out. It
    /// returns whether to go on; otherwise the result is `None`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(
        &self,
        done: impl Fn(&str, Option<ReadError>) -> bool + Sync,
    ) -> Result<Option<BTreeMap<&str, String>>> {
        let paths: Vec<PathBuf> = self.paths().collect();
        let shards = self.utterances.par_chunks(self.per_shard).zip(&paths);
        let written: Vec<_> = shards.map(|(utterances, path)| write_shard(path, utterances, &done)).collect();
        let mut places = BTreeMap::new();
        for (shard, path) in written.into_iter().zip(&paths) {
            let Some(shard) = shard? else { return Ok(None) };
            places.extend(shard.into_iter().map(|(id, offset)| (id, format!("{}:{offset}", path.display()))));
        }
        Ok(Some(places))
    }
}

/// Writes a tar file. Gives the offset of each recording's header; `None` where `done` ends it.
fn write_shard<'a>(
    path: &Path,
    utterances: &'a [(Recording, String)],
    done: &impl Fn(&str, Option<ReadError>) -> bool,
) -> Result<Option<Vec<(&'a str, u64)>>> {
    let file = AtomicFile::create_regular(path).at(path)?;
    let mut tar = Builder::new(Counted { file, bytes: 0 });
    let mut places = Vec::with_capacity(utterances.len());
    for (Recording { id, source }, speaker) in utterances {
        let (recording, ending) = match file_of(source) {
            Ok(file) => file,
            Err(error) => match done(id, Some(error)) {
                true => continue,
                false => return Ok(None),
            },
        };
        append(&mut tar, &format!("{id}.spk"), speaker.as_bytes()).at(path)?;
        append(&mut tar, &format!("{id}.{ending}"), &recording).at(path)?;
        let content = (recording.len() as u64).next_multiple_of(BLOCK);
        places.push((id.as_str(), tar.get_ref().bytes - content - BLOCK));
        if !done(id, None) {
            return Ok(None);
        }
    }
    tar.into_inner().and_then(|counted| counted.file.commit()).at(path)?;
    Ok(Some(places))
}

/// Adds an entry with the attributes that Python's `TarInfo` has by default.
fn append(tar: &mut Builder<impl Write>, name: &str, content: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, name, content)
}

/// The recording as a file that WeSpeaker reads, and the ending of its name.
fn file_of(source: &AudioSource) -> std::result::Result<(Arc<[u8]>, &'static str), ReadError> {
    if let (WavSource::File(path), None) = (&source.wav, source.segment) {
        let bytes: Arc<[u8]> = recording_bytes(path, Limits::default())?.into();
        let file = AudioFile::from_bytes(path, Arc::clone(&bytes))?;
        if let Some(ending) = ending(file.info()) {
            return Ok((bytes, ending));
        }
    }
    let audio = read_audio(source, &ReadOptions::default())?;
    Ok((wav_bytes(&audio.samples, audio.sample_rate, SampleFormat::Pcm16)?.into(), "wav"))
}

/// The ending by which WeSpeaker knows a format (`AUDIO_FORMAT_SETS` of its `wespeaker/dataset/processor.py`).
fn ending(info: &AudioInfo) -> Option<&'static str> {
    match info.format {
        Format::Wav => Some("wav"),
        Format::Flac => Some("flac"),
        Format::Mp3 => Some("mp3"),
        Format::Mp4 => Some("m4a"),
        Format::Ogg if info.encoding == "opus" => Some("opus"),
        Format::Ogg => Some("ogg"),
        _ => None,
    }
}

/// Whether a tar file keeps the name as it is.
fn is_entry_name(name: &str) -> bool {
    !name.contains('\0') && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Refuses to write into the folder of an archive that is read.
fn require_elsewhere(utterances: &[(Recording, String)], folder: &Path) -> Result<()> {
    let Ok(folder) = folder.canonicalize() else { return Ok(()) };
    let archives = utterances.iter().filter_map(|(recording, _)| recording.source.wav.place());
    let archives: HashSet<&Path> = archives.map(|(archive, _)| archive).collect();
    let inside = |archive: &&Path| archive.canonicalize().is_ok_and(|path| path.parent() == Some(&folder));
    match archives.into_iter().filter(inside).min() {
        None => Ok(()),
        Some(archive) => Err(Error::DataSet {
            what: archive.display().to_string(),
            found: "recordings that are to be read, in the folder to write to".into(),
            expected: "another folder for the shards".into(),
        }),
    }
}

/// Counts what goes into a file.
struct Counted {
    file: AtomicFile,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_tar_file_changes_are_no_names() {
        assert!(["a", "id1/x.y/00001", "..a", "a\\b"].into_iter().all(is_entry_name));
        assert!(
            ["", "/a", "a/", "a//b", "./a", "a/../b", "a\0b"].into_iter().all(|name| !is_entry_name(name))
        );
    }
}
