use std::path::Path;

use crate::error::{Error, Result};

/// SHA-256 of a file, hexadecimal: tells models apart.
///
/// # Errors
/// The file cannot be read.
pub fn checksum(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    ffsvc_hashing::sha256_of_file(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })
}
