//! `ffsvc-score train-backend` and `adapt-backend`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use ffsvc_cli::UsageError;
use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::Table;
use ffsvc_scoring::backend::{
    Adaptation, Backend, Origin, PldaLengthNorm, PldaOptions, TrainOptions, TrainingSet, Transform,
};
use ffsvc_scoring::report::SourceFile;
use tracing::{info, warn};

use crate::score::PROGRAM;

const TRAIN_DETAILS: &str = "\
A back end subtracts the mean of its training set, applies the transform, brings vectors to the length sqrt(dim), and compares
by PLDA or by the cosine. Its parts follow Kaldi's ivector-compute-lda, ivector-normalize-length, ivector-compute-plda and
ivector-plda-scoring.

Examples:
  LDA to 128 dimensions and PLDA, and scoring with them:
    ffsvc-score train-backend --embeddings exp/train/embeddings.scp --utt2spk data/train/utt2spk \\
        --transform lda --lda-dim 128 --plda --out exp/plda.safetensors
    ffsvc-score --trials data/dev/trials --embeddings exp/dev/embeddings.scp --backend exp/plda.safetensors
  Within-class covariance normalisation for the cosine:
    ffsvc-score train-backend --embeddings exp/train/embeddings.scp --utt2spk data/train/utt2spk \\
        --transform wccn --out exp/wccn.safetensors";

/// Train a back end (whitening, WCCN, LDA, length normalisation, PLDA) on embeddings with speakers
#[derive(Debug, clap::Args)]
#[command(after_long_help = TRAIN_DETAILS)]
pub(crate) struct TrainBackend {
    /// Embeddings of the training set
    #[arg(long, value_name = "STORE")]
    embeddings: PathBuf,

    /// Speaker of each utterance
    #[arg(long, value_name = "FILE")]
    utt2spk: PathBuf,

    /// The back end, a .safetensors file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Linear transform
    #[arg(long, value_name = "KIND", default_value = "none")]
    transform: TransformKind,

    /// Dimensions that LDA keeps
    #[arg(long, value_name = "N", required_if_eq("transform", "lda"))]
    lda_dim: Option<usize>,

    /// Share of the total covariance in what LDA makes the identity, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    total_covariance_factor: f64,

    /// Leave the length of the vectors as it is
    #[arg(long)]
    no_length_norm: bool,

    /// Train a PLDA; without it, vectors are compared by the cosine
    #[arg(long)]
    plda: bool,

    /// Iterations of expectation maximisation for PLDA
    #[arg(long, value_name = "N", default_value_t = 10, requires = "plda")]
    em_iterations: usize,

    /// Share of the between-speaker covariance that is added to the within-speaker covariance
    #[arg(long, value_name = "FACTOR", default_value_t = 0.0, requires = "plda")]
    smoothing: f64,

    /// What PLDA does to the length of the vectors that it compares
    #[arg(long, value_name = "KIND", default_value = "expected", requires = "plda")]
    plda_length_norm: LengthNormKind,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TransformKind {
    /// None
    None,
    /// Makes the total covariance the identity
    Whiten,
    /// Makes the within-speaker covariance the identity
    Wccn,
    /// WCCN, then the directions in which speakers differ most
    Lda,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LengthNormKind {
    /// Nothing
    None,
    /// The length that the model expects, Kaldi's --normalize-length
    Expected,
    /// sqrt(dim), Kaldi's --simple-length-norm
    Simple,
}

impl TrainBackend {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        check_out(&self.out)?;
        let embeddings = Embeddings::read(&self.embeddings)?;
        let utt2spk = Table::read(&self.utt2spk)?;
        let set = TrainingSet::new(&embeddings, &utt2spk)?;
        info!(
            "{} utterances of {} speakers, {} dimensions",
            set.utterances(),
            set.speaker_count(),
            embeddings.dim()
        );
        if set.without_speaker() > 0 {
            warn!(
                "{} embeddings have no speaker in {} and are left out",
                set.without_speaker(),
                self.utt2spk.display()
            );
        }
        if set.without_embedding() > 0 {
            warn!("{} utterances of {} have no embedding", set.without_embedding(), self.utt2spk.display());
        }
        let transform = match self.transform {
            TransformKind::None => Transform::None,
            TransformKind::Whiten => Transform::Whiten,
            TransformKind::Wccn => Transform::Wccn,
            TransformKind::Lda => Transform::Lda {
                dim: self.lda_dim.unwrap_or_default(),
                total_covariance_factor: self.total_covariance_factor,
            },
        };
        let plda = PldaOptions {
            iterations: self.em_iterations,
            smoothing: self.smoothing,
            length_norm: match self.plda_length_norm {
                LengthNormKind::None => PldaLengthNorm::None,
                LengthNormKind::Expected => PldaLengthNorm::Expected,
                LengthNormKind::Simple => PldaLengthNorm::Simple,
            },
        };
        let options =
            TrainOptions { transform, length_norm: !self.no_length_norm, plda: self.plda.then_some(plda) };
        let mut backend = Backend::train(&set, options)?;
        backend.record(Origin::Trained {
            program: PROGRAM.to_owned(),
            embeddings: self.embeddings.display().to_string(),
            utt2spk: SourceFile::identify(&self.utt2spk)?,
            utterances: set.utterances(),
            speakers: set.speaker_count(),
        });
        write(&backend, &self.out)
    }
}

const ADAPT_DETAILS: &str = "\
The mean of the back end becomes that of the embeddings; the PLDA is adapted by
  kaldi        sharing out what the embeddings' covariance has in excess of the model's between its two covariances
               (ivector-adapt-plda: scales 0.3 within, 0.7 between)
  coral        carrying both covariances over so that the total is the embeddings'
  coral-plus   letting each grow by a share of what CORAL would add (scales 0.5 and 0.5 unless given), never shrink

Example:
  ffsvc-score adapt-backend --backend exp/plda.safetensors --embeddings exp/in_domain/embeddings.scp \\
      --method kaldi --out exp/plda_adapted.safetensors";

/// Fit a PLDA back end to unlabelled embeddings of another domain
#[derive(Debug, clap::Args)]
#[command(after_long_help = ADAPT_DETAILS)]
pub(crate) struct AdaptBackend {
    /// The back end to adapt
    #[arg(long, value_name = "FILE")]
    backend: PathBuf,

    /// Embeddings of the other domain
    #[arg(long, value_name = "STORE")]
    embeddings: PathBuf,

    /// The adapted back end, a .safetensors file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Method
    #[arg(long, value_name = "METHOD", default_value = "kaldi")]
    method: MethodKind,

    /// Share of the excess that goes to the within-speaker covariance
    #[arg(long, value_name = "SCALE")]
    within_scale: Option<f64>,

    /// Share of the excess that goes to the between-speaker covariance
    #[arg(long, value_name = "SCALE")]
    between_scale: Option<f64>,

    /// How much of the shift of the mean counts as covariance, for kaldi
    #[arg(long, value_name = "SCALE", default_value_t = 1.0)]
    mean_shift_scale: f64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MethodKind {
    Kaldi,
    Coral,
    CoralPlus,
}

impl AdaptBackend {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        check_out(&self.out)?;
        let scales = |within: f64, between: f64| {
            (self.within_scale.unwrap_or(within), self.between_scale.unwrap_or(between))
        };
        let adaptation = match self.method {
            MethodKind::Coral if self.within_scale.or(self.between_scale).is_some() => {
                return Err(UsageError::new("--method coral has no scales; coral-plus has").into());
            }
            MethodKind::Coral => Adaptation::Coral,
            MethodKind::CoralPlus => {
                let (within_scale, between_scale) = scales(0.5, 0.5);
                Adaptation::CoralPlus { within_scale, between_scale }
            }
            MethodKind::Kaldi => {
                let (within_scale, between_scale) = scales(0.3, 0.7);
                Adaptation::Kaldi { within_scale, between_scale, mean_shift_scale: self.mean_shift_scale }
            }
        };
        let mut backend = Backend::read(&self.backend)?;
        let embeddings = Embeddings::read(&self.embeddings)?;
        info!("{} embeddings to adapt to", embeddings.len());
        backend.adapt(&embeddings, adaptation)?;
        backend.record(Origin::Adapted {
            program: PROGRAM.to_owned(),
            embeddings: self.embeddings.display().to_string(),
            utterances: embeddings.len(),
            adaptation,
        });
        write(&backend, &self.out)
    }
}

fn check_out(out: &Path) -> Result<(), UsageError> {
    match out.extension() {
        Some(extension) if extension == "safetensors" => Ok(()),
        _ => Err(UsageError::new(format!("{} is to be a .safetensors file", out.display()))),
    }
}

fn write(backend: &Backend, out: &Path) -> anyhow::Result<()> {
    backend.write(out).with_context(|| format!("cannot keep the back end in {}", out.display()))?;
    info!("the back end is in {}", out.display());
    Ok(())
}
