//! Names of layers in a configuration.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Name of a layer of the network as in a model file, for example `front.layer1`, with or without `network.` before it:
/// `network.head` is the first part of CAM++. The classifier that `[head]` describes is `classifier`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct LayerName(String);

/// Before the name of a layer of the network, where it is written out.
const NETWORK: &str = "network.";

impl LayerName {
    /// The layer as model files name it.
    pub fn in_model_file(&self) -> &str {
        self.0.strip_prefix(NETWORK).unwrap_or(&self.0)
    }

    /// The layer as the configuration names it.
    pub(crate) fn as_written(&self) -> &str {
        &self.0
    }

    /// Whether it is written as a layer of the network.
    pub(crate) fn says_network(&self) -> bool {
        self.0.starts_with(NETWORK)
    }

    /// Whether it can be taken for the classifier of `[head]`, and is a layer of the network.
    pub(crate) fn is_head_of_network(&self) -> bool {
        let name = self.in_model_file();
        name == "head" || name.starts_with("head.")
    }
}

impl From<&str> for LayerName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// A layer that can be taken for the classifier is written out.
impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_head_of_network() {
            true => write!(f, "{NETWORK}{}", self.in_model_file()),
            false => f.write_str(&self.0),
        }
    }
}
