//! What a model file says about its weights, and what identifies a model.

use ffsvc_features::{FrontEnd, FrontEndConfig};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::heads::HeadConfig;
use crate::model::ModelConfig;

/// What a model file says about its weights.
///
/// Fields may be added: make one with [`new`](Self::new) and set what differs.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The network.
    pub model: ModelConfig,
    /// The head, if it is in the file.
    pub head: Option<HeadConfig>,
    /// The features that the network was trained on.
    pub front_end: FrontEndConfig,
    /// Names of the head's classes, in the order of its rows.
    pub speakers: Vec<String>,
    /// The whole configuration of the training run, as it was read.
    pub config_toml: String,
    /// Summary of the training (epochs, losses, error rates); whatever the trainer records.
    pub training: serde_json::Value,
    /// Version of the program that wrote the file.
    pub program_version: String,
    /// Whether recordings went through the baseline's low-pass before a change of sample rate; extraction does the
    /// same.
    #[serde(default)]
    pub compat_lowpass: bool,
    /// Subtracted from every embedding that the network gives, `[embedding]`: the mean of a domain. Extraction does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_mean: Option<Vec<f32>>,
}

impl ModelInfo {
    /// The description of a network without a head, trained on the features of `front_end`: no speakers, no
    /// configuration, no summary, no mean to subtract, and this crate's version.
    pub fn new(model: ModelConfig, front_end: FrontEndConfig) -> Self {
        Self {
            model,
            head: None,
            front_end,
            speakers: Vec::new(),
            config_toml: String::new(),
            training: serde_json::Value::Null,
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            compat_lowpass: false,
            embedding_mean: None,
        }
    }

    /// Rows of the features.
    ///
    /// # Errors
    /// [`Error::Config`] if the front end's options are not valid.
    pub fn num_mels(&self) -> Result<usize> {
        FrontEnd::new(&self.front_end).map(|front_end| front_end.num_mels()).map_err(|e| Error::Config {
            field: "front_end",
            found: e.to_string(),
            expected: "options of a usable front end",
        })
    }
}

/// Which model made an embedding: what stores and reports keep of it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ModelIdentity {
    /// SHA-256 of the model file's bytes, 64 hexadecimal digits. Two files with one sum give the same embeddings.
    pub sha256: String,
    /// The `architecture` of the configuration, for example `resnet`.
    pub architecture: String,
    /// Numbers of an embedding.
    pub embedding_size: usize,
    /// The front end, [`FrontEndConfig`] as JSON.
    pub front_end: serde_json::Value,
}
