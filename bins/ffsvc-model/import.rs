use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use burn::tensor::Device;
use clap::Args;
use ffsvc_cli::RunFiles;
use ffsvc_features::FrontEndConfig;
use ffsvc_models::toolkits::{ImportOptions, Imported, Toolkit, import_model};
use ffsvc_models::{Error, HeadConfig, TensorMismatch, save_model};
use serde::{Deserialize, Serialize};

use crate::output::Output;

/// Make a model file out of another toolkit's checkpoint
///
/// Reads .pt, .pth and .pkl as torch.save writes them (zip and legacy), .safetensors, and the .onnx files of WeSpeaker's and
/// 3D-Speaker's export scripts and of `ffsvc-model export`. Nothing in the file is executed: one that asks for a class other
/// than tensors and containers is refused. Which network it is, and its sizes, follow from the tensors. The front end becomes
/// part of the model: it is that of the toolkit's config.yaml beside the checkpoint or up to two folders above it (WeSpeaker,
/// 3D-Speaker; NeMo: model_config.yaml), or else of the toolkit's recipes. A file of `ffsvc-model export --to onnx` has its own.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Networks: ffsvc: ResNet34StatsPool (and ResNet18), ECAPA_TDNN; wespeaker: ResNet18 to ResNet293 with TSTP, ASTP and MQMHASTP, \
ECAPA_TDNN with ASTP and GLOB, SimAM_ResNet34 and 100, Res2Net, Gemini_DF_ResNet, REPVGG; 3dspeaker: CAMPPlus, ERes2Net, ERes2NetV2, Res2Net; speechbrain: ECAPA_TDNN; redimnet: \
ReDimNetWrap, ReDimNet2Wrap; resemblyzer: VoiceEncoder; nemo: TitaNet (the model_weights.ckpt inside a .nemo file).

Examples:
  ffsvc-model import campplus_cn_en_common.pt -o campplus.safetensors
  ffsvc-model import voxceleb_resnet34_LM.onnx -o resnet34.safetensors
  ffsvc-model import --speakers data/train/spk2utt model_20.pkl -o baseline.safetensors")]
pub(crate) struct Import {
    /// Where the checkpoint comes from [default: the toolkit that has a network of these tensors]
    #[arg(long, value_enum)]
    from: Option<Toolkit>,

    /// Checkpoint to read
    #[arg(value_name = "CHECKPOINT")]
    file: PathBuf,

    #[command(flatten)]
    output: Output,

    /// TOML file with the front end instead of that of the toolkit's recipes: a section `[features]`, the whole configuration of a
    /// training run, or the front end's fields alone
    #[arg(long, value_name = "TOML")]
    front_end: Option<PathBuf>,

    /// Take the head too (as AAM-softmax): a list with the name of each class first on its line, in the order of the
    /// classes, such as spk2utt
    #[arg(long, value_name = "FILE")]
    speakers: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Outcome {
    model: PathBuf,
    toolkit: &'static str,
    network: ffsvc_models::ModelConfig,
    front_end: FrontEndConfig,
    /// Where the front end was taken from.
    front_end_from: String,
    tensors: usize,
    found_under: String,
    classes: usize,
    left_out: usize,
}

impl Import {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let files = RunFiles::new()
            .input("CHECKPOINT", [&self.file])
            .input("--front-end", &self.front_end)
            .input("--speakers", &self.speakers);
        self.output.of(files)?.check(json)?;
        let front_end = self.front_end.as_deref().map(read_front_end).transpose()?;
        let head = match &self.speakers {
            Some(list) => Some((HeadConfig::default(), read_names(list)?)),
            None => None,
        };
        let mut options = ImportOptions::default();
        (options.toolkit, options.front_end, options.head) = (self.from, front_end, head);
        let imported = match import_model(&self.file, &options, &Device::flex()) {
            Err(Error::Tensors { mismatch }) => return refuse(&self.file, &mismatch),
            result => result?,
        };
        let Imported {
            model, head, info, toolkit, config_file, from_metadata, prefix, taken, outside, ..
        } = imported;
        save_model(self.output.path(), &model, head.as_ref(), &info)?;
        let outcome = Outcome {
            model: self.output.path().to_path_buf(),
            toolkit: toolkit.name(),
            network: info.model,
            front_end_from: match self.front_end.as_ref().or(config_file.as_ref()) {
                Some(file) => format!("of {}", file.display()),
                None if from_metadata => "of the file's metadata".to_owned(),
                None => format!("of the recipes of {} (--front-end names another)", toolkit.name()),
            },
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
        println!("toolkit\t{}", outcome.toolkit);
        println!("network\t{}", toml::to_string(&outcome.network)?.trim_end().replace('\n', ", "));
        let place = match outcome.found_under.trim_end_matches('.') {
            "" => String::new(),
            under => format!(", under {under}"),
        };
        println!("tensors\t{}{place}", outcome.tensors);
        println!("front end\t{}: {}", outcome.front_end_from, serde_json::to_string(&outcome.front_end)?);
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

/// The table of what does not fit, with the first names of each kind.
fn refuse(file: &Path, mismatch: &TensorMismatch) -> anyhow::Result<()> {
    let lists = [
        ("missing", &mismatch.missing),
        ("left over", &mismatch.surplus),
        ("other shape", &mismatch.ill_shaped),
    ];
    for (what, names) in lists {
        for name in names.iter().take(TensorMismatch::SHOWN) {
            println!("{what}\t{name}");
        }
        if let Some(more) = names.len().checked_sub(TensorMismatch::SHOWN).filter(|more| *more > 0) {
            println!("{what}\tand {more} more");
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

/// A configuration with a section `[features]`, whatever else it has.
#[derive(Deserialize)]
struct WithFeatures {
    features: FrontEndConfig,
}

fn read_front_end(path: &Path) -> anyhow::Result<FrontEndConfig> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let refused =
        || format!("{}: no front end: expected a section [features], or its fields alone", path.display());
    let table: toml::Table = toml::from_str(&text).with_context(refused)?;
    if table.contains_key("features") {
        let WithFeatures { features } = toml::from_str(&text).with_context(refused)?;
        return Ok(features);
    }
    toml::from_str(&text).with_context(refused)
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
