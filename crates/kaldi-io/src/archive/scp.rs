use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::Value;
use super::input::Input;
use super::reader::object;
use crate::{Error, Result, Table};

/// Random access to archives through an `scp` table: lines of `key path:offset`.
///
/// The path may contain blanks. A relative path is relative to the working directory, as in Kaldi. If there is no such
/// file, it is relative to the folder of the table. Otherwise it is the file of that name beside the table. So a folder
/// with both can be moved. Without `:offset` the file is one object without a key. Ranges (`path:12[0:10]`) and
/// commands (`gunzip -c x.gz |`) are refused.
#[derive(Debug)]
pub struct ScpReader {
    table: Table,
    archives: Archives,
}

impl ScpReader {
    /// Reads the table at `path`. An archive is opened when a value in it is asked for.
    ///
    /// # Errors
    /// The table cannot be read (see [`Table::read`]), or a line has a range or a command.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let table = Table::read(path)?;
        for (position, (_, target)) in table.iter().enumerate() {
            if let Some(found) = refusal(target) {
                return Err(
                    Error::parse(table.path(), found, "`key path:offset`").at_line(table.line(position))
                );
            }
        }
        let folder = table.path().parent().unwrap_or(Path::new("")).to_path_buf();
        Ok(Self { table, archives: Archives { folder, open: None } })
    }

    /// The keys in the table's order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.table.iter().map(|(key, _)| key)
    }

    /// The archive of each key as the table names it, in the table's order.
    pub fn archives(&self) -> impl ExactSizeIterator<Item = &str> {
        self.table.iter().map(|(_, target)| split_offset(target).0)
    }

    /// Where an archive lies that the table names.
    pub fn path_of(&self, archive: &str) -> PathBuf {
        self.archives.resolve(Path::new(archive))
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether the table has no line.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Reads the value of `key`; `None` when the table does not have it.
    ///
    /// # Errors
    /// The archive cannot be read or holds no object at the offset.
    pub fn get(&mut self, key: &str) -> Result<Option<Value>> {
        self.table.get(key).map(|target| self.archives.read(key, target)).transpose()
    }

    /// Reads all values in the table's order, one in memory at a time. Errors are as in [`get`](Self::get); the next
    /// item after one is the next line.
    pub fn values(&mut self) -> impl ExactSizeIterator<Item = Result<(&str, Value)>> {
        let archives = &mut self.archives;
        self.table.iter().map(|(key, target)| archives.read(key, target).map(|value| (key, value)))
    }
}

/// The archive that was read last, kept open.
#[derive(Debug)]
struct Archives {
    /// Of the table.
    folder: PathBuf,
    open: Option<Archive>,
}

#[derive(Debug)]
struct Archive {
    /// As the table names it.
    name: String,
    path: PathBuf,
    file: BufReader<File>,
}

impl Archives {
    fn read(&mut self, key: &str, target: &str) -> Result<Value> {
        let (name, offset) = split_offset(target);
        let mut archive = match self.open.take() {
            Some(archive) if archive.name == name => archive,
            _ => self.open(key, name)?,
        };
        archive.seek(offset).map_err(|e| Error::io(&archive.path, "seek", e))?;
        let value = object(&mut Input::new(&mut archive.file))
            .map_err(|fault| fault.at(&archive.path, &format!("utterance `{key}`, byte {offset}")))?;
        self.open = Some(archive);
        Ok(value)
    }

    fn open(&self, key: &str, name: &str) -> Result<Archive> {
        let path = self.resolve(Path::new(name));
        let file = File::open(&path)
            .map_err(|e| Error::io(&path, format!("open (utterance `{key}` lies there)"), e))?;
        Ok(Archive { name: name.to_owned(), path, file: BufReader::with_capacity(1 << 16, file) })
    }

    fn resolve(&self, archive: &Path) -> PathBuf {
        if archive.is_relative() && !archive.exists() {
            let beside = self.folder.join(archive.file_name().unwrap_or_default());
            if let Some(found) = [self.folder.join(archive), beside].into_iter().find(|path| path.is_file()) {
                return found;
            }
        }
        archive.to_path_buf()
    }
}

impl Archive {
    /// Moves to `offset` and keeps the buffer where the place is inside it: tables are mostly read in order.
    fn seek(&mut self, offset: u64) -> std::io::Result<()> {
        let position = self.file.stream_position()?;
        match i64::try_from(i128::from(offset) - i128::from(position)) {
            Ok(distance) => self.file.seek_relative(distance),
            Err(_) => self.file.seek(SeekFrom::Start(offset)).map(drop),
        }
    }
}

/// What is wrong with a target, if something is.
fn refusal(target: &str) -> Option<String> {
    if target.ends_with('|') || target.starts_with('|') {
        return Some(format!("the command `{target}`, which is not run here"));
    }
    let range = target.ends_with(']') && target.contains('[');
    range.then(|| {
        format!(
            "`{target}`, a range of rows, which cannot be read: copy the rows into an archive of their own"
        )
    })
}

/// `path:offset`; a colon that no number follows belongs to the path.
fn split_offset(target: &str) -> (&str, u64) {
    match target.rsplit_once(':') {
        Some((path, digits)) if !path.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map_or((target, 0), |offset| (path, offset))
        }
        _ => (target, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::split_offset;

    #[test]
    fn only_digits_after_the_last_colon_are_an_offset() {
        assert_eq!(split_offset("a b/c.ark:17"), ("a b/c.ark", 17));
        assert_eq!(split_offset("a:3/c.ark"), ("a:3/c.ark", 0));
        assert_eq!(split_offset("C:\\x.ark:5"), ("C:\\x.ark", 5));
        assert_eq!(split_offset("x.ark:"), ("x.ark:", 0));
        assert_eq!(split_offset("x.ark:99999999999999999999"), ("x.ark:99999999999999999999", 0));
    }
}
