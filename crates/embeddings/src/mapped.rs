use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::{Error, Result};

/// A file whose bytes the operating system brings into memory when they are looked at, and takes out again when it needs room.
#[derive(Clone)]
pub(crate) struct MappedFile(Arc<Mmap>);

impl MappedFile {
    /// `None` where a file cannot be mapped, such as a pipe.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>> {
        let file = File::open(path).map_err(|error| Error::io(path, "open", error))?;
        // SAFETY: the map is read only. Its bytes must not change while it lives, which is the caller's promise to
        // `Embeddings::map`; this project's own programs keep it by replacing files, never writing into them.
        let map = unsafe { Mmap::map(&file) };
        Ok(map.ok().map(|map| Self(Arc::new(map))))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The floats in a part of this file; `None` if they are not where or as this machine can read them in place.
    pub(crate) fn rows(&self, part: &[u8]) -> Option<MappedRows> {
        let start = (part.as_ptr() as usize).checked_sub(self.0.as_ptr() as usize)?;
        let range = start..start.checked_add(part.len())?;
        let readable = bytemuck::try_cast_slice::<u8, f32>(self.0.get(range.clone())?).is_ok();
        (readable && cfg!(target_endian = "little")).then(|| MappedRows { file: self.clone(), range })
    }
}

/// Little-endian floats in a mapped file.
#[derive(Clone)]
pub(crate) struct MappedRows {
    file: MappedFile,
    /// Bytes, at an address that floats can have.
    range: Range<usize>,
}

impl MappedRows {
    pub(crate) fn as_slice(&self) -> &[f32] {
        bytemuck::cast_slice(&self.file.bytes()[self.range.clone()])
    }
}
