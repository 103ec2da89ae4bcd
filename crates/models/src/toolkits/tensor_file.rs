//! Named tensors of a PyTorch or safetensors file, read one by one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use pytorch_reader::{DType, PytorchReader};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use zip::ZipArchive;

use super::pickle_classes::{self, LONGEST_PICKLE};
use crate::error::{Error, Result, with_causes};
use crate::parameters::NamedTensor;

/// How a legacy file begins: the first pickle is this number, by protocol 2 and later.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// Pickles of a legacy file in front of the numbers: magic, protocol, system, object, keys of the storages.
const LEGACY_PICKLES: usize = 5;
/// How many times its own size a file may unpack to, or its tensors be. PyTorch does not compress.
const MOST_EXPANSION: u64 = 20;

/// A file of named tensors: `torch.save`'s zip and legacy formats, or safetensors.
///
/// Opening it reads names and shapes; numbers are read when they are asked for, so a file costs no more memory than
/// the tensors that are taken from it. Nothing in a file is executed.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
    /// The whole file, for safetensors.
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    shape: Vec<usize>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Torch(pytorch_reader::Tensor),
    /// Type and place in the file.
    Plain(Dtype, std::ops::Range<usize>),
}

impl TensorFile {
    /// Opens a `.pt`, `.pth`, `.pkl` or `.safetensors` file; its content decides what it is. Tensors inside nested
    /// dictionaries have their keys joined by dots (`model.front.conv1.weight`).
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Checkpoint`] if it is damaged, of no known format, or asks for
    /// a class that is neither a tensor nor a container.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let mut start = Vec::new();
        let mut file = File::open(path).map_err(io)?;
        (&mut file).take(512).read_to_end(&mut start).map_err(io)?;
        let broken = |cause| Error::Checkpoint { path: path.to_path_buf(), cause };
        if is_zip(&start) {
            check_archive(path).map_err(broken)?;
            Self::open_torch(path).map_err(broken)
        } else if is_legacy(&start) && !is_tar(&start) {
            // As much as the pickles of a legacy file can take.
            let rest = LEGACY_PICKLES * LONGEST_PICKLE - start.len();
            file.take(rest as u64).read_to_end(&mut start).map_err(io)?;
            check_legacy(&start).map_err(broken)?;
            Self::open_torch(path).map_err(broken)
        } else if start.get(8) == Some(&b'{') {
            file.read_to_end(&mut start).map_err(io)?;
            Self::open_safetensors(path, start).map_err(broken)
        } else if is_tar(&start) {
            Err(broken(
                "it is a tar archive, neither a zip nor a legacy file of torch.save; of a .nemo file, unpack it and import its model_weights.ckpt"
                    .into(),
            ))
        } else {
            Err(broken(
                "it is neither a zip nor a legacy file of torch.save (PyTorch 0.1.10 or later), nor safetensors, nor ONNX"
                    .into(),
            ))
        }
    }

    fn open_torch(path: &Path) -> std::result::Result<Self, String> {
        let reader = PytorchReader::new(path).map_err(|e| with_causes(&e))?;
        let tensors = reader.into_tensors();
        // A tensor that repeats a few numbers along its dimensions takes no room in the file.
        let length = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
        let described =
            tensors.values().fold(0u64, |sum, tensor| sum.saturating_add(tensor.byte_len() as u64));
        if described > MOST_EXPANSION.saturating_mul(length) {
            return Err(format!("it has {length} bytes and its tensors {described}"));
        }
        let entries = tensors
            .into_iter()
            .map(|(name, tensor)| {
                (name, Entry { shape: tensor.shape().to_vec(), values: Values::Torch(tensor) })
            })
            .collect();
        Ok(Self { path: path.to_path_buf(), entries, bytes: Vec::new() })
    }

    fn open_safetensors(path: &Path, bytes: Vec<u8>) -> std::result::Result<Self, String> {
        // Checks that all tensors lie inside the file.
        let file =
            SafeTensors::deserialize(&bytes).map_err(|e| format!("{e}; expected a safetensors file"))?;
        let begin = bytes.as_ptr() as usize;
        let entries = file
            .iter()
            .map(|(name, view)| {
                let start = view.data().as_ptr() as usize - begin;
                let values = Values::Plain(view.dtype(), start..start + view.data().len());
                (name.to_owned(), Entry { shape: view.shape().to_vec(), values })
            })
            .collect();
        Ok(Self { path: path.to_path_buf(), entries, bytes })
    }

    /// Names and shapes without numbers.
    pub(super) fn of_shapes(path: &Path, shapes: BTreeMap<String, Vec<usize>>) -> Self {
        let entry = |(name, shape)| (name, Entry { shape, values: Values::Plain(Dtype::F32, 0..0) });
        Self { path: path.to_path_buf(), entries: shapes.into_iter().map(entry).collect(), bytes: Vec::new() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The shape of a tensor, if there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// Reads a tensor of floats of 16, 32 or 64 bits.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if there is none of this name, if it is not of floats, or if its bytes are damaged.
    pub fn read(&self, name: &str) -> Result<NamedTensor> {
        let broken = |cause: String| Error::Checkpoint { path: self.path.clone(), cause };
        let entry = self.entries.get(name).ok_or_else(|| broken(format!("it has no tensor {name}")))?;
        let data = match &entry.values {
            Values::Torch(tensor) => {
                let bytes = tensor.read().map_err(|e| broken(with_causes(&e)))?;
                match tensor.dtype() {
                    DType::F32 => Some(numbers(&bytes, f32::from_ne_bytes)),
                    DType::F64 => Some(numbers(&bytes, |b| f64::from_ne_bytes(b) as f32)),
                    DType::F16 => Some(numbers(&bytes, |b| f16::from_ne_bytes(b).to_f32())),
                    DType::BF16 => Some(numbers(&bytes, |b| bf16::from_ne_bytes(b).to_f32())),
                    _ => None,
                }
            }
            Values::Plain(dtype, range) => {
                let bytes = &self.bytes[range.clone()];
                match dtype {
                    Dtype::F32 => Some(numbers(bytes, f32::from_le_bytes)),
                    Dtype::F64 => Some(numbers(bytes, |b| f64::from_le_bytes(b) as f32)),
                    Dtype::F16 => Some(numbers(bytes, |b| f16::from_le_bytes(b).to_f32())),
                    Dtype::BF16 => Some(numbers(bytes, |b| bf16::from_le_bytes(b).to_f32())),
                    _ => None,
                }
            }
        };
        let data = data.ok_or_else(|| {
            broken(format!("tensor {name} holds {}; expected floats", self.entries[name].values.kind()))
        })?;
        Ok(NamedTensor { name: name.to_owned(), shape: entry.shape.clone(), data })
    }
}

/// Whether a file that begins like this is one of torch.save.
pub(crate) fn is_torch_file(start: &[u8]) -> bool {
    is_zip(start) || is_legacy(start)
}

fn is_zip(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06")
}

/// PyTorch's format before 0.1.10. The reader under this file looks for it before the legacy one.
fn is_tar(start: &[u8]) -> bool {
    start.get(257..262) == Some(b"ustar")
}

fn is_legacy(start: &[u8]) -> bool {
    start[..start.len().min(64)].windows(LEGACY_MAGIC.len()).any(|window| window == LEGACY_MAGIC)
}

impl Values {
    fn kind(&self) -> String {
        match self {
            Self::Torch(tensor) => format!("{:?}", tensor.dtype()),
            Self::Plain(dtype, _) => format!("{dtype:?}"),
        }
    }
}

fn numbers<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}

/// Every pickle of the archive, and what it unpacks to.
fn check_archive(path: &Path) -> std::result::Result<(), String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    let mut archive = ZipArchive::new(std::io::BufReader::new(file))
        .map_err(|e| format!("it is no readable zip archive ({e}); is it truncated?"))?;
    let mut unpacked = 0u64;
    let mut pickles = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|e| format!("entry {index} of the archive: {e}"))?;
        unpacked = unpacked.saturating_add(entry.size());
        if entry.name().is_ok_and(|name| name.ends_with("data.pkl")) {
            pickles.push(index);
        }
    }
    if unpacked > MOST_EXPANSION.saturating_mul(length) {
        return Err(format!(
            "it has {length} bytes and unpacks to {unpacked}; an archive of weights is not compressed"
        ));
    }
    for index in pickles {
        let entry = archive.by_index(index).map_err(|e| format!("entry {index} of the archive: {e}"))?;
        let mut pickle = Vec::new();
        entry
            .take(LONGEST_PICKLE as u64 + 1)
            .read_to_end(&mut pickle)
            .map_err(|e| format!("entry {index} of the archive: {e}"))?;
        pickle_classes::check(&pickle)?;
    }
    Ok(())
}

fn check_legacy(mut start: &[u8]) -> std::result::Result<(), String> {
    for _ in 0..LEGACY_PICKLES {
        start = &start[pickle_classes::check(start)?..];
    }
    Ok(())
}
