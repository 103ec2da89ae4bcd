//! A data directory about to be written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::companions::{is_present, names_in};
use crate::{Error, Result};

/// The folder that [`DataDir::combine`](crate::DataDir::combine), [`subset`](crate::DataDir::subset) and
/// [`split`](crate::DataDir::split) write to. It is created where it does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    path: PathBuf,
    overwrite: bool,
}

impl Output {
    /// A folder in which there is no data directory yet.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_path_buf(), overwrite: false }
    }

    /// Whether the tables of a data directory that is there already are replaced (all of them: those that the new one
    /// does not have are removed). Otherwise it is an error. Other files in the folder stay.
    #[must_use]
    pub fn overwrite(self, overwrite: bool) -> Self {
        Self { overwrite, ..self }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder `name` inside this one, with the same leave to overwrite.
    pub(super) fn inside(&self, name: &str) -> Self {
        Self { path: self.path.join(name), overwrite: self.overwrite }
    }

    /// Looks whether the folder may be written to, before work begins that would be in vain.
    ///
    /// # Errors
    /// The folder has tables that must not be replaced.
    pub fn check(&self) -> Result<()> {
        let taken = || MAIN_TABLES.iter().find(|name| is_present(&self.path, name));
        if !self.overwrite
            && let Some(name) = taken()
        {
            return Err(Error::exists(self.path.join(name)));
        }
        Ok(())
    }
}

const MAIN_TABLES: [&str; 4] = ["wav.scp", "segments", "utt2spk", "spk2utt"];

/// The rows of each table by the table's name. `spk2utt` is not among them: it follows from `utt2spk`.
#[derive(Default)]
pub(super) struct Draft<'a> {
    tables: BTreeMap<String, Vec<Row<'a>>>,
}

pub(super) type Row<'a> = (Cow<'a, str>, Cow<'a, str>);

impl<'a> Draft<'a> {
    /// Adds rows to a table, which is created even if there are none.
    pub(super) fn extend(&mut self, table: &str, rows: impl IntoIterator<Item = Row<'a>>) {
        self.tables.entry(table.to_owned()).or_default().extend(rows);
    }

    /// Puts rows in the place of those that a table has.
    pub(super) fn replace(&mut self, table: &str, rows: impl IntoIterator<Item = Row<'a>>) {
        self.tables.insert(table.to_owned(), rows.into_iter().collect());
    }

    /// Leaves a table out.
    pub(super) fn remove(&mut self, table: &str) {
        self.tables.remove(table);
    }

    /// The content of each file: rows in byte order of their keys, `spk2utt` from `utt2spk`.
    pub(super) fn render(mut self) -> BTreeMap<String, Vec<u8>> {
        for rows in self.tables.values_mut() {
            rows.sort_unstable();
        }
        let mut files = BTreeMap::new();
        if let Some(utt2spk) = self.tables.get("utt2spk") {
            let mut pairs: Vec<(&str, &str)> = utt2spk.iter().map(|(utt, spk)| (&**spk, &**utt)).collect();
            pairs.sort_unstable();
            let mut text = Vec::new();
            for (position, &(speaker, utterance)) in pairs.iter().enumerate() {
                if position == 0 || pairs[position - 1].0 != speaker {
                    if position > 0 {
                        text.push(b'\n');
                    }
                    text.extend_from_slice(speaker.as_bytes());
                }
                text.push(b' ');
                text.extend_from_slice(utterance.as_bytes());
            }
            if !text.is_empty() {
                text.push(b'\n');
            }
            files.insert("spk2utt".to_owned(), text);
        }
        for (name, rows) in self.tables {
            let mut text =
                Vec::with_capacity(rows.iter().map(|(key, value)| key.len() + value.len() + 2).sum());
            for (key, value) in rows {
                text.extend_from_slice(key.as_bytes());
                text.push(b' ');
                text.extend_from_slice(value.as_bytes());
                text.push(b'\n');
            }
            files.insert(name, text);
        }
        files
    }

    /// Writes the directory.
    pub(super) fn write(self, output: &Output) -> Result<()> {
        output.check()?;
        let path = output.path();
        fs::create_dir_all(path).map_err(|error| Error::io(path, "create", error))?;
        let files = self.render();
        let stale = names_in(path)?.into_iter().map(|(name, _)| name);
        for name in stale.chain(MAIN_TABLES.map(String::from)).filter(|name| !files.contains_key(name)) {
            if is_present(path, &name) {
                fs::remove_file(path.join(&name))
                    .map_err(|error| Error::io(path.join(&name), "remove", error))?;
            }
        }
        write_files(path, &files)
    }
}

/// Writes rendered tables, each completely or not at all. `wav.scp` is the last, so a folder in which the work was
/// interrupted is seen to be incomplete.
pub(super) fn write_files(path: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    debug_assert!(files.keys().all(|name| name.as_str() <= "wav.scp"), "wav.scp is the last by name");
    for (name, content) in files {
        let target = path.join(name);
        ffsvc_atomic_file::write(&target, content).map_err(|error| Error::io(&target, "write", error))?;
    }
    Ok(())
}
