//! Which network a set of tensors is of, from their names and shapes.

use std::collections::BTreeSet;

use super::nemo::{TITANET, titanet};
use super::redimnet::{redimnet, redimnet2};
use super::{TensorFile, Toolkit};
use crate::cam_plus_plus::CamPlusPlusConfig;
use crate::ecapa_tdnn::EcapaTdnnConfig;
use crate::eres2net::ERes2NetConfig;
use crate::eres2net_v2::ERes2NetV2Config;
use crate::ge2e_lstm::Ge2eLstmConfig;
use crate::gemini_df_resnet::{GeminiDfResNetConfig, depth_of as gemini_depth_of};
use crate::model::ModelConfig;
use crate::pooling::PoolingConfig;
use crate::repvgg::RepVggConfig;
use crate::res2::Res2Sizes;
use crate::res2net::{Res2NetConfig, Res2NetForm};
use crate::resnet::{EXPANSION, ResNetConfig, depth_of};
use crate::simam_resnet::{SimAmResNetConfig, depth_of as simam_depth_of};
use crate::speechbrain_ecapa::SpeechBrainEcapaConfig;
use crate::wespeaker_ecapa::WespeakerEcapaConfig;

/// A network and where its tensors are.
#[derive(Debug)]
pub(super) struct Recognised {
    pub(super) toolkit: Toolkit,
    pub(super) model: ModelConfig,
    /// Rows of its features, where the shapes tell.
    pub(super) num_mels: Option<usize>,
    /// What stands before its names in the file, with the dot.
    pub(super) prefix: String,
    /// Whether names tell it; if not, the layers of an ONNX file do.
    pub(super) is_named: bool,
}

/// Tensors under a prefix.
pub(super) struct Tensors<'a> {
    file: &'a TensorFile,
    prefix: &'a str,
}

impl Tensors<'_> {
    pub(super) fn has(&self, name: &str) -> bool {
        self.file.shape(&format!("{}{name}", self.prefix)).is_some()
    }

    /// Size of a dimension; `None` without such a tensor or dimension.
    pub(super) fn size(&self, name: &str, dimension: usize) -> Option<usize> {
        self.file.shape(&format!("{}{name}", self.prefix))?.get(dimension).copied()
    }

    /// How many of `name.0`, `name.1`, ... there are, each with the tensor `tail`.
    pub(super) fn count(&self, name: &str, tail: &str) -> usize {
        (0..).take_while(|index| self.has(&format!("{name}.{index}.{tail}"))).count()
    }
}

/// A tensor that every network of a kind has, and what reads the rest.
type Kind = (&'static str, fn(&Tensors<'_>) -> Option<(ModelConfig, Option<usize>)>);

fn kinds(toolkit: Toolkit) -> &'static [Kind] {
    match toolkit {
        Toolkit::Ffsvc => &[("bottleneck.weight", ffsvc_resnet), ("ASP.attention.v", ffsvc_ecapa)],
        Toolkit::Wespeaker => &[
            ("seg_1.weight", wespeaker_resnet),
            ("layer4.se_res2block.0.conv.weight", wespeaker_ecapa),
            ("pooling.attention.0.weight", simam_resnet),
            ("layer1.0.convs.0.weight", wespeaker_res2net),
            ("downsample_layers.4.0.weight", gemini_df_resnet),
            ("stage0.rbr_dense.conv.weight", repvgg),
            ("stage0.rbr_reparam.weight", deployed_repvgg),
        ],
        Toolkit::ThreeDSpeaker => &[
            ("xvector.dense.linear.weight", cam_plus_plus),
            ("fuse_mode1234.local_att.0.weight", eres2net),
            ("fuse34.local_att.0.weight", eres2net_v2),
            ("layer1.0.convs.0.weight", three_d_speaker_res2net),
        ],
        Toolkit::SpeechBrain => &[("asp.tdnn.conv.conv.weight", speechbrain_ecapa)],
        Toolkit::Resemblyzer => &[("lstm.weight_hh_l0", ge2e_lstm)],
        Toolkit::Nemo => &[(TITANET, titanet)],
        Toolkit::ReDimNet => &[("backbone.fin_wght1d.w", redimnet), ("backbone.fin_wght1d.w", redimnet2)],
    }
}

/// Networks of a toolkit that can be recognised, for messages.
fn known(toolkit: Toolkit) -> &'static str {
    match toolkit {
        Toolkit::Ffsvc => "ResNet34StatsPool and ECAPA_TDNN",
        Toolkit::Wespeaker => {
            "ResNet18 to ResNet293 (one embedding layer; TSTP, ASTP, MQMHASTP), ECAPA_TDNN, SimAM_ResNet, Res2Net, Gemini_DF_ResNet and REPVGG (TSTP, without SE)"
        }
        Toolkit::ThreeDSpeaker => "CAMPPlus, ERes2Net, ERes2NetV2 and Res2Net (one embedding layer, TSTP)",
        Toolkit::SpeechBrain => "ECAPA_TDNN",
        Toolkit::Resemblyzer => "VoiceEncoder",
        Toolkit::Nemo => "TitaNet (attention pooling, one embedding layer)",
        Toolkit::ReDimNet => "ReDimNet and ReDimNet2 (conv+att, ASTP)",
    }
}

/// Finds the network in the file, wherever it is nested; with a toolkit, one of it.
pub(super) fn recognise(toolkit: Option<Toolkit>, file: &TensorFile) -> Result<Recognised, String> {
    let mut all = all_networks(file);
    let mut found: Vec<Recognised> = match toolkit {
        Some(toolkit) => all.extract_if(.., |one| one.toolkit == toolkit).collect(),
        None => std::mem::take(&mut all),
    };
    match (found.len(), toolkit) {
        (1, _) => Ok(found.remove(0)),
        (0, Some(toolkit)) if !all.is_empty() => {
            let others: BTreeSet<&str> = all.iter().map(|one| one.toolkit.name()).collect();
            let others: Vec<&str> = others.into_iter().collect();
            Err(format!("it has a network of {}, not of {}", others.join(" and one of "), toolkit.name()))
        }
        (0, _) => {
            let some: Vec<&str> = file.names().take(5).collect();
            let known = match toolkit {
                Some(toolkit) => format!("of {} that is known here ({})", toolkit.name(), known(toolkit)),
                None => {
                    let all = Toolkit::ALL.map(|toolkit| format!("{}: {}", toolkit.name(), known(toolkit)));
                    format!("that is known here ({})", all.join("; "))
                }
            };
            Err(format!(
                "it has no network {known}; it has {} tensors, among them {}",
                file.names().count(),
                if some.is_empty() { "none".to_owned() } else { some.join(", ") }
            ))
        }
        (count, _) if found.iter().all(|one| one.prefix == found[0].prefix) => {
            let toolkits: Vec<&str> = found.iter().map(|one| one.toolkit.name()).collect();
            Err(format!(
                "its tensors are those of {count} networks alike, of {}; say which toolkit it comes from",
                toolkits.join(" and of ")
            ))
        }
        (count, _) => {
            let places: Vec<String> =
                found.iter().map(|one| format!("`{}` ({})", one.prefix, one.toolkit.name())).collect();
            Err(format!(
                "it has {count} networks, under {}; expected one (save the one that is wanted alone)",
                places.join(" and ")
            ))
        }
    }
}

/// The networks of every toolkit in the file.
pub(super) fn all_networks(file: &TensorFile) -> Vec<Recognised> {
    Toolkit::ALL.into_iter().flat_map(|toolkit| networks(toolkit, file)).collect()
}

/// The toolkit's networks in the file.
fn networks(toolkit: Toolkit, file: &TensorFile) -> Vec<Recognised> {
    let mut found = Vec::new();
    for (anchor, read) in kinds(toolkit) {
        let prefixes: BTreeSet<&str> = file
            .names()
            .filter_map(|name| name.strip_suffix(anchor))
            .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
            .collect();
        for prefix in prefixes {
            if let Some((model, num_mels)) = read(&Tensors { file, prefix }) {
                found.push(Recognised {
                    toolkit,
                    model,
                    num_mels,
                    prefix: prefix.to_owned(),
                    is_named: true,
                });
            }
        }
    }
    found
}

/// Blocks of the four stages.
fn blocks(tensors: &Tensors<'_>, prefix: &str) -> [usize; 4] {
    [1, 2, 3, 4].map(|stage| tensors.count(&format!("{prefix}layer{stage}"), "conv1.weight"))
}

/// Depth of a ResNet with these stages.
fn depth(tensors: &Tensors<'_>, prefix: &str) -> Option<usize> {
    let has = |layer| tensors.has(&format!("{prefix}layer1.0.{layer}.weight"));
    // The blocks of Res2Net and its kin have several convolutions in its place.
    if !has("conv2") {
        return None;
    }
    depth_of(blocks(tensors, prefix), has("conv3"))
}

fn ffsvc_resnet(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    // SimAM has no tensors: such a network differs by the pooling.
    if tensors.has("pooling.attention.0.weight") {
        return None;
    }
    let config = ResNetConfig {
        in_planes: tensors.size("front.conv1.weight", 0)?,
        depth: depth(tensors, "front.")?,
        embedding_size: tensors.size("bottleneck.weight", 0)?,
        ..ResNetConfig::baseline()
    };
    // Its pooling leaves no trace of the number of frequencies.
    Some((ModelConfig::Resnet(config), None))
}

fn ffsvc_ecapa(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    let hidden_dim = tensors.size("conv1.weight", 0)?;
    let config = EcapaTdnnConfig {
        hidden_dim,
        scale: tensors.count("block1.convs", "weight"),
        bottleneck: tensors.size("ASP.attention.v", 0)?,
        embedding_size: tensors.size("fc.weight", 0)?,
        compat: true,
    };
    Some((ModelConfig::EcapaTdnn(config), tensors.size("conv1.weight", 1)))
}

fn wespeaker_resnet(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    let (in_planes, depth) = (tensors.size("conv1.weight", 0)?, depth(tensors, "")?);
    // A file may claim any shape.
    let expansion = if tensors.has("layer1.0.conv3.weight") { EXPANSION } else { 1 };
    let channels = in_planes.saturating_mul(8 * expansion);
    let (pooling, statistics) = if let Some(inputs) = tensors.size("pool.linear1.weight", 1) {
        // With the context's mean and deviation it reads three times the rows that it weighs.
        let sees_context = tensors.size("pool.linear2.weight", 0) != Some(inputs);
        (if sees_context { PoolingConfig::Attentive } else { PoolingConfig::Astp }, 2)
    } else if tensors.has("pool.n_query.0.heads_att_trans.0.att_0.weight") {
        (PoolingConfig::Mqmha, 4)
    } else {
        (PoolingConfig::Tstp, 2)
    };
    let frequencies = tensors.size("seg_1.weight", 1)? / channels.saturating_mul(statistics).max(1);
    let config = ResNetConfig {
        in_planes,
        depth,
        embedding_size: tensors.size("seg_1.weight", 0)?,
        pooling,
        dropout: 0.0,
    };
    Some((ModelConfig::Resnet(config), Some(frequencies.saturating_mul(8))))
}

fn wespeaker_ecapa(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    let aggregated = tensors.size("conv.weight", 0)?;
    let config = WespeakerEcapaConfig {
        channels: tensors.size("layer1.conv.weight", 0)?,
        aggregated,
        embedding_size: tensors.size("linear.weight", 0)?,
        global_context: tensors.size("pool.linear1.weight", 1) == aggregated.checked_mul(3),
        xi: tensors.has("pool.prior_mean"),
        emb_bn: tensors.has("bn2.running_mean"),
    };
    Some((ModelConfig::WespeakerEcapaTdnn(config), tensors.size("layer1.conv.weight", 1)))
}

fn simam_resnet(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    let in_planes = tensors.size("front.conv1.weight", 0)?;
    let config = SimAmResNetConfig {
        in_planes,
        depth: simam_depth_of(blocks(tensors, "front."))?,
        embedding_size: tensors.size("bottleneck.weight", 0)?,
    };
    let frequencies = tensors.size("pooling.attention.0.weight", 1)? / in_planes.saturating_mul(8).max(1);
    Some((ModelConfig::SimAmResnet(config), Some(frequencies.saturating_mul(8))))
}

/// Sizes of Res2 blocks, and the rows of features of a network with TSTP behind them.
fn res2(tensors: &Tensors<'_>) -> Option<(Res2Sizes, usize)> {
    let in_planes = tensors.size("conv1.weight", 0)?;
    let width = tensors.size("layer4.0.convs.0.weight", 0)?;
    let channels = tensors.size("layer1.0.conv3.weight", 0)?;
    let sizes = Res2Sizes {
        in_planes,
        blocks: blocks(tensors, ""),
        // The last stage has the most channels: its width tells those of the others.
        base_width: width.saturating_mul(8).div_ceil(in_planes.max(1)),
        scale: tensors.size("layer4.0.conv1.weight", 0)? / width.max(1),
        expansion: channels / in_planes.max(1),
    };
    let frequencies = tensors.size("seg_1.weight", 1)? / channels.saturating_mul(16).max(1);
    Some((sizes, frequencies.saturating_mul(8)))
}

fn eres2net(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    let (Res2Sizes { in_planes, blocks, base_width, scale, expansion }, rows) = res2(tensors)?;
    let embedding_size = tensors.size("seg_1.weight", 0)?;
    let config = ERes2NetConfig { in_planes, blocks, base_width, scale, expansion, embedding_size };
    Some((ModelConfig::ERes2Net(config), Some(rows)))
}

fn eres2net_v2(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    let (Res2Sizes { in_planes, blocks, base_width, scale, expansion }, rows) = res2(tensors)?;
    let embedding_size = tensors.size("seg_1.weight", 0)?;
    let config = ERes2NetV2Config { in_planes, blocks, base_width, scale, expansion, embedding_size };
    Some((ModelConfig::ERes2NetV2(config), Some(rows)))
}

fn res2net(tensors: &Tensors<'_>, form: Res2NetForm) -> Option<(ModelConfig, Option<usize>)> {
    // ERes2Net and its kin have such blocks too, and fuse the stages.
    if tensors.has("fuse_mode1234.local_att.0.weight") || tensors.has("fuse34.local_att.0.weight") {
        return None;
    }
    let (Res2Sizes { in_planes, blocks, base_width, scale, expansion }, rows) = res2(tensors)?;
    let embedding_size = tensors.size("seg_1.weight", 0)?;
    let config = Res2NetConfig { in_planes, blocks, base_width, scale, expansion, embedding_size, form };
    Some((ModelConfig::Res2Net(config), Some(rows)))
}

fn wespeaker_res2net(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    res2net(tensors, Res2NetForm::Wespeaker)
}

fn three_d_speaker_res2net(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    res2net(tensors, Res2NetForm::ThreeDSpeaker)
}

fn gemini_df_resnet(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    let in_planes = tensors.size("downsample_layers.0.0.weight", 0)?;
    let blocks = [0, 1, 2, 3].map(|stage| tensors.count(&format!("stages.{stage}"), "conv1.weight"));
    let config = GeminiDfResNetConfig {
        in_planes,
        depth: gemini_depth_of(blocks)?,
        embedding_size: tensors.size("seg_1.weight", 0)?,
    };
    // The last map has eight times the channels of the stem, and there are means and deviations.
    let frequencies = tensors.size("seg_1.weight", 1)? / in_planes.saturating_mul(16).max(1);
    Some((ModelConfig::GeminiDfResnet(config), Some(frequencies.saturating_mul(16))))
}

fn repvgg(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    repvgg_of(tensors, "rbr_dense.conv.weight", false)
}

fn deployed_repvgg(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    repvgg_of(tensors, "rbr_reparam.weight", true)
}

/// `layer` is the 3x3 convolution of a block.
fn repvgg_of(tensors: &Tensors<'_>, layer: &str, deploy: bool) -> Option<(ModelConfig, Option<usize>)> {
    let width = |stage: usize| tensors.size(&format!("stage{stage}.0.{layer}"), 0);
    let widths = [width(1)?, width(2)?, width(3)?, width(4)?];
    let config = RepVggConfig {
        widths,
        blocks: [1, 2, 3, 4].map(|stage| tensors.count(&format!("stage{stage}"), layer)),
        deploy,
        embedding_size: tensors.size("seg.weight", 0)?,
    };
    let frequencies = tensors.size("seg.weight", 1)? / widths[3].saturating_mul(2).max(1);
    Some((ModelConfig::RepVgg(config), Some(frequencies.saturating_mul(8))))
}

fn cam_plus_plus(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    let layer = "xvector.block1.tdnnd1";
    let growth_rate = tensors.size(&format!("{layer}.cam_layer.linear_local.weight"), 0)?;
    let config = CamPlusPlusConfig {
        embedding_size: tensors.size("xvector.dense.linear.weight", 0)?,
        growth_rate,
        bn_size: tensors.size(&format!("{layer}.linear1.weight"), 0)? / growth_rate.max(1),
        init_channels: tensors.size("xvector.tdnn.linear.weight", 0)?,
    };
    let front_channels = tensors.size("head.conv2.weight", 0)?;
    let rows = tensors.size("xvector.tdnn.linear.weight", 1)?;
    Some((ModelConfig::CamPlusPlus(config), Some((rows / front_channels.max(1)).saturating_mul(8))))
}

fn ge2e_lstm(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    let config = Ge2eLstmConfig {
        hidden: tensors.size("lstm.weight_hh_l0", 1)?,
        layers: (0..).take_while(|layer| tensors.has(&format!("lstm.weight_hh_l{layer}"))).count(),
        embedding_size: tensors.size("linear.weight", 0)?,
        ..Ge2eLstmConfig::default()
    };
    Some((ModelConfig::Ge2eLstm(config), tensors.size("lstm.weight_ih_l0", 1)))
}

fn speechbrain_ecapa(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    let config = SpeechBrainEcapaConfig {
        channels: tensors.size("blocks.0.conv.conv.weight", 0)?,
        aggregated: tensors.size("mfa.conv.conv.weight", 0)?,
        scale: tensors.count("blocks.1.res2net_block.blocks", "conv.conv.weight") + 1,
        se_channels: tensors.size("blocks.1.se_block.conv1.conv.weight", 0)?,
        attention_channels: tensors.size("asp.tdnn.conv.conv.weight", 0)?,
        embedding_size: tensors.size("fc.conv.weight", 0)?,
    };
    Some((ModelConfig::SpeechBrainEcapaTdnn(config), tensors.size("blocks.0.conv.conv.weight", 1)))
}
