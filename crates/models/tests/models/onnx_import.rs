//! Networks of ONNX files: those of the toolkits' export scripts (`tests/peers/onnx_exports.py`), and our own.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ffsvc_features::{Cmn, FrontEndConfig, Kind, LogMelOptions, WindowType};
use ffsvc_models::toolkits::{ImportOptions, Imported, Toolkit, import_model};
use ffsvc_models::{
    CamPlusPlusConfig, ModelConfig, ModelInfo, NamedTensor, OnnxInput, SpeakerModel, export_onnx,
    named_tensors,
};
use ffsvc_onnx::{Graph, Message as _, Model, Node, Tensor};

use crate::config::networks;
use crate::goldens::{Goldens, relative_error, values_of};

fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/onnx")).join(name)
}

fn import(path: &Path) -> Result<Imported, String> {
    import_model(path, &ImportOptions::default(), &Device::flex()).map_err(|error| error.to_string())
}

/// Imports a model that is not yet a file.
fn import_of(model: &Model) -> Result<Imported, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    import(&path)
}

#[test]
fn the_files_of_the_toolkits_scripts_give_onnx_runtimes_embeddings() {
    for (name, toolkit, window, num_mels) in [
        ("wespeaker_resnet18_torchscript", Toolkit::Wespeaker, WindowType::Hamming, 16),
        ("wespeaker_resnet18_unnamed", Toolkit::Wespeaker, WindowType::Hamming, 16),
        ("wespeaker_ecapa_dynamo", Toolkit::Wespeaker, WindowType::Hamming, 16),
        ("3dspeaker_eres2netv2_torchscript", Toolkit::ThreeDSpeaker, WindowType::Povey, 80),
    ] {
        let Imported { model, info, toolkit: found, .. } = import(&fixture(&format!("{name}.onnx"))).unwrap();
        assert_eq!(found, toolkit, "{name}");
        let Kind::Fbank(fbank) = &info.front_end.kind else { panic!("{name}: {:?}", info.front_end) };
        assert_eq!((fbank.num_mels, fbank.window), (num_mels, window), "{name}");
        let golden = Goldens::read(&fixture(&format!("{name}.safetensors")));
        let feats = golden.tensor::<3>("feats", &Device::flex());
        let embedding = values_of(model.forward(feats.swap_dims(1, 2)));
        let mean = info.embedding_mean.unwrap_or_else(|| vec![0.0; embedding.len()]);
        let ours: Vec<f64> =
            embedding.iter().zip(&mean).map(|(value, mean)| value - f64::from(*mean)).collect();
        let error = relative_error(&ours, golden.values("embs"));
        assert!(error < 1e-5, "{name}: {error}");
        // The script of WeSpeaker subtracts a mean.
        assert_eq!(
            mean.iter().any(|&value| value != 0.0),
            name == "wespeaker_resnet18_torchscript",
            "{name}"
        );
    }
}

fn front_end() -> FrontEndConfig {
    let kind = Kind::LogMel(LogMelOptions { num_mels: 16, ..LogMelOptions::default() });
    FrontEndConfig { kind, cmn: Cmn::None {}, ..FrontEndConfig::default() }
}

fn drawn(config: &ModelConfig) -> SpeakerModel {
    config.init(16, &Device::flex()).unwrap()
}

/// What the graph of our own export reads, as a message.
fn exported(info: &ModelInfo, network: &SpeakerModel, input: OnnxInput) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.onnx");
    export_onnx(&path, info, network, input).unwrap();
    ffsvc_onnx::open(&path).unwrap().unwrap()
}

/// Of the baseline's ECAPA-TDNN, whose first groups are convolved and then not used.
fn is_used(tensor: &NamedTensor) -> bool {
    !(tensor.name.contains("convs.0.") || tensor.name.contains("bns.0."))
}

#[test]
fn our_own_exports_come_back_as_they_were() {
    for config in networks() {
        for input in [OnnxInput::Features, OnnxInput::Samples] {
            let network = drawn(&config);
            let mut info = ModelInfo::new(config.clone(), front_end());
            info.compat_lowpass = true;
            info.embedding_mean = Some(vec![0.5, -1.0, 0.0, 2.0, 3.0]);
            let back = import_of(&exported(&info, &network, input)).unwrap();
            assert!(back.from_metadata && back.config_file.is_none());
            assert_eq!(back.info.model, info.model);
            assert_eq!(back.info.front_end, info.front_end);
            assert_eq!(back.info.embedding_mean, info.embedding_mean);
            assert!(back.info.compat_lowpass);
            let is_baseline = matches!(&config, ModelConfig::EcapaTdnn(config) if config.compat);
            for (ours, theirs) in named_tensors(&network).iter().zip(&named_tensors(&back.model)) {
                assert_eq!(ours.name, theirs.name);
                assert!(ours == theirs || (is_baseline && !is_used(ours)), "{config:?}: {}", ours.name);
            }
        }
    }
}

/// As another program would have written it: without our metadata.
fn foreign(config: &ModelConfig) -> Model {
    let info = ModelInfo::new(config.clone(), front_end());
    let mut model = exported(&info, &drawn(config), OnnxInput::Features);
    model.metadata_props.clear();
    model
}

fn wespeaker_ecapa() -> ModelConfig {
    let is_plain = |config: &ModelConfig| matches!(config, ModelConfig::WespeakerEcapaTdnn(config) if !config.global_context && !config.xi);
    networks().into_iter().find(is_plain).unwrap()
}

#[test]
fn the_order_and_the_names_of_nodes_do_not_matter() {
    let mut model = foreign(&wespeaker_ecapa());
    let expected = named_tensors(&import_of(&model).unwrap().model);
    let graph = model.graph.as_mut().unwrap();
    graph.node.iter_mut().for_each(|node| node.name.clear());
    graph.initializer.reverse();
    // Nodes as late as what reads them allows.
    let mut late = Vec::new();
    let mut wanted = vec![graph.output[0].name.clone()];
    while let Some(name) = wanted.pop() {
        let Some(place) = graph.node.iter().position(|node| node.output.contains(&name)) else { continue };
        let is_read = |node: &Node| node.input.iter().any(|input| graph.node[place].output.contains(input));
        if graph.node.iter().enumerate().any(|(other, node)| other != place && is_read(node)) {
            wanted.insert(0, name);
            continue;
        }
        let node = graph.node.remove(place);
        wanted.extend(node.input.iter().cloned());
        late.push(node);
    }
    late.reverse();
    graph.node = late;
    let found = named_tensors(&import_of(&model).unwrap().model);
    assert!(found == expected);
}

#[test]
fn graphs_that_are_none_of_ours_are_refused_with_what_they_have() {
    let refused = |model: &Model| import_of(model).map(|imported| imported.info).unwrap_err();
    let spoilt = |config: &ModelConfig, spoil: &dyn Fn(&mut Graph)| {
        let mut model = foreign(config);
        spoil(model.graph.as_mut().unwrap());
        refused(&model)
    };
    let ecapa = wespeaker_ecapa();
    let first = |graph: &mut Graph, operator: &str| {
        graph.node.iter().position(|node| node.op_type == operator).unwrap()
    };
    let error = spoilt(&ecapa, &|graph| {
        let place = first(graph, "Relu");
        graph.node[place].op_type = "Tanh".to_owned();
    });
    for part in [
        "its constants have the names of a wespeaker-ecapa-tdnn, but the layer \"BatchNormalization_",
        "is none of the network's; the file is by ffsvc",
        "has the inputs feats [B, T, 16], the outputs embs [B, 5], the operators ",
        " Conv, ",
        " constants, of the shapes [",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let stride = spoilt(&ecapa, &|graph| {
        let place = first(graph, "Conv");
        graph.node[place].attribute.iter_mut().find(|attribute| attribute.name == "strides").unwrap().ints =
            vec![2];
    });
    assert!(stride.contains("the layer \"Conv_1\" (Conv ["), "{stride}");
    let epsilon = spoilt(&ecapa, &|graph| {
        let place = first(graph, "BatchNormalization");
        graph.node[place].attribute[0].f = Some(1e-3);
    });
    assert!(epsilon.contains("0.001 is added to the variance, expected 0.00001"), "{epsilon}");
    let is_simam = |config: &ModelConfig| matches!(config, ModelConfig::SimAmResnet(_));
    let bias = spoilt(&networks().into_iter().find(is_simam).unwrap(), &|graph| {
        let weight = graph.initializer.iter().find(|tensor| tensor.name == "front.conv1.weight").unwrap();
        let (channels, data_type) = (weight.dims[0], weight.data_type);
        let raw_data = vec![63; 4 * channels as usize].into();
        let bias =
            Tensor { dims: vec![channels], data_type, name: "more".into(), raw_data, ..Tensor::default() };
        graph.initializer.push(bias);
        let place = first(graph, "Conv");
        graph.node[place].input.push("more".to_owned());
    });
    assert!(bias.contains("it has a bias"), "{bias}");

    // A network that no toolkit has.
    let of_tdnn = networks().into_iter().find(|config| matches!(config, ModelConfig::Tdnn(_))).unwrap();
    let error = refused(&foreign(&of_tdnn));
    assert!(
        error.contains("its layers are those of no network that is known here; the file is by"),
        "{error}"
    );
    let empty = Model {
        ir_version: 8,
        producer_name: "p".into(),
        graph: Some(Default::default()),
        ..Model::default()
    };
    let error = refused(&empty);
    assert!(error.contains("it has no input; the file is by p, has the inputs none"), "{error}");
    assert!(error.contains("the operators none, and 0 constants, of the shapes none"), "{error}");

    let mut nan = foreign(&ecapa);
    let weights = nan
        .graph
        .as_mut()
        .unwrap()
        .initializer
        .iter_mut()
        .find(|tensor| tensor.name == "linear.bias")
        .unwrap();
    weights.raw_data = vec![0xff; weights.raw_data.len()].into();
    assert!(refused(&nan).contains("linear.bias has NaN at place 0"));
}

#[test]
fn what_is_asked_for_must_be_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.onnx");
    let config = ModelConfig::CamPlusPlus(CamPlusPlusConfig {
        growth_rate: 2,
        bn_size: 2,
        init_channels: 8,
        embedding_size: 5,
    });
    let info = ModelInfo::new(config.clone(), front_end());
    export_onnx(&path, &info, &drawn(&config), OnnxInput::Features).unwrap();
    let with = |change: &dyn Fn(&mut ImportOptions)| {
        let mut options = ImportOptions::default();
        change(&mut options);
        import_model(&path, &options, &Device::flex())
    };
    let error = with(&|options| options.toolkit = Some(Toolkit::Wespeaker)).unwrap_err().to_string();
    assert!(error.contains("a network of 3D-Speaker, not of WeSpeaker"), "{error}");
    let error = with(&|options| options.head = Some((Default::default(), vec!["a".into()]))).unwrap_err();
    assert!(error.to_string().contains("an ONNX file has no head"), "{error}");
    let other = FrontEndConfig { sample_rate: 8000, ..front_end() };
    let found = with(&|options| options.front_end = Some(other.clone())).unwrap();
    assert_eq!((found.info.front_end, found.from_metadata), (other, false));
    let narrow = FrontEndConfig {
        kind: Kind::LogMel(LogMelOptions { num_mels: 24, ..Default::default() }),
        ..front_end()
    };
    let error = with(&|options| options.front_end = Some(narrow.clone())).unwrap_err().to_string();
    assert!(error.contains("xvector.tdnn.linear.weight has the shape"), "{error}");
}
