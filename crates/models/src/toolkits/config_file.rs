//! The front end that a toolkit's own configuration file names.

use std::path::{Path, PathBuf};

use ffsvc_features::{Cmn, FrontEndConfig, Kind, NemoMel, NemoMelOptions};
use serde_json::{Value, json};

use super::Toolkit;
use crate::error::{Error, Result};

/// Folders above the checkpoint in which a configuration is looked for: WeSpeaker has `EXP/models/avg_model.pt` and
/// `EXP/config.yaml`, 3D-Speaker `EXP/models/CKPT/embedding_model.ckpt`.
const FOLDERS: usize = 3;

/// The `config.yaml` of the run that made a checkpoint, in a `.nemo` file `model_config.yaml`: in its folder, or in the next one
/// above that has one.
pub(super) fn beside(checkpoint: &Path, toolkit: Toolkit) -> Option<PathBuf> {
    let name = if toolkit == Toolkit::Nemo { "model_config.yaml" } else { "config.yaml" };
    let folders = checkpoint.ancestors().skip(1).take(FOLDERS);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Puts what the configuration in `path` says over the front end of the toolkit's recipes. `None` if it says nothing: it is of
/// another kind, or of a toolkit without such files.
///
/// # Errors
/// [`Error::ToolkitConfig`] if the file is no YAML, a value is not of its kind, or the front end is one that is not here.
pub(super) fn front_end(toolkit: Toolkit, path: &Path) -> Result<Option<FrontEndConfig>> {
    let refused = |reason: String| Error::ToolkitConfig { path: path.to_path_buf(), reason };
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    let file =
        || serde_saphyr::from_str::<Value>(&text).map_err(|error| refused(format!("not YAML: {error}")));
    let mut front_end = toolkit.front_end();
    let is_known = match toolkit {
        Toolkit::Wespeaker => wespeaker(&file()?, &mut front_end).map_err(refused)?,
        Toolkit::ThreeDSpeaker => three_d_speaker(&file()?, &mut front_end).map_err(refused)?,
        Toolkit::Nemo => nemo(&file()?, &mut front_end).map_err(refused)?,
        Toolkit::Ffsvc | Toolkit::SpeechBrain | Toolkit::ReDimNet | Toolkit::Resemblyzer => false,
    };
    Ok(is_known.then_some(front_end))
}

/// `dataset_args` of WeSpeaker's `config.yaml`, as `wespeaker/dataset/dataset.py` reads it.
fn wespeaker(config: &Value, front_end: &mut FrontEndConfig) -> std::result::Result<bool, String> {
    let Some(data) = config.get("dataset_args") else { return Ok(false) };
    let kind = data.get("frontend").map_or(Some("fbank"), Value::as_str);
    if kind != Some("fbank") {
        return Err(format!("dataset_args.frontend is {}, and only fbank is known", data["frontend"]));
    }
    set(data, "resample_rate", &mut front_end.sample_rate)?;
    if let (Some(of_file), Kind::Fbank(options)) = (data.get("fbank_args"), &mut front_end.kind) {
        set(of_file, "num_mel_bins", &mut options.num_mels)?;
        set(of_file, "frame_length", &mut options.frame_length_ms)?;
        set(of_file, "frame_shift", &mut options.frame_shift_ms)?;
    }
    let (mut cmvn, mut mean, mut variance) = (true, true, false);
    set(data, "cmvn", &mut cmvn)?;
    if let Some(of_file) = data.get("cmvn_args") {
        set(of_file, "norm_mean", &mut mean)?;
        set(of_file, "norm_var", &mut variance)?;
    }
    if variance && cmvn {
        return Err("dataset_args.cmvn_args.norm_var is true: division by the deviation is not known".into());
    }
    front_end.cmn = if cmvn && mean { Cmn::default() } else { Cmn::None {} };
    Ok(true)
}

/// 3D-Speaker's `config.yaml`: `fbank_dim`, `sample_rate` and the arguments of `speakerlab.process.processor.FBank`.
fn three_d_speaker(config: &Value, front_end: &mut FrontEndConfig) -> std::result::Result<bool, String> {
    let Some(extractor) = config.get("feature_extractor") else { return Ok(false) };
    let class = extractor.get("obj").and_then(Value::as_str).unwrap_or("nothing");
    if class != "speakerlab.process.processor.FBank" {
        return Err(format!(
            "feature_extractor.obj is {class}, and only speakerlab.process.processor.FBank is known"
        ));
    }
    set(config, "sample_rate", &mut front_end.sample_rate)?;
    if let Kind::Fbank(options) = &mut front_end.kind {
        set(config, "fbank_dim", &mut options.num_mels)?;
    }
    let mut mean = true;
    if let Some(arguments) = extractor.get("args") {
        set(arguments, "mean_nor", &mut mean)?;
    }
    front_end.cmn = if mean { Cmn::default() } else { Cmn::None {} };
    Ok(true)
}

/// `preprocessor` of NeMo's `model_config.yaml`: the arguments of `AudioToMelSpectrogramPreprocessor`, with its defaults.
fn nemo(config: &Value, front_end: &mut FrontEndConfig) -> std::result::Result<bool, String> {
    let Some(arguments) = config.get("preprocessor") else { return Ok(false) };
    let class = arguments.get("_target_").and_then(Value::as_str).unwrap_or("nothing");
    if class.rsplit('.').next() != Some("AudioToMelSpectrogramPreprocessor") {
        return Err(format!(
            "preprocessor._target_ is {class}, and only AudioToMelSpectrogramPreprocessor is known"
        ));
    }
    let same = |found: &Value, known: &Value| {
        let numbers = found.as_f64().zip(known.as_f64());
        found == known || numbers.is_some_and(|(found, known)| (found - known).abs() < 1e-6 * known.abs())
    };
    for (key, known) in [
        ("window", json!("hann")),
        ("preemph", json!(NemoMel::PREEMPHASIS)),
        ("lowfreq", json!(0)),
        ("highfreq", Value::Null),
        ("log", json!(true)),
        ("log_zero_guard_type", json!("add")),
        ("log_zero_guard_value", json!(NemoMel::LOG_OFFSET)),
        ("mag_power", json!(2.0)),
        ("mel_norm", json!("slaney")),
        ("frame_splicing", json!(1)),
        ("exact_pad", json!(false)),
        ("n_window_size", Value::Null),
        ("n_window_stride", Value::Null),
    ] {
        if let Some(found) = arguments.get(key).filter(|found| !same(found, &known)) {
            return Err(format!("preprocessor.{key} is {found}, and only {known} is known"));
        }
    }
    let (mut num_mels, mut window, mut shift, mut n_fft) = (64, 0.02, 0.01, None);
    set(arguments, "sample_rate", &mut front_end.sample_rate)?;
    set(arguments, "features", &mut num_mels)?;
    set(arguments, "window_size", &mut window)?;
    set(arguments, "window_stride", &mut shift)?;
    set(arguments, "n_fft", &mut n_fft)?;
    // As NeMo's int(): cut off.
    let in_samples = |seconds: f64| (seconds * f64::from(front_end.sample_rate)) as usize;
    let (window_length, hop_length) = (in_samples(window), in_samples(shift));
    let n_fft = n_fft.or_else(|| window_length.checked_next_power_of_two()).unwrap_or(usize::MAX);
    front_end.kind = Kind::NemoMel(NemoMelOptions { num_mels, n_fft, window_length, hop_length });
    front_end.cmn = match arguments.get("normalize") {
        None => Cmn::PerFeature {},
        Some(Value::String(kind)) if kind == "per_feature" => Cmn::PerFeature {},
        Some(Value::Null | Value::Bool(false)) => Cmn::None {},
        Some(other) => {
            return Err(format!("preprocessor.normalize is {other}, and only per_feature is known"));
        }
    };
    Ok(true)
}

/// Replaces a value by the one of this key, if there is one.
fn set<T: serde::de::DeserializeOwned>(
    section: &Value,
    key: &str,
    value: &mut T,
) -> std::result::Result<(), String> {
    if let Some(found) = section.get(key) {
        *value =
            serde_json::from_value(found.clone()).map_err(|error| format!("{key} is {found}: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `wespeaker/bin/train.py` saves it for examples/voxceleb/v2/conf/resnet.yaml.
    const WESPEAKER: &str = "\
data_type: shard
dataset_args:
  aug_prob: 0.6
  cmvn: true
  cmvn_args:
    norm_mean: true
    norm_var: false
  fbank_args:
    dither: 1.0
    frame_length: 25
    frame_shift: 10
    num_mel_bins: 64
  frontend: fbank
  resample_rate: 8000
model: ResNet34
model_args:
  embed_dim: 256
  feat_dim: 64
optimizer_args: {lr: !!float 1.0e-4, nesterov: true}
";

    /// egs/voxceleb/sv-cam++/conf/cam++.yaml.
    const THREE_D_SPEAKER: &str = "\
num_epoch: 60
sample_rate: 16000
fbank_dim: 72
wav_reader:
  obj: speakerlab.process.processor.WavReader
  args: {duration: <wav_len>, sample_rate: <sample_rate>, speed_pertub: <speed_pertub>}
feature_extractor:
  obj: speakerlab.process.processor.FBank
  args:
    n_mels: <fbank_dim>
    sample_rate: <sample_rate>
    mean_nor: false
";

    /// examples/speaker_tasks/recognition/conf/titanet-large.yaml, for 8 kHz and other sizes.
    const NEMO: &str = "\
sample_rate: 8000
train_ds: {manifest_filepath: ???}
preprocessor:
  _target_: nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor
  normalize: per_feature
  window_size: 0.025
  sample_rate: 8000
  window_stride: 0.01
  window: hann
  features: 64
  n_fft: 512
  frame_splicing: 1
  dither: 1.0e-05
encoder: {feat_in: 64}
";

    fn read(toolkit: Toolkit, text: &str) -> Result<Option<FrontEndConfig>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        front_end(toolkit, file.path())
    }

    #[test]
    fn front_ends_are_those_of_the_files() {
        let found = read(Toolkit::Wespeaker, WESPEAKER).unwrap().unwrap();
        let mut expected = Toolkit::Wespeaker.front_end();
        expected.sample_rate = 8000;
        let Kind::Fbank(options) = &mut expected.kind else { panic!("{expected:?}") };
        options.num_mels = 64;
        assert_eq!(found, expected);

        let found = read(Toolkit::ThreeDSpeaker, THREE_D_SPEAKER).unwrap().unwrap();
        let mut expected = Toolkit::ThreeDSpeaker.front_end();
        expected.cmn = Cmn::None {};
        let Kind::Fbank(options) = &mut expected.kind else { panic!("{expected:?}") };
        options.num_mels = 72;
        assert_eq!(found, expected);

        let found = read(Toolkit::Nemo, NEMO).unwrap().unwrap();
        let sizes = NemoMelOptions { num_mels: 64, n_fft: 512, window_length: 200, hop_length: 80 };
        let expected =
            FrontEndConfig { sample_rate: 8000, kind: Kind::NemoMel(sizes), ..Toolkit::Nemo.front_end() };
        assert_eq!(found, expected);
        // NeMo's own defaults: 20 ms, and a transform of the next power of two.
        let few = NEMO.replace("  window_size: 0.025\n", "").replace("  n_fft: 512\n", "  preemph: 0.97\n");
        let Kind::NemoMel(found) = read(Toolkit::Nemo, &few).unwrap().unwrap().kind else { panic!("{few}") };
        assert_eq!((found.window_length, found.n_fft), (160, 256));
        let bare = NEMO.replace("normalize: per_feature", "normalize: null");
        assert_eq!(read(Toolkit::Nemo, &bare).unwrap().unwrap().cmn, Cmn::None {});

        assert_eq!(read(Toolkit::Wespeaker, "a: 1").unwrap(), None, "another program's file");
        assert_eq!(read(Toolkit::SpeechBrain, "}{").unwrap(), None);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let refused = |toolkit, text: &str| read(toolkit, text).unwrap_err().to_string();
        let other = WESPEAKER.replace("frontend: fbank", "frontend: s3prl");
        assert!(refused(Toolkit::Wespeaker, &other).contains("s3prl"));
        let variance = WESPEAKER.replace("norm_var: false", "norm_var: true");
        assert!(refused(Toolkit::Wespeaker, &variance).contains("norm_var"));
        let bands = WESPEAKER.replace("num_mel_bins: 64", "num_mel_bins: many");
        assert!(refused(Toolkit::Wespeaker, &bands).contains("num_mel_bins is \"many\""));
        assert!(refused(Toolkit::Wespeaker, "a: [").contains("not YAML"));
        let other = THREE_D_SPEAKER.replace("processor.FBank", "processor.Other");
        assert!(refused(Toolkit::ThreeDSpeaker, &other).contains("processor.Other"));
        for (here, there, reason) in [
            ("window: hann", "window: hamming", "preprocessor.window is \"hamming\", and only \"hann\""),
            ("per_feature", "all_features", "normalize is \"all_features\""),
            ("frame_splicing: 1", "frame_splicing: 2", "frame_splicing is 2"),
            ("dither: 1.0e-05", "preemph: 0.95", "preemph is 0.95"),
            ("features: 64", "features: ${n_mels}", "features is \"${n_mels}\""),
            ("ToMelSpectrogram", "ToMFCC", "AudioToMFCCPreprocessor, and only"),
        ] {
            let said = refused(Toolkit::Nemo, &NEMO.replace(here, there));
            assert!(said.contains(reason), "{said}");
        }
    }

    #[test]
    fn files_are_found_beside_and_above_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path().join("exp/models");
        std::fs::create_dir_all(&models).unwrap();
        let checkpoint = models.join("avg_model.pt");
        let beside = |toolkit| beside(&checkpoint, toolkit);
        assert_eq!(beside(Toolkit::Wespeaker), None);
        let above = folder.path().join("exp/config.yaml");
        std::fs::write(&above, "").unwrap();
        assert_eq!(beside(Toolkit::Wespeaker).as_ref(), Some(&above));
        std::fs::write(models.join("config.yaml"), "").unwrap();
        assert_eq!(beside(Toolkit::Wespeaker), Some(models.join("config.yaml")));
        assert_eq!(beside(Toolkit::Nemo), None);
        std::fs::write(models.join("model_config.yaml"), "").unwrap();
        assert_eq!(beside(Toolkit::Nemo), Some(models.join("model_config.yaml")));
    }
}
