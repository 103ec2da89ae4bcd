//! What an ONNX file says about its network.

use ffsvc_features::{Cmn, FbankOptions, FrontEndConfig, Kind, WaveformNorm};

use crate::model::ModelConfig;
use crate::model_info::ModelInfo;
use crate::toolkits::Toolkit;

/// The entries of the metadata; `min_samples` are those of a graph that reads samples. sherpa-onnx reads the entries from `framework` to `feature_normalize_type` and computes the features
/// itself. `framework` is a toolkit that it knows only where its features are near those of the front end.
pub(super) fn metadata(info: &ModelInfo, min_samples: Option<usize>) -> Vec<(&'static str, String)> {
    let front_end = &info.front_end;
    // An int16 scale is sherpa-onnx's samples that are not normalised.
    let normalize_samples = match &front_end.kind {
        _ if min_samples.is_some() => true,
        Kind::Fbank(options) => !options.int16_scale,
        Kind::LogMel(_) | Kind::SpeechBrainFbank(_) | Kind::LibrosaMel(_) | Kind::NemoMel(_) => true,
    };
    let json = |value: Result<String, serde_json::Error>| value.unwrap_or_default();
    let mut entries = vec![
        ("framework", if min_samples.is_some() { OWN } else { framework(info) }.to_owned()),
        // The model file does not say it, and sherpa-onnx refuses a file without this entry.
        ("language", "unknown".to_owned()),
        ("sample_rate", front_end.sample_rate.to_string()),
        ("output_dim", info.model.embedding_size().to_string()),
        ("normalize_samples", i32::from(normalize_samples).to_string()),
    ];
    let mean_alone = matches!(&front_end.cmn, Cmn::Utterance(mean) if !mean.normalize_variance);
    if mean_alone && min_samples.is_none() {
        entries.push(("feature_normalize_type", "global-mean".to_owned()));
    }
    if let ModelConfig::Ge2eLstm(network) = &info.model {
        entries.push(("windows", json(serde_json::to_string(&network.windows))));
    }
    entries.extend([
        ("min_frames", info.model.min_frames().to_string()),
        ("front_end", json(serde_json::to_string(front_end))),
        ("network", json(serde_json::to_string(&info.model))),
        ("compat_lowpass", i32::from(info.compat_lowpass).to_string()),
    ]);
    if let Some(samples) = min_samples {
        entries.push(("min_samples", samples.to_string()));
    }
    entries
}

/// A framework that sherpa-onnx refuses.
const OWN: &str = "ffsvc";

/// The name under which sherpa-onnx takes the network, or `ffsvc`, which it refuses.
fn framework(info: &ModelInfo) -> &'static str {
    match (has_features_of_sherpa(&info.front_end), Toolkit::of(&info.model)) {
        (false, _) => OWN,
        (true, Toolkit::ThreeDSpeaker) => "3d-speaker",
        (true, _) => "wespeaker",
    }
}

/// Whether sherpa-onnx computes these features, but for window, edges and the two ends of the mel axis: those it has for all
/// speaker networks alike (`sherpa-onnx/csrc/features.h`), also for WeSpeaker's, which were trained with others.
fn has_features_of_sherpa(front_end: &FrontEndConfig) -> bool {
    let Kind::Fbank(options) = &front_end.kind else { return false };
    let mean_alone = match &front_end.cmn {
        Cmn::None {} => true,
        Cmn::Utterance(mean) => !mean.normalize_variance,
        Cmn::Sliding(_) | Cmn::PerFeature {} => false,
    };
    let as_sherpa = FbankOptions {
        window: options.window,
        int16_scale: options.int16_scale,
        dither: options.dither,
        dither_seed: options.dither_seed,
        snip_edges: options.snip_edges,
        low_frequency_hz: options.low_frequency_hz,
        high_frequency_hz: options.high_frequency_hz,
        raw_energy: options.raw_energy,
        energy_floor: options.energy_floor,
        ..FbankOptions::default()
    };
    *options == as_sherpa && mean_alone && front_end.waveform_norm == WaveformNorm::None
}
