use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::Device;
use clap::Args;
use ffsvc_features::FrontEnd;
use ffsvc_models::{HeadConfig, ModelConfig, ModelFile, SpeakerModel, named_tensors};
use serde::Serialize;

use crate::import_first::import_first;

/// Show what a model file holds
///
/// Architecture, front end, classes, summary of the training, and the file's SHA-256.
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// Model file
    model: PathBuf,
}

#[derive(Debug, Serialize)]
struct Findings {
    sha256: String,
    network: ModelConfig,
    embedding_size: usize,
    /// Numbers in the network's tensors, running statistics included.
    numbers: usize,
    /// Of those, the ones that are trained.
    parameters: usize,
    /// For two seconds of audio.
    multiply_accumulates: u64,
    min_frames: usize,
    head: Option<HeadConfig>,
    speakers: Vec<String>,
    front_end: ffsvc_features::FrontEndConfig,
    compat_lowpass: bool,
    embedding_mean: Option<Vec<f32>>,
    training: serde_json::Value,
    program_version: String,
    config_toml: String,
}

impl Info {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let file = ModelFile::open(&self.model).map_err(import_first)?;
        let (model, _) = file.load(&Device::flex())?;
        let model = model.valid();
        let tensors = named_tensors(&model);
        let trained = tensors.iter().filter(|tensor| !tensor.name.contains("running_"));
        let parameters = trained.map(|tensor| tensor.data.len()).sum();
        let (identity, info) = (file.identity(), file.info().clone());
        let findings = Findings {
            sha256: identity.sha256,
            embedding_size: identity.embedding_size,
            numbers: tensors.iter().map(|tensor| tensor.data.len()).sum(),
            parameters,
            multiply_accumulates: multiply_accumulates(&model, &FrontEnd::new(&info.front_end)?),
            min_frames: model.min_frames(),
            network: info.model,
            head: info.head,
            speakers: info.speakers,
            front_end: info.front_end,
            compat_lowpass: info.compat_lowpass,
            embedding_mean: info.embedding_mean,
            training: info.training,
            program_version: info.program_version,
            config_toml: info.config_toml,
        };
        if json {
            return ffsvc_cli::print_json(&findings);
        }
        let line = |toml: String| toml.trim_end().replace('\n', ", ");
        println!("file\t{}", self.model.display());
        println!("sha256\t{}", findings.sha256);
        println!("network\t{}", line(toml::to_string(&findings.network)?));
        println!("embedding\t{} numbers", findings.embedding_size);
        println!("weights\t{:.2} million", findings.parameters as f64 / 1e6);
        println!("work\t{:.3} GMAC for 2 s", findings.multiply_accumulates as f64 / 1e9);
        println!("least frames\t{}", findings.min_frames);
        println!("front end\t{}", serde_json::to_string(&findings.front_end)?);
        if findings.compat_lowpass {
            println!("audio\tlow-pass of the baseline before a change of sample rate");
        }
        match &findings.embedding_mean {
            Some(mean) => {
                let norm = mean.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
                println!("mean subtracted\tof length {norm:.4}");
            }
            None => println!("mean subtracted\tnone"),
        }
        match &findings.head {
            Some(head) => {
                println!("head\t{}, {} classes", line(toml::to_string(head)?), findings.speakers.len())
            }
            None => println!("head\tnone"),
        }
        println!("training\t{}", findings.training);
        println!("written by\tversion {}", findings.program_version);
        Ok(())
    }
}

/// Of two seconds of audio.
fn multiply_accumulates(model: &SpeakerModel, front_end: &FrontEnd) -> u64 {
    let frames = front_end.num_frames(2 * front_end.config().sample_rate as usize);
    let (windows, frames) = match model.windows() {
        Some(windows) => (windows.count(frames), windows.frames),
        None => (1, frames.max(model.min_frames())),
    };
    windows as u64 * model.multiply_accumulates(front_end.num_mels(), frames, &Device::flex())
}
