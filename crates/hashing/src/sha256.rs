use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::Digest;

/// Bytes of a file that are in memory at once.
const BLOCK_BYTES: usize = 1 << 16;

/// SHA-256 of bytes that come in pieces.
#[derive(Debug, Clone, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// The hash of no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes. How they are divided into calls makes no difference.
    pub fn update(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    /// The hash of all bytes so far: 64 hexadecimal digits, as `sha256sum` prints them.
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(64);
        for byte in self.0.clone().finalize() {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

/// SHA-256 of bytes, as 64 hexadecimal digits.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    let mut sha256 = Sha256::new();
    sha256.update(bytes);
    sha256.hex()
}

/// SHA-256 of a file, as 64 hexadecimal digits.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_of_file(path: impl AsRef<Path>) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut sha256, mut block) = (Sha256::new(), vec![0; BLOCK_BYTES]);
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(sha256.hex()),
            Ok(read) => sha256.update(&block[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// `NAME (sha256 0123456789ab)`: how messages tell contents of a file apart, by the first twelve digits.
pub fn name_with_sha256(name: &str, sha256: &str) -> String {
    let digits: String = sha256.chars().take(12).collect();
    format!("{name} (sha256 {digits})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_of_sha256sum() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let mut sha256 = Sha256::new();
        sha256.update("a");
        sha256.update("bc");
        assert_eq!((sha256.hex(), super::sha256("abc")), (expected.to_owned(), expected.to_owned()));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        assert_eq!(sha256_of_file(file.path()).unwrap(), expected);
        assert!(sha256_of_file("/no/such/file").is_err());
    }
}
