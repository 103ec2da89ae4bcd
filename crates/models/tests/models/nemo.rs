//! What a checkpoint of NeMo has beside the network, and networks of NeMo that are not known.

use burn::tensor::Device;
use ffsvc_features::{Cmn, FrontEndConfig, Kind, NemoMelOptions, WaveformNorm};
use ffsvc_models::toolkits::{ExportFormat, ImportOptions, Imported, Toolkit, export_model, import_model};
use ffsvc_models::{HeadConfig, NamedTensor, Result, named_tensors};

use crate::goldens::{Goldens, safetensors};

fn tensor(name: &str, shape: &[usize]) -> NamedTensor {
    let data = (0..shape.iter().product()).map(|n: usize| (n as f32 * 0.7).sin()).collect();
    NamedTensor { name: name.to_owned(), shape: shape.to_vec(), data }
}

fn import(tensors: &[NamedTensor], options: &ImportOptions) -> Result<Imported> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), safetensors(tensors)).unwrap();
    import_model(file.path(), options, &Device::flex())
}

/// A checkpoint of `EncDecSpeakerLabelModel` with three speakers.
fn checkpoint() -> Vec<NamedTensor> {
    let mut tensors = Goldens::committed("peer_nemo_titanet").named("model.");
    tensors.push(tensor("preprocessor.featurizer.window", &[400]));
    tensors.push(tensor("preprocessor.featurizer.fb", &[1, 16, 257]));
    tensors.push(tensor("decoder.final.weight", &[3, 6]));
    tensors
}

#[test]
fn the_front_end_is_left_aside_and_the_layer_of_the_speakers_is_the_head() {
    let mut options = ImportOptions::default();
    let speakers = Vec::from_iter(["a", "b", "c"].map(str::to_owned));
    options.head = Some((HeadConfig::default(), speakers));
    let imported = import(&checkpoint(), &options).unwrap();
    let mut outside = imported.outside;
    outside.sort();
    assert_eq!(outside, ["preprocessor.featurizer.fb", "preprocessor.featurizer.window"]);
    let front_end = FrontEndConfig {
        waveform_norm: WaveformNorm::None,
        kind: Kind::NemoMel(NemoMelOptions { num_mels: 16, ..NemoMelOptions::default() }),
        cmn: Cmn::PerFeature {},
        ..FrontEndConfig::default()
    };
    assert_eq!(imported.info.front_end, front_end);
    let head = imported.head.unwrap();
    assert_eq!(named_tensors(&head)[0].data, tensor("", &[3, 6]).data);

    // And back.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model_weights.ckpt");
    let format = ExportFormat::Torch(Toolkit::Nemo);
    export_model(&file, &imported.info.model, &imported.model, Some(&head), format).unwrap();
    let again = import_model(&file, &options, &Device::flex()).unwrap();
    assert_eq!(again.outside, [""; 0]);
    assert!(named_tensors(&again.model) == named_tensors(&imported.model));
    assert!(named_tensors(&again.head.unwrap()) == named_tensors(&head));
}

#[test]
fn other_networks_with_this_pooling_are_not_known() {
    let options = ImportOptions::default();
    let mut two_layers = checkpoint();
    two_layers.push(tensor("decoder.emb_layers.1.1.weight", &[6, 6, 1]));
    let mut ecapa = checkpoint();
    ecapa.iter_mut().for_each(|one| one.name = one.name.replace("encoder.encoder.", "encoder.layers."));
    for tensors in [two_layers, ecapa] {
        let error = import(&tensors, &options).unwrap_err().to_string();
        assert!(error.contains("it has no network that is known here"), "{error}");
    }
}
