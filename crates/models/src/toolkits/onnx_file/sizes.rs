//! The networks that toolkits publish, for files without names of parameters. Their layers tell which one it is.

use crate::cam_plus_plus::CamPlusPlusConfig;
use crate::eres2net::ERes2NetConfig;
use crate::eres2net_v2::ERes2NetV2Config;
use crate::gemini_df_resnet::GeminiDfResNetConfig;
use crate::model::ModelConfig;
use crate::pooling::PoolingConfig;
use crate::res2net::{Res2NetConfig, Res2NetForm};
use crate::resnet::ResNetConfig;
use crate::simam_resnet::SimAmResNetConfig;
use crate::wespeaker_ecapa::WespeakerEcapaConfig;

/// With `channels` behind the first layer and embeddings of `embedding_size`.
pub(super) fn published(channels: usize, embedding_size: usize) -> Vec<ModelConfig> {
    let mut all = Vec::new();
    let in_planes = channels;
    for depth in [18, 34, 50, 101, 152, 221, 293] {
        for pooling in
            [PoolingConfig::Tstp, PoolingConfig::Attentive, PoolingConfig::Astp, PoolingConfig::Mqmha]
        {
            let config = ResNetConfig { in_planes, depth, embedding_size, pooling, dropout: 0.0 };
            all.push(ModelConfig::Resnet(config));
        }
    }
    for (global_context, emb_bn) in [(false, false), (true, false), (false, true), (true, true)] {
        let others = WespeakerEcapaConfig::default();
        let config = WespeakerEcapaConfig { channels, embedding_size, global_context, emb_bn, ..others };
        all.push(ModelConfig::WespeakerEcapaTdnn(config));
    }
    for depth in [34, 100] {
        all.push(ModelConfig::SimAmResnet(SimAmResNetConfig { in_planes, depth, embedding_size }));
    }
    for depth in [60, 114, 183, 237] {
        all.push(ModelConfig::GeminiDfResnet(GeminiDfResNetConfig { in_planes, depth, embedding_size }));
    }
    all.push(ModelConfig::CamPlusPlus(CamPlusPlusConfig { embedding_size, ..CamPlusPlusConfig::default() }));
    for (base_width, scale, expansion) in [(32, 2, 2), (24, 3, 4)] {
        let others = ERes2NetConfig::default();
        let config = ERes2NetConfig { in_planes, base_width, scale, expansion, embedding_size, ..others };
        all.push(ModelConfig::ERes2Net(config));
    }
    for (base_width, scale, expansion) in [(26, 2, 2), (24, 4, 4)] {
        let others = ERes2NetV2Config::default();
        let config = ERes2NetV2Config { in_planes, base_width, scale, expansion, embedding_size, ..others };
        all.push(ModelConfig::ERes2NetV2(config));
    }
    for form in [Res2NetForm::Wespeaker, Res2NetForm::ThreeDSpeaker] {
        let config = Res2NetConfig { in_planes, embedding_size, form, ..Res2NetConfig::default() };
        all.push(ModelConfig::Res2Net(config));
    }
    all
}
