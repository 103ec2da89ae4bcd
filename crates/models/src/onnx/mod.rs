//! Networks as ONNX graphs: features to embedding, or samples to embedding.
//!
//! A graph is made from the configuration and the named tensors, not from the modules. It uses every tensor, or
//! [`export_onnx`] fails. To add one: a file here that reads like the network's own, and an arm in `embedding`.

mod cam_plus_plus;
mod ecapa_tdnn;
mod eres2net;
mod front_end;
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
mod titanet;
mod wespeaker_ecapa;

use std::path::Path;

use ffsvc_onnx::{Dimension, Message as _, Value};

use self::layers::NetworkGraph;
use crate::error::{Error, Result};
use crate::model::{ModelConfig, SpeakerModel};
use crate::model_info::ModelInfo;
use crate::parameters::{NamedTensor, named_tensors};

/// Name of the features in the graph, as in WeSpeaker's exports.
pub(crate) const INPUT: &str = "feats";
/// Name of the samples in the graph.
const SAMPLES: &str = "samples";
/// Name of the embeddings in the graph, as in WeSpeaker's exports.
const OUTPUT: &str = "embs";
/// Name of the constant that is subtracted from the embeddings.
pub(crate) const EMBEDDING_MEAN: &str = "embedding_mean";

/// What an exported graph reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnnxInput {
    /// Features: the front end is left to the program that runs the graph.
    #[default]
    Features,
    /// Samples with a full scale of 1.0, at the front end's sample rate: the front end is in the graph.
    Samples,
}

/// Writes the network to `path` as an ONNX model, completely or not at all. The same model gives the same bytes. Returns the
/// number of the network's tensors.
///
/// The graph is the evaluation of the network. The mean that the model subtracts from embeddings is subtracted in the graph. The
/// metadata describe the front end, under the names that sherpa-onnx reads and as JSON.
///
/// # Shapes
/// - `feats`: `[batch, frames, mel]`, batch and frames free; with [`OnnxInput::Samples`] `samples`: `[batch, samples]`, both free
/// - `embs`: `[batch, embedding]`
///
/// # Errors
/// [`Error::Config`] for a front end that is not valid, or that a graph cannot compute (dither, an energy row, a sliding mean);
/// [`Error::Tensors`] if `model` is not the network of `info`; [`Error::Onnx`] if the graph is not valid; [`Error::Io`] if
/// the file cannot be written.
pub fn export_onnx(
    path: impl AsRef<Path>,
    info: &ModelInfo,
    model: &SpeakerModel,
    input: OnnxInput,
) -> Result<usize> {
    let path = path.as_ref();
    let tensors = named_tensors(model);
    let model = onnx_model(info, &tensors, input)?;
    ffsvc_atomic_file::write(path, model.encode_to_vec())
        .map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    Ok(tensors.len())
}

/// The network of `info` with these tensors.
fn onnx_model(info: &ModelInfo, tensors: &[NamedTensor], input: OnnxInput) -> Result<ffsvc_onnx::Model> {
    let (num_mels, size) = (info.num_mels()?, info.model.embedding_size());
    let mut g = NetworkGraph::new(&info.model.architecture(), tensors);
    let batch = Dimension::Free("B");
    let mut min_samples = None;
    let features = match input {
        OnnxInput::Features => {
            let feats = g.graph.input(INPUT, &[batch, Dimension::Free("T"), Dimension::Of(num_mels)]);
            g.transpose(&feats, &[0, 2, 1])
        }
        OnnxInput::Samples => {
            let samples = g.graph.input(SAMPLES, &[batch, Dimension::Free("N")]);
            let least = info.model.min_frames();
            let (features, least) = front_end::features(&mut g, &info.front_end, &samples, least)?;
            min_samples = Some(least);
            features
        }
    };
    let mut embedding = embedding(&mut g, &info.model, &features, num_mels);
    if let Some(mean) = &info.embedding_mean {
        let mean = g.graph.floats(EMBEDDING_MEAN, &[mean.len()], mean);
        embedding = g.sub(&embedding, &mean);
    }
    g.graph.output(&embedding, OUTPUT, &[batch, Dimension::Of(size)]);
    g.finish(&metadata::metadata(info, min_samples))
}

/// The network as a graph without values: constants have the names and shapes of its tensors. Layers stand as in the toolkits'
/// definitions, also where an export computes the same in another way.
pub(crate) fn structure(
    config: &ModelConfig,
    num_mels: usize,
    shapes: &[(String, Vec<usize>)],
) -> ffsvc_onnx::Graph {
    let without_values = |(name, shape): &(String, Vec<usize>)| NamedTensor {
        name: name.clone(),
        shape: shape.clone(),
        data: Vec::new(),
    };
    let tensors: Vec<NamedTensor> = shapes.iter().map(without_values).collect();
    let mut g = NetworkGraph::new(&config.architecture(), &tensors);
    g.as_defined = true;
    let features = g.graph.input(INPUT, &[]);
    let embedding = embedding(&mut g, config, &features, num_mels);
    g.graph.output(&embedding, OUTPUT, &[]);
    g.graph.into_graph()
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
        ModelConfig::TitaNet(config) => titanet::embedding(g, config, features),
        ModelConfig::RepVgg(config) => repvgg::embedding(g, config, features, num_mels),
    }
}
