use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;
use ffsvc_models::{HeadConfig, ModelConfig, ModelFile, named_tensors};
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
        let (identity, info) = (file.identity(), file.info().clone());
        let findings = Findings {
            sha256: identity.sha256,
            embedding_size: identity.embedding_size,
            numbers: named_tensors(&model).iter().map(|tensor| tensor.data.len()).sum(),
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
        println!("weights\t{:.2} million", findings.numbers as f64 / 1e6);
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
