//! Calibrations as files.

use std::path::Path;

use ffsvc_embeddings::Provenance;
use ffsvc_kaldi_io::Error as FileError;
use serde::{Deserialize, Serialize};

use super::{Calibration, Method, QualityMeasure};
use crate::origins::check_same_model;
use crate::report::SourceFile;
use crate::{Remark, Result};

/// A calibration with what it was trained on, a small JSON file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationFile {
    /// Program and version that made it.
    pub program: String,
    /// How it was trained.
    pub method: Method,
    /// The map.
    pub calibration: Calibration,
    /// The score files, in the order of the weights.
    pub systems: Vec<System>,
    /// The quality measures, in the order of their weights.
    pub quality: Vec<QualityInput>,
    /// The trials.
    pub trained_on: TrainedOn,
}

/// The scores of one system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct System {
    /// The score file.
    #[serde(flatten)]
    pub scores: SourceFile,
    /// The model that the embeddings came from, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Provenance>,
}

/// A quality measure and the table that it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityInput {
    /// The measure.
    pub measure: QualityMeasure,
    /// The table.
    pub table: SourceFile,
}

/// The trials that a calibration was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainedOn {
    /// The list.
    pub trials: SourceFile,
    /// Target trials.
    pub target: usize,
    /// Non-target trials.
    pub nontarget: usize,
    /// Trials without a score, which were left out.
    pub skipped: usize,
}

impl CalibrationFile {
    /// Checks that scores of the model file `model` are what the system at `place` of this calibration, which was read from
    /// `path`, was trained on.
    ///
    /// # Errors
    /// They were of another model.
    pub fn check_model(&self, path: &str, place: usize, model: &SourceFile) -> Result<Option<Remark>> {
        let known = self.systems.get(place).and_then(|system| system.model.as_ref());
        check_same_model(&format!("the calibration {path}"), path, known, model)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let mut json =
            serde_json::to_vec_pretty(self).map_err(|error| FileError::invalid(path, error.to_string()))?;
        json.push(b'\n');
        ffsvc_atomic_file::write(path, json).map_err(|error| FileError::io(path, "write", error))?;
        Ok(())
    }

    /// Reads the file.
    ///
    /// # Errors
    /// The file cannot be read, or is no calibration.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| FileError::io(path, "read", error))?;
        let file: Self = serde_json::from_slice(&bytes).map_err(|error| {
            FileError::invalid(path, format!("is not a calibration (ffsvc-score calibrate): {error}"))
        })?;
        let fits = match &file.calibration {
            Calibration::Linear { weights, quality_weights, .. } => {
                weights.len() == file.systems.len() && quality_weights.len() == file.quality.len()
            }
            Calibration::Pav { scores, llrs } => {
                let rises = |values: &[f64]| values.is_sorted();
                scores.len() == llrs.len() && !scores.is_empty() && rises(scores) && rises(llrs)
            }
        };
        if !fits {
            let message = "is not a usable calibration: its weights or knots do not belong together";
            return Err(FileError::invalid(path, message).into());
        }
        Ok(file)
    }
}
