use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use ffsvc_features::FrontEndConfig;
use ffsvc_models::toolkits::{ImportOptions, Imported, Toolkit, import_model};
use ffsvc_models::{Error, HeadConfig, TensorMismatch, save_model};
use serde::Serialize;

/// Make a model file out of another toolkit's checkpoint
///
/// Reads .pt, .pth and .pkl as torch.save writes them (zip and legacy) and .safetensors. Nothing in the file is executed: one
/// that asks for a class other than tensors and containers is refused. Which network it is, and its sizes, follow from the
/// tensors; the front end is that of the toolkit's recipes and becomes part of the model.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Networks: ffsvc: ResNet34StatsPool (and ResNet18), ECAPA_TDNN; wespeaker: ResNet18 to ResNet293 with TSTP, ECAPA_TDNN with ASTP \
and GLOB; 3dspeaker: CAMPPlus; speechbrain: ECAPA_TDNN.

Examples:
  ffsvc-model import --from 3dspeaker campplus_cn_en_common.pt campplus.safetensors
  ffsvc-model import --from ffsvc --speakers data/train/spk2utt model_20.pkl baseline.safetensors")]
pub(crate) struct Import {
    /// Where the checkpoint comes from
    #[arg(long, value_enum)]
    from: Source,

    /// Checkpoint to read
    file: PathBuf,

    /// Model file to write
    out: PathBuf,

    /// TOML file with the front end, as the section `features` of a configuration, instead of that of the toolkit's recipes
    #[arg(long, value_name = "TOML")]
    front_end: Option<PathBuf>,

    /// Take the head too (as AAM-softmax): a list with the name of each class first on its line, in the order of the
    /// classes, such as spk2utt
    #[arg(long, value_name = "LIST")]
    speakers: Option<PathBuf>,
}

/// A toolkit by the name that it has on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// The FFSVC2022 baseline
    Ffsvc,
    /// WeSpeaker
    Wespeaker,
    /// 3D-Speaker
    #[value(name = "3dspeaker")]
    ThreeDSpeaker,
    /// SpeechBrain
    Speechbrain,
}

impl Source {
    pub(crate) fn toolkit(self) -> Toolkit {
        match self {
            Self::Ffsvc => Toolkit::Ffsvc,
            Self::Wespeaker => Toolkit::Wespeaker,
            Self::ThreeDSpeaker => Toolkit::ThreeDSpeaker,
            Self::Speechbrain => Toolkit::SpeechBrain,
        }
    }
}

#[derive(Debug, Serialize)]
struct Outcome {
    model: PathBuf,
    network: ffsvc_models::ModelConfig,
    front_end: FrontEndConfig,
    tensors: usize,
    found_under: String,
    classes: usize,
    left_out: usize,
}

impl Import {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let front_end = self.front_end.as_deref().map(read_front_end).transpose()?;
        let head = match &self.speakers {
            Some(list) => Some((HeadConfig::default(), read_names(list)?)),
            None => None,
        };
        let options = ImportOptions { front_end, head };
        let imported = match import_model(&self.file, self.from.toolkit(), &options, &Device::flex()) {
            Err(Error::Tensors { mismatch }) => return refuse(&self.file, &mismatch),
            result => result?,
        };
        let Imported { model, head, info, prefix, taken, outside } = imported;
        save_model(&self.out, &model, head.as_ref(), &info)?;
        let outcome = Outcome {
            model: self.out,
            network: info.model,
            front_end: info.front_end,
            tensors: taken,
            found_under: prefix,
            classes: info.speakers.len(),
            left_out: outside.len(),
        };
        if json {
            return ffsvc_cli::print_json(&outcome);
        }
        println!("model\t{}", outcome.model.display());
        println!("network\t{}", toml::to_string(&outcome.network)?.trim_end().replace('\n', ", "));
        let place = match outcome.found_under.trim_end_matches('.') {
            "" => String::new(),
            under => format!(", under {under}"),
        };
        println!("tensors\t{}{place}", outcome.tensors);
        println!("classes\t{}", outcome.classes);
        if let Some(example) = outside.first() {
            println!(
                "left out\t{} tensors that are no part of the network, {example} for one",
                outside.len()
            );
        }
        Ok(())
    }
}

/// The table of what does not fit.
fn refuse(file: &Path, mismatch: &TensorMismatch) -> anyhow::Result<()> {
    let lists = [
        ("missing", &mismatch.missing),
        ("left over", &mismatch.surplus),
        ("other shape", &mismatch.ill_shaped),
    ];
    for (what, names) in lists {
        for name in names {
            println!("{what}\t{name}");
        }
    }
    bail!(
        "{}: {} tensors are missing, {} left over and {} of another shape; the network was not imported",
        file.display(),
        mismatch.missing.len(),
        mismatch.surplus.len(),
        mismatch.ill_shaped.len()
    )
}

fn read_front_end(path: &Path) -> anyhow::Result<FrontEndConfig> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{}: not a front end", path.display()))
}

fn read_names(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut names = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let name = line.split_whitespace().next();
        names.push(name.with_context(|| format!("{}:{}: no name", path.display(), number + 1))?.to_owned());
    }
    if names.is_empty() {
        bail!("{}: it has no names; expected one for each class", path.display());
    }
    Ok(names)
}
