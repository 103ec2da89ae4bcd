//! What toolkits call the tensors of their networks.

use std::borrow::Cow;

use super::{Toolkit, nemo};
use crate::model::ModelConfig;
use crate::redimnet::ReDimStage;
use crate::redimnet2::ReDim2Stage;

/// What the toolkit that has `model` ([`Toolkit::of`]) calls the network's tensor `ours` of
/// [`named_tensors`](crate::named_tensors).
pub(super) fn in_toolkit<'n>(model: &ModelConfig, ours: &'n str) -> Cow<'n, str> {
    match model {
        ModelConfig::Resnet(_) if Toolkit::of(model) == Toolkit::Wespeaker => wespeaker_resnet(ours),
        ModelConfig::CamPlusPlus(_) => cam_plus_plus(ours),
        ModelConfig::Ge2eLstm(_) => torch_lstm(ours).map_or(Cow::Borrowed(ours), Cow::Owned),
        ModelConfig::ERes2Net(_) | ModelConfig::ERes2NetV2(_) | ModelConfig::Res2Net(_) => at_the_top(ours),
        ModelConfig::ReDimNet(config) => {
            let squeezed = |stage: &ReDimStage| (stage.blocks, stage.expansion > 1);
            let stages = config.stages.iter().map(squeezed).collect();
            redimnet(stages, ours).map_or(Cow::Borrowed(ours), Cow::Owned)
        }
        ModelConfig::ReDimNet2(config) => {
            let mut channels = config.channels;
            let squeezed = |stage: &ReDim2Stage| {
                channels *= stage.frequency_stride;
                (stage.blocks, stage.inner_channels != channels)
            };
            let stages = config.stages.iter().map(squeezed).collect();
            redimnet(stages, ours).map_or(Cow::Borrowed(ours), Cow::Owned)
        }
        ModelConfig::TitaNet(config) => nemo::name_of(config, ours).map_or(Cow::Borrowed(ours), Cow::Owned),
        _ => Cow::Borrowed(ours),
    }
}

/// Stem and stages are in `front` here, and at the top there.
fn at_the_top(ours: &str) -> Cow<'_, str> {
    Cow::Borrowed(ours.strip_prefix("front.").unwrap_or(ours))
}

/// `ResNet` of wespeaker/models/resnet.py.
fn wespeaker_resnet(ours: &str) -> Cow<'_, str> {
    if let Some(rest) = ours.strip_prefix("front.") {
        return Cow::Owned(rest.replace(".downsample.", ".shortcut."));
    }
    match ours.strip_prefix("bottleneck.") {
        Some(rest) => Cow::Owned(format!("seg_1.{rest}")),
        None => Cow::Borrowed(ours),
    }
}

/// `lstm.0.weight_ih` is `lstm.weight_ih_l0` in PyTorch's module of all layers.
fn torch_lstm(ours: &str) -> Option<String> {
    let (layer, tensor) = ours.strip_prefix("lstm.")?.split_once('.')?;
    Some(format!("lstm.{tensor}_l{layer}"))
}

/// The layers of CAM++'s dense blocks count from 1: `tdnnd.0` is `tdnnd1`.
fn cam_plus_plus(ours: &str) -> Cow<'_, str> {
    let translated = ours.split_once(".tdnnd.").and_then(|(block, rest)| {
        let (layer, rest) = rest.split_once('.')?;
        Some(format!("{block}.tdnnd{}.{rest}", layer.parse::<usize>().ok()? + 1))
    });
    translated.map_or(Cow::Borrowed(ours), Cow::Owned)
}

/// The layers of a stage are in one list there: the sum, a change of shape without weights, the convolution, the blocks, the squeeze,
/// a change of shape, the context. A stage here is its number of blocks, and whether it has a squeeze.
fn redimnet(stages: Vec<(usize, bool)>, ours: &str) -> Option<String> {
    let (stage, rest) = ours.strip_prefix("backbone.stages.")?.split_once('.')?;
    let &(blocks, squeezed) = stages.get(stage.parse::<usize>().ok()?)?;
    let behind = 3 + blocks;
    let (layer, rest) = rest.split_once('.')?;
    let place = match layer {
        "sum" => "0".to_owned(),
        "reshape" => "2".to_owned(),
        "blocks" => {
            let (block, rest) = rest.split_once('.')?;
            let place = 3 + block.parse::<usize>().ok()?;
            return Some(format!("backbone.stage{stage}.{place}.conv_block.{rest}"));
        }
        "squeeze" => {
            let (layer, rest) = rest.split_once('.')?;
            let layer = match layer {
                "conv" => "0",
                "bn" => "1",
                // GELU is 2.
                "pointwise" => "3",
                number => number,
            };
            return Some(format!("backbone.stage{stage}.{behind}.{layer}.{rest}"));
        }
        _ => (behind + usize::from(squeezed) + 1).to_string(),
    };
    Some(format!("backbone.stage{stage}.{place}.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cam_plus_plus::CamPlusPlusConfig;
    use crate::eres2net::ERes2NetConfig;
    use crate::ge2e_lstm::Ge2eLstmConfig;
    use crate::redimnet::ReDimNetConfig;
    use crate::redimnet2::ReDimNet2Config;
    use crate::resnet::ResNetConfig;
    use crate::simam_resnet::SimAmResNetConfig;
    use crate::titanet::TitaNetConfig;

    #[test]
    fn names_are_translated() {
        let wespeaker = ModelConfig::Resnet(ResNetConfig::default());
        let baseline = ModelConfig::Resnet(ResNetConfig::baseline());
        let cam = ModelConfig::CamPlusPlus(CamPlusPlusConfig::default());
        let eres2net = ModelConfig::ERes2Net(ERes2NetConfig::default());
        let lstm = ModelConfig::Ge2eLstm(Ge2eLstmConfig::default());
        let titanet = ModelConfig::TitaNet(TitaNetConfig::default());
        let simam = ModelConfig::SimAmResnet(SimAmResNetConfig::default());
        let b1 = ModelConfig::ReDimNet(ReDimNetConfig::of_size(1).expect("B1"));
        let second = ModelConfig::ReDimNet2(ReDimNet2Config::default());
        let b3 = ModelConfig::ReDimNet(ReDimNetConfig::of_size(3).expect("B3"));
        for (model, ours, theirs) in [
            (&wespeaker, "front.layer2.0.downsample.0.weight", "layer2.0.shortcut.0.weight"),
            (&wespeaker, "bottleneck.bias", "seg_1.bias"),
            (&wespeaker, "pool.linear1.weight", "pool.linear1.weight"),
            (&baseline, "front.layer2.0.downsample.0.weight", "front.layer2.0.downsample.0.weight"),
            (
                &cam,
                "xvector.block2.tdnnd.23.cam_layer.linear1.bias",
                "xvector.block2.tdnnd24.cam_layer.linear1.bias",
            ),
            (&cam, "head.layer1.0.shortcut.1.running_var", "head.layer1.0.shortcut.1.running_var"),
            (
                &eres2net,
                "front.layer3.0.fuse_models.0.local_att.3.bias",
                "layer3.0.fuse_models.0.local_att.3.bias",
            ),
            (&eres2net, "fuse_mode12.local_att.0.bias", "fuse_mode12.local_att.0.bias"),
            (&b1, "backbone.stem.1.bias", "backbone.stem.1.bias"),
            (&b1, "backbone.stages.2.sum.w", "backbone.stage2.0.w"),
            (&b1, "backbone.stages.2.reshape.weight", "backbone.stage2.2.weight"),
            (&b1, "backbone.stages.2.blocks.3.norm.bias", "backbone.stage2.6.conv_block.norm.bias"),
            (
                &b1,
                "backbone.stages.2.context.tcm.4.layer_norm.bias",
                "backbone.stage2.8.tcm.4.layer_norm.bias",
            ),
            (&b3, "backbone.stages.0.squeeze.pointwise.bias", "backbone.stage0.9.3.bias"),
            (&b3, "backbone.stages.0.context.exp_dim_conv.bias", "backbone.stage0.11.exp_dim_conv.bias"),
            (&second, "backbone.stages.0.squeeze.1.bias", "backbone.stage0.5.1.bias"),
            (&second, "backbone.stages.0.context.exp_dim_conv.bias", "backbone.stage0.7.exp_dim_conv.bias"),
            (&second, "backbone.stages.1.context.exp_dim_conv.bias", "backbone.stage1.7.exp_dim_conv.bias"),
            (&lstm, "lstm.2.bias_hh", "lstm.bias_hh_l2"),
            (&lstm, "linear.weight", "linear.weight"),
            (&titanet, "encoder.0.layers.0.depthwise.weight", "encoder.encoder.0.mconv.0.conv.weight"),
            (&titanet, "encoder.0.se.fc.2.weight", "encoder.encoder.0.mconv.3.fc.2.weight"),
            (&titanet, "encoder.2.layers.2.pointwise.weight", "encoder.encoder.2.mconv.11.conv.weight"),
            (&titanet, "encoder.2.layers.1.bn.running_var", "encoder.encoder.2.mconv.7.running_var"),
            (&titanet, "encoder.2.se.fc.0.weight", "encoder.encoder.2.mconv.13.fc.0.weight"),
            (&titanet, "encoder.3.res.0.weight", "encoder.encoder.3.res.0.0.conv.weight"),
            (&titanet, "encoder.3.res.1.bias", "encoder.encoder.3.res.0.1.bias"),
            (&titanet, "encoder.4.se.fc.0.weight", "encoder.encoder.4.mconv.3.fc.0.weight"),
            (&titanet, "pooling.attention_layer.0.bn.bias", "decoder._pooling.attention_layer.0.bn.bias"),
            (&titanet, "emb_layer.1.bias", "decoder.emb_layers.0.1.bias"),
            (&simam, "front.layer2.0.downsample.0.weight", "front.layer2.0.downsample.0.weight"),
        ] {
            assert_eq!(in_toolkit(model, ours), theirs);
        }
    }
}
