//! The sounds of an augmentation list: a file of paths, or a folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use ffsvc_kaldi_io::read_wav_list;

use crate::error::{Error, IoContext, Result};

/// File names that count as sounds in a folder, without regard to case.
const EXTENSIONS: [&str; 14] =
    ["wav", "flac", "mp3", "ogg", "oga", "opus", "m4a", "mp4", "aac", "aiff", "aif", "au", "sph", "w64"];

/// The sounds that `list` names: one path a line, or, where it is a folder, every sound file in it and below, in the order
/// of their paths.
///
/// # Errors
/// The list or folder cannot be read, or the folder has no sound file.
pub(crate) fn read_sounds(list: &Path) -> Result<Vec<PathBuf>> {
    if !list.is_dir() {
        return Ok(read_wav_list(list)?);
    }
    let mut sounds = Vec::new();
    let mut folders = vec![list.to_path_buf()];
    // Links may lead in a circle.
    let mut seen = HashSet::new();
    while let Some(folder) = folders.pop() {
        if !seen.insert(std::fs::canonicalize(&folder).at(&folder)?) {
            continue;
        }
        for entry in std::fs::read_dir(&folder).at(&folder)? {
            let path = entry.at(&folder)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if is_sound(&path) {
                sounds.push(path);
            }
        }
    }
    if sounds.is_empty() {
        return Err(Error::DataSet {
            what: format!("the folder {}", list.display()),
            found: "no sound file".into(),
            expected: format!("files named *.{}", EXTENSIONS.join(", *.")),
        });
    }
    sounds.sort();
    Ok(sounds)
}

fn is_sound(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|found| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_the_sounds_below_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("sounds/b/c")).unwrap();
        std::fs::create_dir(path("empty")).unwrap();
        for name in
            ["sounds/z.wav", "sounds/b/a.FLAC", "sounds/b/c/x.ogg", "sounds/README", "sounds/b/list.txt"]
        {
            std::fs::write(path(name), "").unwrap();
        }
        let found = read_sounds(&path("sounds")).unwrap();
        assert_eq!(found, ["sounds/b/a.FLAC", "sounds/b/c/x.ogg", "sounds/z.wav"].map(path));
        let error = read_sounds(&path("empty")).unwrap_err().to_string();
        assert!(error.contains("no sound file") && error.contains("*.wav"), "{error}");
        std::fs::write(path("list"), "one.wav\ntwo.wav\n").unwrap();
        assert_eq!(read_sounds(&path("list")).unwrap(), ["one.wav", "two.wav"].map(PathBuf::from));
        assert!(read_sounds(&path("absent")).is_err());
    }
}
