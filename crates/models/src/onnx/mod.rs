//! Networks as ONNX graphs: features to embedding, without the front end.
//!
//! A graph is made from the configuration and the named tensors, not from the modules. It uses every tensor, or
//! [`export_onnx`] fails. To add one: a file here that reads like the network's own, and an arm in `embedding`.

mod cam_plus_plus;
mod ecapa_tdnn;
mod eres2net;
mod ge2e_lstm;
mod gemini_df_resnet;
mod layers;
mod metadata;
mod pooling;
mod redimnet;
mod redimnet2;
mod repvgg;
mod resnet;
mod simam_resnet;
mod speechbrain_ecapa;
mod stages;
mod tdnn;
mod time_context;
mod wespeaker_ecapa;

use std::path::Path;

use ffsvc_onnx::{Dimension, Message as _, Value};

use self::layers::NetworkGraph;
use crate::error::{Error, Result};
use crate::model::{ModelConfig, SpeakerModel};
use crate::model_info::ModelInfo;
use crate::parameters::{NamedTensor, named_tensors};

/// Name of the features in the graph, as in WeSpeaker's exports.
const INPUT: &str = "feats";
/// Name of the embeddings in the graph, as in WeSpeaker's exports.
const OUTPUT: &str = "embs";

/// Writes the network to `path` as an ONNX model, completely or not at all. The same model gives the same bytes. Returns the
/// number of the network's tensors.
///
/// The graph is the evaluation of the network. The mean that the model subtracts from embeddings is subtracted in the graph. The
/// front end is not in the graph. The metadata describe it, under the names that sherpa-onnx reads and as JSON.
///
/// # Shapes
/// - `feats`: `[batch, frames, mel]`, batch and frames free
/// - `embs`: `[batch, embedding]`
///
/// # Errors
/// [`Error::Config`] for a front end that is not valid; [`Error::Tensors`] if `model` is not the network of
/// `info`; [`Error::Onnx`] if the graph is not valid; [`Error::Io`] if the file cannot be written.
pub fn export_onnx(path: impl AsRef<Path>, info: &ModelInfo, model: &SpeakerModel) -> Result<usize> {
    let path = path.as_ref();
    let tensors = named_tensors(model);
    let model = onnx_model(info, &tensors)?;
    ffsvc_atomic_file::write(path, model.encode_to_vec())
        .map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    Ok(tensors.len())
}

/// The network of `info` with these tensors.
fn onnx_model(info: &ModelInfo, tensors: &[NamedTensor]) -> Result<ffsvc_onnx::Model> {
    let (num_mels, size) = (info.num_mels()?, info.model.embedding_size());
    let mut g = NetworkGraph::new(&info.model.architecture(), tensors);
    let batch = Dimension::Free("B");
    let feats = g.graph.input(INPUT, &[batch, Dimension::Free("T"), Dimension::Of(num_mels)]);
    let features = g.transpose(&feats, &[0, 2, 1]);
    let mut embedding = embedding(&mut g, &info.model, &features, num_mels);
    if let Some(mean) = &info.embedding_mean {
        let mean = g.graph.floats("embedding_mean", &[mean.len()], mean);
        embedding = g.sub(&embedding, &mean);
    }
    g.graph.output(&embedding, OUTPUT, &[batch, Dimension::Of(size)]);
    g.finish(&metadata::metadata(info))
}

/// `[batch, embedding]` of features `[batch, mel, frames]`.
fn embedding(g: &mut NetworkGraph<'_>, config: &ModelConfig, features: &Value, num_mels: usize) -> Value {
    match config {
        ModelConfig::Resnet(config) => resnet::embedding(g, config, features, num_mels),
        ModelConfig::EcapaTdnn(config) => ecapa_tdnn::embedding(g, config, features),
        ModelConfig::Tdnn(_) => tdnn::embedding(g, features),
        ModelConfig::CamPlusPlus(_) => cam_plus_plus::embedding(g, features, num_mels),
        ModelConfig::WespeakerEcapaTdnn(config) => wespeaker_ecapa::embedding(g, config, features),
        ModelConfig::SpeechBrainEcapaTdnn(config) => speechbrain_ecapa::embedding(g, config, features),
        ModelConfig::ERes2Net(config) => eres2net::embedding(g, &config.sizes(), features, num_mels),
        ModelConfig::ERes2NetV2(config) => eres2net::embedding_v2(g, &config.sizes(), features, num_mels),
        ModelConfig::SimAmResnet(config) => simam_resnet::embedding(g, config, features, num_mels),
        ModelConfig::ReDimNet(config) => redimnet::embedding(g, config, features, num_mels),
        ModelConfig::ReDimNet2(config) => redimnet2::embedding(g, config, features, num_mels),
        ModelConfig::Res2Net(config) => eres2net::embedding_res2net(g, config, features, num_mels),
        ModelConfig::GeminiDfResnet(config) => gemini_df_resnet::embedding(g, config, features, num_mels),
        ModelConfig::Ge2eLstm(config) => ge2e_lstm::embedding(g, config, features),
        ModelConfig::RepVgg(config) => repvgg::embedding(g, config, features, num_mels),
    }
}
