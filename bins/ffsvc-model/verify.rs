use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, bail};
use burn::tensor::Device;
use clap::Args;
use ffsvc_cli::{Failed, Progress, Range, RangeArg as _, RunFiles};
use ffsvc_embeddings::Embeddings;
use ffsvc_extraction::{Extractor, ExtractorOptions};
use ffsvc_kaldi_io::{AudioSource, DataDir, WavSource};
use serde::Serialize;

use crate::embedder;
use crate::import_first::import_first_to_extract;

/// Range of a cosine distance.
const DISTANCE: Range<f64> = Range::of(0.0, 2.0);

/// Check a model against embeddings that another program made of the same recordings
///
/// Embeds each recording and compares. The keys of the store are utterances of --data, or else audio files. The exit
/// status is 1 if an embedding is further away than --max-distance, or if nothing was compared.
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
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Leave out embeddings whose utterance is not in --data, and say how many
    #[arg(long, requires = "data")]
    skip_missing: bool,

    /// Largest cosine distance that passes
    #[arg(long, value_name = "D", default_value_t = 1e-4, range = DISTANCE)]
    max_distance: f64,
}

#[derive(Debug, Serialize)]
struct Findings {
    embeddings: usize,
    /// Utterances of the store that are not in the data.
    missing: usize,
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
        RunFiles::new()
            .input("MODEL", [&self.model])
            .input("--against", [&self.against])
            .input("--data", &self.data)
            .check(json)?;
        let expected = Embeddings::read(&self.against)?;
        if expected.is_empty() {
            bail!("{}: nothing was compared: the store is empty", self.against.display());
        }
        let alone = ExtractorOptions::default().with_batch_size(1);
        let extractor = Extractor::open(&self.model, &Device::flex())
            .map_err(import_first_to_extract)?
            .with_options(alone);
        let dir = self.data.as_ref().map(DataDir::open).transpose()?;
        let recordings: HashMap<&str, AudioSource> = dir
            .iter()
            .flat_map(|dir| dir.utterances())
            .map(|utterance| (utterance.id, utterance.audio()))
            .collect();
        let mut findings = Findings {
            embeddings: 0,
            missing: 0,
            mean_cosine_distance: 0.0,
            max_cosine_distance: 0.0,
            max_at: String::new(),
            max_relative_difference: 0.0,
            tolerance: self.max_distance,
            passed: true,
        };
        let progress = Progress::begin(expected.len() as u64, "recordings");
        for (key, theirs) in expected.iter() {
            let source = match (&self.data, recordings.get(key)) {
                (None, _) => WavSource::File(key.into()).into(),
                (Some(_), Some(source)) => source.clone(),
                (Some(_), None) if self.skip_missing => {
                    findings.missing += 1;
                    continue;
                }
                (Some(data), None) => {
                    let missing = expected.keys().iter().filter(|key| !recordings.contains_key(key.as_str()));
                    bail!(
                        "{}: it has no utterance {key}, and lacks {} of {} that are in {}; --skip-missing leaves them out",
                        data.display(),
                        missing.count(),
                        expected.len(),
                        self.against.display()
                    )
                }
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
            findings.embeddings += 1;
            findings.mean_cosine_distance += distance;
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
            findings.passed &= distance <= self.max_distance;
            progress.inc(1);
        }
        progress.finish();
        if findings.embeddings == 0 {
            bail!("nothing was compared: {} has no utterance of --data", self.against.display());
        }
        findings.mean_cosine_distance /= findings.embeddings as f64;
        if json {
            ffsvc_cli::print_json(&findings)?;
        } else {
            println!("embeddings\t{}", findings.embeddings);
            if findings.missing > 0 {
                println!("missing\t{}", findings.missing);
            }
            println!("mean cosine distance\t{:.3e}", findings.mean_cosine_distance);
            println!("largest cosine distance\t{:.3e} at {}", findings.max_cosine_distance, findings.max_at);
            println!("largest relative difference\t{:.3e}", findings.max_relative_difference);
            println!(
                "tolerance\t{:.1e}: {}",
                self.max_distance,
                if findings.passed { "passed" } else { "failed" }
            );
        }
        if findings.passed { Ok(()) } else { Err(Failed.into()) }
    }
}
