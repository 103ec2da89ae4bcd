use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use ffsvc_atomic_file::AtomicFile;

use super::binary::INT32_MARK;
use super::{Matrix, Real, Value};
use crate::{Error, Result};

/// How an archive's objects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArkForm {
    /// Kaldi's binary form, byte for byte.
    #[default]
    Binary,
    /// Kaldi's text form, with as many digits as bring back the same number (Kaldi itself writes seven).
    Text,
}

/// Writes an archive, and beside it the `scp` table that points into it.
///
/// Both appear under their names only in [`finish`](Self::finish), whole. An old table is removed before the new
/// archive takes its name, so that a table never points into an archive that it was not written with.
#[derive(Debug)]
pub struct ArkWriter {
    path: PathBuf,
    ark: AtomicFile,
    position: u64,
    scp: Option<Scp>,
    form: ArkForm,
    keys: HashSet<String>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Scp {
    file: AtomicFile,
    /// The archive's path as the lines name it: as it was given.
    archive: String,
}

impl ArkWriter {
    /// Starts the archive `ark` and, where a path is given, the table `scp`. The table names the archive by the path
    /// given here: give an absolute one if programs in other folders are to read the table.
    ///
    /// # Errors
    /// - A folder is missing or not writable.
    /// - The archive's path cannot be in a table (not UTF-8, a line break, a blank at an end).
    /// - With a table, one of them is a pipe or a device.
    pub fn create(ark: impl AsRef<Path>, scp: Option<&Path>, form: ArkForm) -> Result<Self> {
        let path = ark.as_ref().to_path_buf();
        let scp = match scp {
            Some(scp) => {
                let archive = name_in_table(&path)?;
                let file = AtomicFile::create_regular(scp).map_err(|e| Error::io(scp, "create", e))?;
                Some(Scp { file, archive })
            }
            None => None,
        };
        // A table's offsets count from the start of a file. An archive alone may go into a pipe.
        let create = if scp.is_some() { AtomicFile::create_regular } else { AtomicFile::create };
        let ark = create(&path).map_err(|e| Error::io(&path, "create", e))?;
        Ok(Self { path, ark, position: 0, scp, form, keys: HashSet::new(), buffer: Vec::new() })
    }

    /// Adds a vector under `key`.
    ///
    /// # Errors
    /// The key is empty, has blanks or control characters, or was used before; the vector is longer than Kaldi's
    /// 32-bit length; the disk is full.
    pub fn write_vector<T: Real>(&mut self, key: &str, vector: &[T]) -> Result<()> {
        let len = self.dimension(key, vector.len())?;
        self.begin(key)?;
        match self.form {
            ArkForm::Binary => {
                self.token(T::VECTOR);
                self.int32(len);
                self.numbers(vector);
            }
            ArkForm::Text => {
                self.buffer.extend_from_slice(b" [ ");
                self.text_numbers(vector)?;
                self.buffer.extend_from_slice(b"]\n");
            }
        }
        self.end()
    }

    /// Adds a matrix under `key`.
    ///
    /// # Errors
    /// As [`write_vector`](Self::write_vector).
    pub fn write_matrix<T: Real>(&mut self, key: &str, matrix: &Matrix<T>) -> Result<()> {
        let rows = self.dimension(key, matrix.rows())?;
        let cols = self.dimension(key, matrix.cols())?;
        self.begin(key)?;
        match self.form {
            ArkForm::Binary => {
                self.token(T::MATRIX);
                self.int32(rows);
                self.int32(cols);
                self.numbers(matrix.as_slice());
            }
            ArkForm::Text if matrix.rows() == 0 => self.buffer.extend_from_slice(b" [ ]\n"),
            ArkForm::Text => {
                self.buffer.extend_from_slice(b" [");
                for row in matrix.as_slice().chunks_exact(matrix.cols()) {
                    self.buffer.extend_from_slice(b"\n  ");
                    self.text_numbers(row)?;
                }
                self.buffer.extend_from_slice(b"]\n");
            }
        }
        self.end()
    }

    /// Adds a value of any kind under `key`.
    ///
    /// # Errors
    /// As [`write_vector`](Self::write_vector).
    pub fn write(&mut self, key: &str, value: &Value) -> Result<()> {
        match value {
            Value::FloatVector(v) => self.write_vector(key, v),
            Value::DoubleVector(v) => self.write_vector(key, v),
            Value::FloatMatrix(m) => self.write_matrix(key, m),
            Value::DoubleMatrix(m) => self.write_matrix(key, m),
        }
    }

    /// Gives both files their names: the archive first, then the table. A writer that is dropped without this leaves
    /// the old files as they were.
    ///
    /// # Errors
    /// The disk is full or a rename is not permitted.
    pub fn finish(mut self) -> Result<()> {
        self.ark.flush().map_err(|e| Error::io(&self.path, "write", e))?;
        let Some(Scp { mut file, .. }) = self.scp.take() else {
            return self.ark.commit().map_err(|e| Error::io(&self.path, "write", e));
        };
        let table = file.target().to_path_buf();
        file.flush().map_err(|e| Error::io(&table, "write", e))?;
        file.remove_old().map_err(|e| Error::io(&table, "replace", e))?;
        self.ark.commit().map_err(|e| Error::io(&self.path, "write", e))?;
        file.commit().map_err(|e| Error::io(&table, "write", e))
    }

    fn dimension(&self, key: &str, len: usize) -> Result<i32> {
        i32::try_from(len).map_err(|_| {
            Error::invalid(
                &self.path,
                format!("utterance `{key}`: {len} is more than the 2147483647 that an archive can hold in a dimension"),
            )
        })
    }

    /// Checks the key and puts it, the table's line and the start of a binary object in place.
    fn begin(&mut self, key: &str) -> Result<()> {
        if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(Error::invalid(
                &self.path,
                format!("the key `{}` cannot stand in an archive: it must be one word", key.escape_debug()),
            ));
        }
        if !self.keys.insert(key.to_owned()) {
            return Err(Error::invalid(&self.path, format!("the key `{key}` was written before")));
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(key.as_bytes());
        self.buffer.push(b' ');
        if let Some(scp) = &mut self.scp {
            let offset = self.position + self.buffer.len() as u64;
            writeln!(scp.file, "{key} {}:{offset}", scp.archive)
                .map_err(|e| Error::io(scp.file.target(), "write", e))?;
        }
        if self.form == ArkForm::Binary {
            self.buffer.extend_from_slice(b"\0B");
        }
        Ok(())
    }

    fn token(&mut self, token: &str) {
        self.buffer.extend_from_slice(token.as_bytes());
        self.buffer.push(b' ');
    }

    fn int32(&mut self, value: i32) {
        self.buffer.push(INT32_MARK);
        self.buffer.extend_from_slice(&value.to_le_bytes());
    }

    fn numbers<T: Real>(&mut self, numbers: &[T]) {
        for &number in numbers {
            number.append_le(&mut self.buffer);
        }
    }

    fn text_numbers<T: Real>(&mut self, numbers: &[T]) -> Result<()> {
        for number in numbers {
            write!(self.buffer, "{number:?} ").map_err(|e| Error::io(&self.path, "write", e))?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.ark.write_all(&self.buffer).map_err(|e| Error::io(&self.path, "write", e))?;
        self.position += self.buffer.len() as u64;
        Ok(())
    }
}

fn name_in_table(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(name) if !name.contains(['\n', '\r']) && name.trim() == name => Ok(name.to_owned()),
        _ => Err(Error::invalid(
            path,
            "this path cannot stand in an scp table (not UTF-8, a line break, or a blank at an end): choose another",
        )),
    }
}
