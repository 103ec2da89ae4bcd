//! Back ends as files.
//!
//! A `.safetensors` file of 64-bit tensors `centre` `[dim]`, `transform` `[dim out, dim]`, `plda.mean`, `plda.transform`, `plda.psi`,
//! those that the back end has, with its [`Description`] as JSON under `ffsvc-backend` in the metadata.

use std::collections::HashMap;
use std::path::Path;

use ffsvc_kaldi_io::Error as FileError;
use nalgebra::{DMatrix, DVector};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

use super::{Backend, Description, Plda};
use crate::Result;

const METADATA: &str = "ffsvc-backend";

/// Matrices larger than this are of no embedding; a bound on what a damaged file can ask for.
const MAX_DIM: usize = 1 << 16;

impl Backend {
    /// Writes the back end, whole or not at all; the same back end gives the same bytes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = self.to_bytes().map_err(|message| FileError::invalid(path, message))?;
        ffsvc_atomic_file::write(path, bytes).map_err(|error| FileError::io(path, "write", error))?;
        Ok(())
    }

    fn to_bytes(&self) -> std::result::Result<Vec<u8>, String> {
        let mut tensors = vec![("centre", vector_bytes(&self.centre))];
        if let Some(transform) = &self.transform {
            tensors.push(("transform", matrix_bytes(transform)));
        }
        if let Some(plda) = &self.plda {
            tensors.push(("plda.mean", vector_bytes(&plda.mean)));
            tensors.push(("plda.psi", vector_bytes(&plda.psi)));
            tensors.push(("plda.transform", matrix_bytes(&plda.transform)));
        }
        let views = tensors
            .iter()
            .map(|(name, (shape, bytes))| Ok((*name, TensorView::new(Dtype::F64, shape.clone(), bytes)?)))
            .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>();
        let description = serde_json::to_string(&self.description).map_err(|error| error.to_string())?;
        let metadata = HashMap::from([(METADATA.to_owned(), description)]);
        views.and_then(|views| serialize(views, Some(metadata))).map_err(|error| error.to_string())
    }

    /// Reads a back end.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or is something else.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| FileError::io(path, "read", error))?;
        Ok(Self::parse(&bytes).map_err(|message| FileError::invalid(path, message))?)
    }

    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let damaged = |error| format!("is not a back end, a safetensors file: {error}");
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let description = metadata.metadata().as_ref().and_then(|entries| entries.get(METADATA));
        let description = description.ok_or_else(|| {
            format!("has no {METADATA:?} in its metadata: it is not a back end (ffsvc-score train-backend)")
        })?;
        let description: Description = serde_json::from_str(description)
            .map_err(|error| format!("has an unreadable {METADATA:?} in its metadata: {error}"))?;
        let tensor = |name: &str| match tensors.tensor(name) {
            Ok(tensor) => numbers(&tensor).map(Some).map_err(|message| format!("tensor {name}: {message}")),
            Err(_) => Ok(None),
        };
        let vector = |name: &str| match tensor(name)? {
            Some((shape, values)) if shape.len() == 1 => Ok(DVector::from_vec(values)),
            found => Err(wrong_shape(name, found.map(|(shape, _)| shape), "a vector")),
        };
        let matrix = |name: &str, columns: usize| match tensor(name)? {
            None => Ok(None),
            Some((shape, values)) if shape.len() == 2 && shape[1] == columns => {
                Ok(Some(DMatrix::from_row_slice(shape[0], columns, &values)))
            }
            Some((shape, _)) => {
                Err(wrong_shape(name, Some(shape), &format!("a matrix of {columns} columns")))
            }
        };
        let centre = vector("centre")?;
        let transform = matrix("transform", centre.len())?;
        let dim = transform.as_ref().map_or(centre.len(), DMatrix::nrows);
        let plda = match description.options.plda {
            None => None,
            Some(_) => {
                let (mean, psi) = (vector("plda.mean")?, vector("plda.psi")?);
                let transform = matrix("plda.transform", dim)?;
                let Some(transform) =
                    transform.filter(|t| (t.nrows(), mean.len(), psi.len()) == (dim, dim, dim))
                else {
                    return Err(format!("has a PLDA that is not of {dim} dimensions"));
                };
                if psi.iter().any(|&psi| psi < 0.0) {
                    return Err("has a negative variance in plda.psi".to_owned());
                }
                Some(Plda { mean, transform, psi })
            }
        };
        Ok(Self { centre, transform, description, plda })
    }
}

fn wrong_shape(name: &str, found: Option<Vec<usize>>, expected: &str) -> String {
    match found {
        None => format!("has no tensor {name}, expected {expected}"),
        Some(shape) => format!("has a tensor {name} of shape {shape:?}, expected {expected}"),
    }
}

type Bytes = (Vec<usize>, Vec<u8>);

fn vector_bytes(vector: &DVector<f64>) -> Bytes {
    (vec![vector.len()], vector.iter().flat_map(|x| x.to_le_bytes()).collect())
}

/// Row-major, as the format has it.
fn matrix_bytes(matrix: &DMatrix<f64>) -> Bytes {
    let rows = matrix.transpose();
    (vec![matrix.nrows(), matrix.ncols()], rows.iter().flat_map(|x| x.to_le_bytes()).collect())
}

fn numbers(tensor: &TensorView<'_>) -> std::result::Result<(Vec<usize>, Vec<f64>), String> {
    let shape = tensor.shape().to_vec();
    if tensor.dtype() != Dtype::F64 {
        return Err(format!("type {:?}, expected F64", tensor.dtype()));
    }
    if shape.iter().any(|&length| length == 0 || length > MAX_DIM) {
        return Err(format!("shape {shape:?}, expected dimensions of 1 to {MAX_DIM}"));
    }
    let values = tensor.data().as_chunks::<8>().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
    let values: Vec<f64> = values;
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(format!("found {} at place {at}, expected finite numbers", values[at])),
        None => Ok((shape, values)),
    }
}
