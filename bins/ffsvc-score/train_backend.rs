//! `ffsvc-score train-backend`.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use ffsvc_cli::{OutputPath, Range, RangeArg, RunFiles, UsageError};
use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::Table;
use ffsvc_scoring::backend::{
    Backend, Origin, PldaLengthNorm, PldaOptions, TrainOptions, TrainingSet, Transform,
};
use ffsvc_scoring::report::SourceFile;
use tracing::{info, warn};

use crate::score::PROGRAM;

const DIM: Range<usize> = Range::of(1, 1 << 16);
const SHARE: Range<f64> = Range::of(0.0, 1.0);
const ITERATIONS: Range<usize> = Range::of(1, 1000);
const FACTOR: Range<f64> = Range::at_least(0.0);

const DETAILS: &str = "\
A back end subtracts the mean of its training set, applies the transform, brings vectors to the length sqrt(dim), and compares
by PLDA or by the cosine. Its parts follow Kaldi's ivector-compute-lda, ivector-normalize-length, ivector-compute-plda and
ivector-plda-scoring.

Examples:
  LDA to 128 dimensions and PLDA, and scoring with them:
    ffsvc-score train-backend --embeddings exp/train/embeddings.scp --utt2spk data/train/utt2spk \\
        --transform lda --lda-dim 128 --plda -o exp/plda.safetensors
    ffsvc-score --trials data/dev/trials --embeddings exp/dev/embeddings.scp --backend exp/plda.safetensors
  Within-class covariance normalisation for the cosine:
    ffsvc-score train-backend --embeddings exp/train/embeddings.scp --utt2spk data/train/utt2spk \\
        --transform wccn -o exp/wccn.safetensors";

/// Train a back end (whitening, WCCN, LDA, length normalisation, PLDA) on embeddings with speakers
#[derive(Debug, clap::Args)]
#[command(after_long_help = DETAILS)]
pub(crate) struct TrainBackend {
    /// Embeddings of the training set
    #[arg(long, value_name = "STORE")]
    embeddings: PathBuf,

    /// Speaker of each utterance
    #[arg(long, value_name = "FILE")]
    utt2spk: PathBuf,

    /// The back end, a .safetensors file
    #[arg(short, long, value_name = "FILE")]
    output: OutputPath,

    /// Linear transform
    #[arg(long, value_name = "KIND", default_value = "none")]
    transform: TransformKind,

    /// Dimensions that LDA keeps
    #[arg(long, value_name = "N", required_if_eq("transform", "lda"), range = DIM)]
    lda_dim: Option<usize>,

    /// Share of the total covariance in what LDA makes the identity [default: 0]
    #[arg(long, value_name = "SHARE", range = SHARE)]
    total_covariance_factor: Option<f64>,

    /// Leave the length of the vectors as it is
    #[arg(long)]
    no_length_norm: bool,

    /// Train a PLDA; without it, vectors are compared by the cosine
    #[arg(long)]
    plda: bool,

    /// Iterations of expectation maximisation for PLDA
    #[arg(long, value_name = "N", default_value_t = 10, requires = "plda", range = ITERATIONS)]
    em_iterations: usize,

    /// Share of the between-speaker covariance that is added to the within-speaker covariance
    #[arg(long, value_name = "FACTOR", default_value_t = 0.0, requires = "plda", range = FACTOR)]
    smoothing: f64,

    /// What PLDA does to the length of the vectors that it compares
    #[arg(long, value_name = "KIND", default_value = "expected", requires = "plda")]
    plda_length_norm: PldaLengthNorm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
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

impl TrainBackend {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        check_name(&self.output)?;
        RunFiles::new()
            .input("--embeddings", [&self.embeddings])
            .input("--utt2spk", [&self.utt2spk])
            .regular_output("--output", [&self.output])
            .check(false)?;
        let options = self.options()?;
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
        let store = self.embeddings.display().to_string();
        let remarks: Vec<_> = set.remarks(&options).into_iter().map(|remark| remark.of(&store)).collect();
        remarks.iter().for_each(|remark| warn!("{remark}"));
        let mut backend = Backend::train(&set, options)?;
        backend.record(Origin::Trained {
            program: PROGRAM.to_owned(),
            embeddings: store,
            utt2spk: SourceFile::of_table(&utt2spk),
            utterances: set.utterances(),
            speakers: set.speaker_count(),
            remarks,
        });
        write(&backend, &self.output)
    }

    fn options(&self) -> Result<TrainOptions, UsageError> {
        let transform = match self.transform {
            TransformKind::None => Transform::None,
            TransformKind::Whiten => Transform::Whiten,
            TransformKind::Wccn => Transform::Wccn,
            TransformKind::Lda => Transform::Lda {
                dim: self.lda_dim.unwrap_or_default(),
                total_covariance_factor: self.total_covariance_factor.unwrap_or_default(),
            },
        };
        if self.transform != TransformKind::Lda {
            let given = [
                ("--lda-dim", self.lda_dim.is_some()),
                ("--total-covariance-factor", self.total_covariance_factor.is_some()),
            ];
            if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
                return Err(UsageError::new(format!("{option} is for --transform lda")));
            }
        }
        let plda = PldaOptions {
            iterations: self.em_iterations,
            smoothing: self.smoothing,
            length_norm: self.plda_length_norm,
        };
        Ok(TrainOptions { transform, length_norm: !self.no_length_norm, plda: self.plda.then_some(plda) })
    }
}

/// Refuses a back end's file of another name than it can be read by.
pub(crate) fn check_name(output: &OutputPath) -> Result<(), UsageError> {
    match output.extension() {
        Some(extension) if extension == "safetensors" => Ok(()),
        _ => Err(UsageError::new(format!("--output {output}: expected a .safetensors file"))),
    }
}

pub(crate) fn write(backend: &Backend, output: &OutputPath) -> anyhow::Result<()> {
    backend.write(output).with_context(|| format!("cannot keep the back end in {output}"))?;
    info!("the back end is in {output}");
    Ok(())
}
