use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use ffsvc_cli::{Failed, Progress};
use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{DataDir, WavSource};
use serde::Serialize;

use crate::embedder;

/// Check a model against embeddings that another program made of the same recordings
///
/// Embeds each recording and compares. The keys of the store are utterances of --data, or else audio files. The exit
/// status is 1 if an embedding is further away than --tolerance.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-model verify campplus.safetensors --against torch.npz --data data/dev")]
pub(crate) struct Verify {
    /// Model file
    model: PathBuf,

    /// Store of embeddings: .npz with the arrays keys and embeddings, .ark, .scp, .safetensors, or the baseline's .npy
    #[arg(long, value_name = "STORE")]
    against: PathBuf,

    /// Data directory with the recordings
    #[arg(long)]
    data: Option<PathBuf>,

    /// Largest cosine distance that passes
    #[arg(long, default_value_t = 1e-4)]
    tolerance: f64,
}

#[derive(Debug, Serialize)]
struct Findings {
    embeddings: usize,
    mean_cosine_distance: f64,
    max_cosine_distance: f64,
    max_at: String,
    /// Largest distance of two numbers, divided by the length of the embedding.
    max_relative_difference: f64,
    tolerance: f64,
    passed: bool,
}

impl Verify {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let expected = Embeddings::read(&self.against)?;
        let extractor = embedder::open(&self.model)?;
        let dir = self.data.as_ref().map(DataDir::open).transpose()?;
        let recordings: HashMap<&str, WavSource> = dir
            .iter()
            .flat_map(|dir| dir.utterances())
            .map(|utterance| (utterance.id, WavSource::parse(utterance.wav)))
            .collect();
        let mut findings = Findings {
            embeddings: expected.len(),
            mean_cosine_distance: 0.0,
            max_cosine_distance: 0.0,
            max_at: String::new(),
            max_relative_difference: 0.0,
            tolerance: self.tolerance,
            passed: true,
        };
        let progress = Progress::begin(expected.len() as u64, "recordings");
        for (key, theirs) in expected.iter() {
            let source = match (&self.data, recordings.get(key)) {
                (None, _) => WavSource::File(key.into()),
                (Some(_), Some(source)) => source.clone(),
                (Some(data), None) => bail!("{}: it has no utterance {key}", data.display()),
            };
            let ours = extractor.embed(&source).with_context(|| format!("utterance {key}"))?.values;
            if ours.len() != theirs.len() {
                bail!(
                    "{}: its embeddings have {} numbers, the model's {}",
                    self.against.display(),
                    theirs.len(),
                    ours.len()
                );
            }
            let distance = embedder::cosine_distance(&ours, theirs);
            findings.mean_cosine_distance += distance / expected.len() as f64;
            // Not a number, from an embedding of zeros, does not pass either.
            let further = distance > findings.max_cosine_distance || distance.is_nan();
            if findings.max_at.is_empty() || further {
                findings.max_cosine_distance = distance;
                findings.max_at = key.to_owned();
            }
            let length = theirs.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            let difference = ours
                .iter()
                .zip(theirs)
                .map(|(&x, &y)| (f64::from(x) - f64::from(y)).abs())
                .fold(0.0, f64::max);
            findings.max_relative_difference = findings.max_relative_difference.max(difference / length);
            findings.passed &= distance <= self.tolerance;
            progress.inc(1);
        }
        progress.finish();
        if json {
            ffsvc_cli::print_json(&findings)?;
        } else {
            println!("embeddings\t{}", findings.embeddings);
            println!("mean cosine distance\t{:.3e}", findings.mean_cosine_distance);
            println!("largest cosine distance\t{:.3e} at {}", findings.max_cosine_distance, findings.max_at);
            println!("largest relative difference\t{:.3e}", findings.max_relative_difference);
            println!(
                "tolerance\t{:.1e}: {}",
                self.tolerance,
                if findings.passed { "passed" } else { "failed" }
            );
        }
        if findings.passed { Ok(()) } else { Err(Failed.into()) }
    }
}
