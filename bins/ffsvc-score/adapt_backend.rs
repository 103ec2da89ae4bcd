//! `ffsvc-score adapt-backend`.

use std::path::PathBuf;

use clap::ValueEnum;
use ffsvc_cli::{OutputPath, Range, RangeArg, RunFiles, UsageError};
use ffsvc_embeddings::Embeddings;
use ffsvc_scoring::backend::{Adaptation, Backend, Origin};
use tracing::{info, warn};

use crate::score::PROGRAM;
use crate::train_backend::{check_name, write};

const SCALE: Range<f64> = Range::at_least(0.0);

const DETAILS: &str = "\
The mean of the back end becomes that of the embeddings; the PLDA is adapted by
  kaldi        sharing out what the embeddings' covariance has in excess of the model's between its two covariances
               (ivector-adapt-plda: scales 0.3 within, 0.7 between)
  coral        carrying both covariances over so that the total is the embeddings'
  coral-plus   letting each grow by a share of what CORAL would add (scales 0.5 and 0.5 unless given), never shrink

Example:
  ffsvc-score adapt-backend --backend exp/plda.safetensors --embeddings exp/in_domain/embeddings.scp \\
      --method kaldi -o exp/plda_adapted.safetensors";

/// Fit a PLDA back end to unlabelled embeddings of another domain
#[derive(Debug, clap::Args)]
#[command(after_long_help = DETAILS)]
pub(crate) struct AdaptBackend {
    /// The back end to adapt
    #[arg(long, value_name = "FILE")]
    backend: PathBuf,

    /// Embeddings of the other domain
    #[arg(long, value_name = "STORE")]
    embeddings: PathBuf,

    /// The adapted back end, a .safetensors file
    #[arg(short, long, value_name = "FILE")]
    output: OutputPath,

    /// Method
    #[arg(long, value_name = "METHOD", default_value = "kaldi")]
    method: MethodKind,

    /// Share of the excess that goes to the within-speaker covariance
    #[arg(long, value_name = "SCALE", range = SCALE)]
    within_scale: Option<f64>,

    /// Share of the excess that goes to the between-speaker covariance
    #[arg(long, value_name = "SCALE", range = SCALE)]
    between_scale: Option<f64>,

    /// How much of the shift of the mean counts as covariance, for kaldi [default: 1]
    #[arg(long, value_name = "SCALE", range = SCALE)]
    mean_shift_scale: Option<f64>,

    /// Adapt to embeddings of another model than the back end was trained on
    #[arg(long)]
    allow_other_model: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MethodKind {
    Kaldi,
    Coral,
    CoralPlus,
}

impl AdaptBackend {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        check_name(&self.output)?;
        RunFiles::new()
            .input("--backend", [&self.backend])
            .input("--embeddings", [&self.embeddings])
            .regular_output("--output", [&self.output])
            .check(false)?;
        let adaptation = self.adaptation()?;
        let mut backend = Backend::read(&self.backend)?;
        let embeddings = Embeddings::read(&self.embeddings)?;
        info!("{} embeddings to adapt to", embeddings.len());
        let store = self.embeddings.display().to_string();
        let mut remarks = backend.check_origin(&self.backend, &store, &embeddings, self.allow_other_model)?;
        remarks.extend(backend.adapt(&embeddings, adaptation)?.into_iter().map(|remark| remark.of(&store)));
        remarks.iter().for_each(|remark| warn!("{remark}"));
        backend.record(Origin::Adapted {
            program: PROGRAM.to_owned(),
            embeddings: store,
            utterances: embeddings.len(),
            adaptation,
            remarks,
        });
        write(&backend, &self.output)
    }

    fn adaptation(&self) -> Result<Adaptation, UsageError> {
        if self.method == MethodKind::Coral {
            for (option, scale) in
                [("--within-scale", self.within_scale), ("--between-scale", self.between_scale)]
            {
                if scale.is_some() {
                    return Err(UsageError::new(format!(
                        "{option}: --method coral has no scales; coral-plus has"
                    )));
                }
            }
        }
        if self.method != MethodKind::Kaldi && self.mean_shift_scale.is_some() {
            return Err(UsageError::new("--mean-shift-scale is for --method kaldi"));
        }
        let scales = |within: f64, between: f64| {
            (self.within_scale.unwrap_or(within), self.between_scale.unwrap_or(between))
        };
        Ok(match self.method {
            MethodKind::Coral => Adaptation::Coral,
            MethodKind::CoralPlus => {
                let (within_scale, between_scale) = scales(0.5, 0.5);
                Adaptation::CoralPlus { within_scale, between_scale }
            }
            MethodKind::Kaldi => {
                let (within_scale, between_scale) = scales(0.3, 0.7);
                let mean_shift_scale = self.mean_shift_scale.unwrap_or(1.0);
                Adaptation::Kaldi { within_scale, between_scale, mean_shift_scale }
            }
        })
    }
}
