//! NeMo's TitaNet: its sizes from the shapes of its tensors, and their names.

use super::recognise::Tensors;
use crate::model::ModelConfig;
use crate::titanet::TitaNetConfig;

/// Entries of a layer in the list of a block: depthwise and pointwise convolution, BatchNorm, ReLU, dropout.
const IN_A_LAYER: usize = 5;

/// A tensor that every TitaNet has.
pub(super) const TITANET: &str = "decoder._pooling.attention_layer.0.conv_layer.weight";

pub(super) fn titanet(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    // NeMo's ECAPA-TDNN has the same pooling behind other layers. Of several embedding layers none is known here.
    if !tensors.has("encoder.encoder.0.mconv.3.fc.0.weight") || tensors.has("decoder.emb_layers.1.1.weight") {
        return None;
    }
    let size = |block: usize, entry: usize, dimension: usize| {
        tensors.size(&format!("encoder.encoder.{block}.mconv.{entry}.conv.weight"), dimension)
    };
    let last = tensors.count("encoder.encoder", "mconv.0.conv.weight").checked_sub(1)?;
    let config = TitaNetConfig {
        channels: size(0, 1, 0)?,
        aggregated: size(last, 1, 0)?,
        kernels: (1..last).map(|block| size(block, 0, 2)).collect::<Option<_>>()?,
        repeat: (0..).take_while(|layer| size(1, IN_A_LAYER * layer, 0).is_some()).count(),
        // Nothing in the file tells it: NeMo's own.
        dropout: TitaNetConfig::default().dropout,
        attention_channels: tensors.size(TITANET, 0)?,
        embedding_size: tensors.size("decoder.emb_layers.0.1.weight", 0)?,
    };
    Some((ModelConfig::TitaNet(config), size(0, 0, 0)))
}

/// What NeMo calls the tensor `ours`. The layers of a block are in one list there, and the squeeze-excitation is behind the last
/// BatchNorm. Shortcuts and embedding layers are lists too, of one.
pub(super) fn name_of(config: &TitaNetConfig, ours: &str) -> Option<String> {
    if let Some(rest) = ours.strip_prefix("pooling.") {
        return Some(format!("decoder._pooling.{rest}"));
    }
    if let Some(rest) = ours.strip_prefix("emb_layer.") {
        return Some(format!("decoder.emb_layers.0.{rest}"));
    }
    let (block, rest) = ours.strip_prefix("encoder.")?.split_once('.')?;
    let there = format!("encoder.encoder.{block}");
    let (part, rest) = rest.split_once('.')?;
    Some(match part {
        "res" => match rest.strip_prefix("0.") {
            Some(of_convolution) => format!("{there}.res.0.0.conv.{of_convolution}"),
            None => format!("{there}.res.0.{rest}"),
        },
        "se" => {
            let repeat = config.repeats().nth(block.parse().ok()?)?;
            format!("{there}.mconv.{}.{rest}", (IN_A_LAYER * repeat).checked_sub(2)?)
        }
        _ => {
            let (layer, rest) = rest.split_once('.')?;
            let first = IN_A_LAYER * layer.parse::<usize>().ok()?;
            match rest.split_once('.')? {
                ("depthwise", rest) => format!("{there}.mconv.{first}.conv.{rest}"),
                ("pointwise", rest) => format!("{there}.mconv.{}.conv.{rest}", first + 1),
                (_, rest) => format!("{there}.mconv.{}.{rest}", first + 2),
            }
        }
    })
}
