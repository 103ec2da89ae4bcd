//! MUSAN.

use std::path::{Path, PathBuf};

use crate::files::{in_words, sound_files};
use crate::sound_lists::Lists;
use crate::{Error, Prepared, Result};

/// The kinds of sounds and how many files of each were published.
const KINDS: [(&str, usize); 3] = [("noise", 930), ("music", 660), ("speech", 426)];

/// Writes the lists `musan_noise`, `musan_music` and `musan_speech`.
///
/// A file is known by the last three parts of its path: `noise/free-sound/noise-free-sound-0000.wav`,
/// `music/fma/music-fma-0000.wav`, `speech/librivox/speech-librivox-0000.wav`.
///
/// # Errors
/// There is no file of one of the three kinds; a list exists and may not be replaced; a file cannot be written.
pub fn prepare_musan(sources: &[PathBuf], lists: &Lists<'_>) -> Result<Prepared> {
    let mut prepared = Prepared::default();
    let mut found: [Vec<PathBuf>; KINDS.len()] = Default::default();
    for file in sound_files(sources) {
        let file = file?;
        match kind_of(&file) {
            Some(kind) => found[kind].push(file),
            None => prepared.surplus.add(file.display()),
        }
    }
    if found.iter().any(Vec::is_empty) {
        let counts: Vec<String> =
            KINDS.iter().zip(&found).map(|((kind, _), files)| format!("{} {kind}", files.len())).collect();
        return Err(Error::NothingFound {
            corpus: "one of MUSAN's three kinds",
            folders: in_words(sources),
            example: "noise/free-sound/noise-free-sound-0000.wav",
            found: format!("found {} and {} others", counts.join(", "), prepared.surplus),
        });
    }
    for ((kind, published), files) in KINDS.iter().zip(&found) {
        if files.len() != *published {
            prepared.remarks.push(format!("{} files of {kind}, published with {published}", files.len()));
        }
    }
    let [noise, music, speech] = found;
    lists
        .write(&[("musan_noise", noise), ("musan_music", music), ("musan_speech", speech)], &mut prepared)?;
    Ok(prepared)
}

fn kind_of(path: &Path) -> Option<usize> {
    let mut parts = path.iter().rev().map(|part| part.to_str());
    let (file, _, folder) = (parts.next()??, parts.next()??, parts.next()??);
    let rest = file.strip_suffix(".wav")?.strip_prefix(folder)?;
    rest.starts_with('-').then(|| KINDS.iter().position(|(kind, _)| *kind == folder)).flatten()
}
