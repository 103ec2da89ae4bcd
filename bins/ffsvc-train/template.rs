//! `ffsvc-train template`: configurations to start from, and every key there is.

use clap::{Parser, ValueEnum};
use ffsvc_cli::Logging;
use ffsvc_trainer::ExperimentConfig;

/// Print a configuration to start from, or all keys with their meanings
///
/// Paths in a template are examples. --set changes single values.
#[derive(Debug, Parser)]
#[command(
    name = "template",
    after_help = "\
Examples:
  ffsvc-train template small > my.toml
  ffsvc-train my.toml exp/my --set data.train=data/my/train
  ffsvc-train template all-keys | less"
)]
pub(crate) struct Args {
    /// Which one
    #[arg(value_name = "NAME")]
    template: Template,

    #[command(flatten)]
    logging: Logging,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Template {
    /// A ResNet18 with 8 channels that trains in a minute on a CPU: for a first try
    Small,
    /// The FFSVC2022 baseline's ResNet34
    Resnet34,
    /// The baseline's ECAPA-TDNN with 1024 channels
    Ecapa,
    /// Fine-tune on far-field speech with labels
    FineTune,
    /// Adapt a trained network to rooms and noise without labels
    FarField,
    /// Every section and key with its meaning, range and default
    AllKeys,
}

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        self.logging.init();
        match self.template {
            Template::Small => print!("{}", include_str!("../../recipes/mini/mini.toml")),
            Template::Resnet34 => print!("{}", include_str!("../../configs/resnet34.toml")),
            Template::Ecapa => print!("{}", include_str!("../../configs/ecapa1024.toml")),
            Template::FineTune => print!("{}", include_str!("../../configs/fine-tune-task1.toml")),
            Template::FarField => print!("{}", include_str!("../../recipes/far-field/adapt.toml")),
            Template::AllKeys => print!("{}", all_keys()),
        }
        Ok(())
    }
}

/// Every key, from the documentation of the configuration's structs.
fn all_keys() -> String {
    let schema = schemars::schema_for!(ExperimentConfig);
    let ranges = ExperimentConfig::ranges();
    ffsvc_cli::config_reference(schema.as_value(), &|key| ranges.get(key).cloned())
}
