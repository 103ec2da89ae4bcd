//! Lists of sounds that augmentation draws from: one path a line.

use std::path::{Path, PathBuf};

use crate::files::line_of;
use crate::{Error, Prepared, Result};

/// The folder for lists.
#[derive(Debug)]
pub struct Lists<'a> {
    /// The folder; made where it is missing.
    pub folder: &'a Path,
    /// Replace lists of the same names.
    pub overwrite: bool,
}

impl Lists<'_> {
    /// Writes the lists by name, or none if one of them exists and may not be replaced.
    pub(crate) fn write(&self, lists: &[(&str, Vec<PathBuf>)], prepared: &mut Prepared) -> Result<()> {
        let mut texts = Vec::new();
        for (name, files) in lists {
            let path = self.folder.join(name);
            if !self.overwrite && path.symlink_metadata().is_ok() {
                return Err(Error::Exists { path });
            }
            let mut text = String::new();
            for file in files {
                text.push_str(line_of(file)?);
                text.push('\n');
            }
            texts.push((path, text, files.len()));
        }
        make_folder(self.folder)?;
        for (path, text, entries) in texts {
            ffsvc_atomic_file::write(&path, text)
                .map_err(|source| Error::Write { path: path.clone(), source })?;
            prepared.wrote(path, entries, "files");
        }
        Ok(())
    }
}

pub(crate) fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|source| Error::Write { path: path.to_path_buf(), source })
}
