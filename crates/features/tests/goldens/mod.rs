//! Reference values of the baseline, torchaudio and kaldi-native-fbank.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data");

/// The tensors of one file.
pub(crate) struct Golden {
    pub(crate) name: String,
    bytes: Vec<u8>,
}

impl Golden {
    /// `tests/data/<name>.safetensors`.
    pub(crate) fn committed(name: &str) -> Self {
        Self::read(Path::new(COMMITTED).join(format!("{name}.safetensors")))
    }

    /// The signals of a theme (`features` or `kaldi_fbank`): all of them where `../shared` is there or must be, else the few
    /// that are committed.
    pub(crate) fn all(theme: &str) -> Vec<Self> {
        let folder = if ffsvc_test_data::expects_shared() {
            ffsvc_test_data::shared("golden").join(theme)
        } else {
            Path::new(COMMITTED).join(theme)
        };
        let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
            .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension().is_some_and(|e| e == "safetensors")
                    && !path.ends_with("constants.safetensors")
            })
            .collect();
        paths.sort();
        assert!(paths.len() >= 2, "{}", folder.display());
        paths.into_iter().map(Self::read).collect()
    }

    fn read(path: PathBuf) -> Self {
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        Self { name, bytes }
    }

    /// Whether the file has this tensor; committed files leave out the large intermediate ones.
    pub(crate) fn has(&self, tensor: &str) -> bool {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(tensor).is_ok()
    }

    /// Number of rows of a matrix.
    pub(crate) fn rows(&self, tensor: &str) -> usize {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(tensor).unwrap().shape()[0]
    }

    pub(crate) fn f32(&self, tensor: &str) -> Vec<f32> {
        self.f64(tensor).into_iter().map(|x| x as f32).collect()
    }

    pub(crate) fn f64(&self, tensor: &str) -> Vec<f64> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(tensor).unwrap_or_else(|e| panic!("{} of {}: {e}", tensor, self.name));
        match view.dtype() {
            Dtype::F32 => {
                view.data().as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect()
            }
            Dtype::F64 => view.data().as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
            other => panic!("{tensor} is {other:?}"),
        }
    }
}
