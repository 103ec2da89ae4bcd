//! One of our networks as a file that PyTorch reads.

use std::collections::HashMap;
use std::path::Path;

use super::names::in_toolkit;
use super::torch_writer::{self, Value};
use super::{Toolkit, torch_writer::save};
use crate::error::{Error, Result};
use crate::heads::Head;
use crate::model::{ModelConfig, SpeakerModel};
use crate::model_file::F32View;
use crate::parameters::{NamedTensor, named_tensors};

/// What an exported file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// As the toolkit's own checkpoints, in the zip format of `torch.save`. The baseline's is
    /// `{"model": ..., "classifier": ...}` and Resemblyzer's `{"model_state": ...}`; the others' are flat, WeSpeaker's with the head as
    /// `projection.weight`.
    Torch(Toolkit),
    /// Tensors alone, under the names of the toolkit that has the network; the head's as `classifier.*`.
    Safetensors,
}

/// What [`export_model`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Number of tensors.
    pub tensors: usize,
    /// Whether the head is among them.
    pub head: bool,
}

/// Writes the network, and its head where the format has a place for it, to `path`, completely or not at all. The same
/// weights give the same bytes.
///
/// # Errors
/// [`Error::Config`] if the toolkit does not have this network; [`Error::Io`] if the file cannot be written.
pub fn export_model(
    path: impl AsRef<Path>,
    config: &ModelConfig,
    model: &SpeakerModel,
    head: Option<&Head>,
    format: ExportFormat,
) -> Result<Exported> {
    let path = path.as_ref();
    let home = Toolkit::of(config);
    let in_baseline = !matches!(config, ModelConfig::EcapaTdnn(ecapa) if !ecapa.compat)
        && !matches!(config, ModelConfig::Tdnn(_));
    if let ExportFormat::Torch(toolkit) = format
        && (toolkit != home || (toolkit == Toolkit::Ffsvc && !in_baseline))
    {
        let owner = if home == Toolkit::Ffsvc && !in_baseline { "this toolkit alone" } else { home.name() };
        return Err(Error::Config {
            field: "model",
            found: format!("a network of {owner}, not of {}", toolkit.name()),
            expected: "a toolkit that has the network, or safetensors",
        });
    }
    let renamed = |tensors: Vec<NamedTensor>, name: &dyn Fn(&str) -> String| -> Vec<NamedTensor> {
        tensors.into_iter().map(|tensor| NamedTensor { name: name(&tensor.name), ..tensor }).collect()
    };
    let of_head = |head, prefix| renamed(named_tensors(head), &|name| format!("{prefix}{name}"));
    let network = renamed(named_tensors(model), &|name| in_toolkit(config, name).into_owned());
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let count;
    let mut with_head = head.is_some();
    match format {
        ExportFormat::Safetensors => {
            let mut tensors = network;
            if let Some(head) = head {
                tensors.extend(of_head(head, "classifier."));
            }
            count = tensors.len();
            let tensors: Vec<F32View<'_>> = tensors.iter().map(F32View::new).collect();
            let views = tensors.iter().map(|tensor| (tensor.name, tensor));
            let bytes = safetensors::serialize(views, None::<HashMap<String, String>>)
                .map_err(|e| Error::Checkpoint { path: path.to_path_buf(), cause: e.to_string() })?;
            ffsvc_atomic_file::write(path, bytes).map_err(io)?;
        }
        ExportFormat::Torch(Toolkit::Ffsvc) => {
            let mut sections = vec![("model", network)];
            if let Some(head) = head {
                sections.push(("classifier", named_tensors(head)));
            }
            count = sections.iter().map(|(_, tensors)| tensors.len()).sum();
            let sections =
                sections.iter().map(|(name, tensors)| (*name, Value::dictionary(tensors))).collect();
            save(path, &Value::Dictionary(sections)).map_err(io)?;
        }
        ExportFormat::Torch(Toolkit::Resemblyzer) => {
            (count, with_head) = (network.len(), false);
            save(path, &Value::Dictionary(vec![("model_state", Value::dictionary(&network))])).map_err(io)?;
        }
        ExportFormat::Torch(toolkit) => {
            let mut tensors = network;
            match (head, toolkit.head_prefix()) {
                (Some(head), Some(prefix)) => tensors.extend(of_head(head, prefix)),
                _ => with_head = false,
            }
            count = tensors.len();
            torch_writer::save(path, &Value::dictionary(&tensors)).map_err(io)?;
        }
    }
    Ok(Exported { tensors: count, head: with_head })
}
