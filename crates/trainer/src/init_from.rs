//! Where the first weights of a run come from.

use std::path::PathBuf;

use crate::fine_tune::HeadInit;

/// Where a run takes its first weights from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitFrom {
    /// Random weights, drawn from the seed.
    Random,
    /// The newest checkpoint of the experiment folder: the run is resumed.
    Checkpoint,
    /// The weights of another model: a fine-tune.
    Model {
        /// A model file (`*.safetensors`).
        path: PathBuf,
        /// Where the head's weights come from.
        head: HeadInit,
    },
}
