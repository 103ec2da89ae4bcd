//! Every configuration that ships with the project can be run: it parses, its values are in range, and its
//! network can be built.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use assert_cmd::Command;
use burn::tensor::Device;
use ffsvc_features::FrontEnd;
use ffsvc_models::{HeadConfig, ModelConfig, ModelInfo, load_model, named_tensors};
use ffsvc_trainer::{
    BatchNormMode, DryRun, Event, ExperimentConfig, HeadInit, InitFrom, OptimizerKind, Run, Schedule,
};

/// The CPU backend has one generator of random numbers for the whole process. Between a run's seed and its draws another test
/// must not draw.
fn drawing_alone() -> MutexGuard<'static, ()> {
    static DRAWING: Mutex<()> = Mutex::new(());
    DRAWING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shipped() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["configs", "recipes/mini", "recipes/speechocean762", "recipes/far-field"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let is_toml = path.extension().is_some_and(|extension| extension == "toml");
            // The others say how a test set is made, or how it is scored.
            if is_toml && std::fs::read_to_string(&path).unwrap().contains("[head]") {
                files.push(path);
            }
        }
    }
    files
}

/// A shipped configuration. One that leaves [model] and [features] to the model of `--init-from` is for CAM++ as it is imported.
fn read(path: &Path) -> ExperimentConfig {
    let imported: toml::Table = toml::from_str(
        "model.architecture = 'cam-plus-plus'
         features = { waveform_norm = 'none', kind = { type = 'fbank', int16_scale = false } }",
    )
    .unwrap();
    let mut table: toml::Table = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    if !table.contains_key("model") {
        assert!(!table.contains_key("features"), "{}: [features] without [model]", path.display());
        table.extend(imported);
    }
    table.try_into().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn try_out(config: &ExperimentConfig) -> Result<(), Box<dyn std::error::Error>> {
    config.check()?;
    config.optimizer.check()?;
    config.head.validate()?;
    Schedule::new(&config.schedule, config.optimizer.learning_rate, 10, config.train.epochs)?;
    let front_end = FrontEnd::new(&config.features)?;
    config.model.init(front_end.num_mels(), &Device::flex())?;
    Ok(())
}

#[test]
fn every_shipped_configuration_is_valid() {
    let _alone = drawing_alone();
    let files = shipped();
    assert!(files.len() >= 12, "{files:?}");
    assert!(files.iter().any(|path| path.ends_with("fine-tune-campplus.toml")), "{files:?}");
    for path in files {
        let config = read(&path);
        if let Err(error) = try_out(&config) {
            panic!("{}: {error}", path.display());
        }
    }
}

#[test]
fn the_resolved_configuration_reads_back_as_itself() {
    for path in shipped() {
        let config = read(&path);
        let resolved = config.to_toml().unwrap();
        let back: ExperimentConfig = toml::from_str(&resolved).unwrap();
        assert_eq!(back, config, "{}:\n{resolved}", path.display());
        assert!(config.differences(&back).unwrap().is_empty());
    }
}

/// A corpus of a second each of 9 training and 3 other speakers, with absolute paths, and lists of sounds.
fn corpus(folder: &Path) {
    let mut synth = Command::cargo_bin("ffsvc-data").unwrap();
    synth.current_dir(folder).args([
        "synth",
        "data",
        "--train-speakers",
        "9",
        "--train-utterances",
        "2",
        "-q",
    ]);
    synth.args(["--dev-speakers", "3", "--dev-utterances", "2", "--seconds", "0.8,1.2"]).assert().success();
    for name in ["dev", "train"] {
        let list = folder.join("data").join(name).join("wav.scp");
        let relative = std::fs::read_to_string(&list).unwrap();
        let absolute = relative.replace(" data/", &format!(" {}/data/", folder.display()));
        let sounds: Vec<&str> = absolute.lines().take(3).filter_map(|line| line.split(' ').nth(1)).collect();
        std::fs::write(folder.join("sounds"), sounds.join("\n")).unwrap();
        std::fs::write(list, absolute).unwrap();
    }
}

/// `config` for the corpus in `folder`, with a small network and small batches.
fn shrunk(mut config: ExperimentConfig, folder: &Path) -> ExperimentConfig {
    config.data.train = folder.join("data/train").into();
    (config.train.batch_size, config.train.accumulate, config.train.max_frames) = (3, 1, 40);
    match &mut config.model {
        ModelConfig::Resnet(resnet) => (resnet.in_planes, resnet.embedding_size) = (2, 8),
        ModelConfig::EcapaTdnn(ecapa) => (ecapa.hidden_dim, ecapa.bottleneck) = (16, 4),
        ModelConfig::Tdnn(tdnn) => (tdnn.hidden_dim, tdnn.stats_dim) = (8, 8),
        ModelConfig::CamPlusPlus(cam) => (cam.growth_rate, cam.init_channels) = (4, 8),
        ModelConfig::WespeakerEcapaTdnn(ecapa) => (ecapa.channels, ecapa.aggregated) = (16, 24),
        ModelConfig::SpeechBrainEcapaTdnn(ecapa) => (ecapa.channels, ecapa.aggregated) = (16, 24),
        ModelConfig::ERes2Net(net) => (net.in_planes, net.blocks) = (2, [1, 1, 1, 1]),
        ModelConfig::ERes2NetV2(net) => (net.in_planes, net.blocks) = (4, [1, 1, 1, 1]),
        ModelConfig::ReDimNet(net) => {
            net.stages.truncate(2);
            net.channels = 4;
        }
        ModelConfig::ReDimNet2(net) => net.stages.truncate(2),
        ModelConfig::RepVgg(net) => (net.widths, net.blocks) = ([2, 2, 4, 4], [1, 1, 1, 1]),
        ModelConfig::Ge2eLstm(net) => (net.hidden, net.embedding_size) = (8, 8),
        ModelConfig::TitaNet(net) => (net.channels, net.aggregated) = (16, 24),
        ModelConfig::Res2Net(net) => (net.in_planes, net.blocks) = (2, [1, 1, 1, 1]),
        ModelConfig::GeminiDfResnet(net) => (net.in_planes, net.depth) = (2, 60),
        ModelConfig::SimAmResnet(net) => (net.in_planes, net.embedding_size) = (2, 8),
    }
    let augment = &mut config.augment;
    let lists =
        [&mut augment.additive.noise.list, &mut augment.additive.music.list, &mut augment.reverb.list];
    for list in lists.into_iter().flatten() {
        *list = folder.join("sounds");
    }
    if let Some(rooms) = &mut augment.reverb.simulated {
        rooms.rooms = 3;
    }
    if let Some(validation) = &mut config.validation {
        validation.data = Some(folder.join("data/dev"));
        validation.trials = Some(folder.join("data/dev/trials"));
    }
    config
}

/// A configuration with a teacher, or with statistics that stay, goes on from a model.
fn init(config: &ExperimentConfig, folder: &Path) -> InitFrom {
    if config.teacher.is_none() && config.train.batch_norm == BatchNormMode::Batch {
        return InitFrom::Random;
    }
    let num_mels = FrontEnd::new(&config.features).unwrap().num_mels();
    let network = config.model.init(num_mels, &Device::flex()).unwrap();
    let path = folder.join("start.safetensors");
    let info = ModelInfo::new(config.model.clone(), config.features.clone());
    ffsvc_models::save_model(&path, &network, None, &info).unwrap();
    InitFrom::Model { path, head: HeadInit::New }
}

/// What `ffsvc-train --dry-run` does: plan, data, one step.
#[test]
fn every_shipped_configuration_passes_a_dry_run() {
    let _alone = drawing_alone();
    let folder = tempfile::tempdir().unwrap();
    corpus(folder.path());
    for path in shipped() {
        let config = read(&path);
        let speeds = config.augment.speed.variants();
        let epochs = config.train.epochs;
        let config = shrunk(config, folder.path());
        let plan = DryRun::new(&config, &init(&config, folder.path()), &[Device::flex()])
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let classes = if config.head.has_classes() { 9 * speeds } else { 0 };
        assert_eq!((plan.speakers, plan.classes), (9, classes), "{}", path.display());
        assert_eq!((plan.epochs, plan.steps_per_epoch), (epochs, 6), "{}", path.display());
        check_first_loss(plan.first_step.loss, &config, plan.classes, &path);
    }
}

/// The loss of a network that knows nothing: about the logarithm of the number of classes, up to what the head does to cosines.
fn check_first_loss(loss: f32, config: &ExperimentConfig, classes: usize, path: &Path) {
    if !config.head.has_classes() {
        // One minus a cosine.
        assert!(loss > 0.0 && loss < 2.0, "{}: loss {loss}", path.display());
        return;
    }
    let guess = (classes as f64).ln();
    // A margin head multiplies cosines, which go from -1 to 1, by its scale; in a network this small they are far from 0.
    let most = match &config.head.config {
        HeadConfig::Softmax(..) => 3.0 * guess,
        HeadConfig::SphereFace(..) => 30.0,
        _ => guess + 2.0 * 32.0,
    };
    let loss = f64::from(loss);
    assert!(loss.is_finite() && loss > 0.2 * guess && loss < most, "{}: loss {loss}", path.display());
}

/// A step changes the weights, and a few steps on the same batch make its loss smaller.
#[test]
fn every_shipped_configuration_learns_a_batch() {
    let _alone = drawing_alone();
    let folder = tempfile::tempdir().unwrap();
    corpus(folder.path());
    for (number, path) in shipped().into_iter().enumerate() {
        let config = read(&path);
        if config.teacher.is_some() {
            // A student of itself has little to learn from one batch; tests/train_and_extract/teacher.rs gives it more.
            continue;
        }
        let mut config = shrunk(config, folder.path());
        config.validation = None;
        // One batch, over and over, from the first step at the full learning rate; layers that thaw later train now.
        (config.train.overfit_steps, config.train.epochs) = (1, 8);
        config.schedule.warmup_epochs = 0.0;
        config.schedule.margin = None;
        // The rates of SGD are for batches of 64 and more. On three crops they overshoot, and how far depends on the weights drawn.
        if config.optimizer.kind == OptimizerKind::Sgd {
            config.optimizer.learning_rate = config.optimizer.learning_rate.min(0.005);
        }
        config.train.freeze.clear();
        // Nothing is known of a random network's statistics.
        config.train.batch_norm = BatchNormMode::Batch;
        // Of an embedding of eight numbers dropout leaves too little to see in eight steps that the loss goes down.
        if let ModelConfig::Resnet(resnet) = &mut config.model {
            resnet.dropout = 0.0;
        }
        let mut losses = Vec::new();
        let exp = folder.path().join(format!("exp-{number}"));
        let run = Run::prepare(&config, &exp, &InitFrom::Random, &[Device::flex()])
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut observer = |event: &Event| {
            if let Event::Step { loss, .. } = event {
                losses.push(*loss);
            }
        };
        run.train(&AtomicBool::new(false), &mut observer).unwrap();
        let best = losses[1..].iter().copied().fold(f32::INFINITY, f32::min);
        assert_eq!(losses.len(), 8);
        assert!(losses.iter().all(|loss| loss.is_finite()), "{}: {losses:?}", path.display());
        assert!(best < losses[0], "{}: {losses:?}", path.display());

        let tensors = |file: &str| {
            let (model, head, _) = load_model(exp.join(file), &Device::flex()).unwrap();
            [named_tensors(&model), named_tensors(&head.unwrap())].concat()
        };
        let still: Vec<String> = tensors("initial.safetensors")
            .into_iter()
            .zip(tensors("final.safetensors"))
            .filter(|(before, after)| before.data == after.data)
            .map(|(before, _)| before.name)
            .collect();
        let has_no_gradient = |name: &String| {
            // The baseline's ECAPA-TDNN has a convolution in each block that it does not use.
            let unused = matches!(&config.model, ModelConfig::EcapaTdnn(ecapa) if ecapa.compat)
                && (name.contains(".convs.0.") || name.contains(".bns.0."));
            // The only map that ReDimNet's first stage sums has the weight 1, whatever its number.
            let alone =
                matches!(&config.model, ModelConfig::ReDimNet(_)) && name == "backbone.stages.0.sum.w";
            // A bias before a BatchNorm is taken off again.
            unused || alone || name.ends_with("bias")
        };
        assert!(still.iter().all(has_no_gradient), "{}: {still:?} did not move", path.display());
    }
}

fn template(name: &str) -> String {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_ffsvc-train"))
        .args(["template", name])
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn templates_are_configurations() {
    for name in ["small", "resnet34", "ecapa", "fine-tune", "far-field"] {
        let config: ExperimentConfig = toml::from_str(&template(name)).unwrap();
        config.check().unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Every key of every shipped configuration, with the defaults written out, is in the reference, in its section.
#[test]
fn the_reference_has_every_key() {
    fn keys(path: &str, table: &toml::Table, into: &mut Vec<(String, String)>) {
        for (key, value) in table {
            match value {
                toml::Value::Table(table) if path.is_empty() => keys(key, table, into),
                toml::Value::Table(table) => keys(&format!("{path}.{key}"), table, into),
                _ => into.push((path.to_owned(), key.clone())),
            }
        }
    }
    let text = template("all-keys");
    let mut known = std::collections::HashSet::new();
    let mut section = String::new();
    for line in text.lines().map(|line| line.trim_start_matches('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, _)) = line.split_once(" =").filter(|(key, _)| !key.contains(' ')) {
            known.insert((section.clone(), key.to_owned()));
        }
    }
    let mut wanted = Vec::new();
    for path in shipped() {
        let config = read(&path);
        keys("", &toml::from_str(&config.to_toml().unwrap()).unwrap(), &mut wanted);
    }
    wanted.extend(
        [("train", "freeze"), ("teacher", "temperature"), ("validation", "best")]
            .map(|(a, b)| (a.into(), b.into())),
    );
    for key in wanted {
        assert!(known.contains(&key), "{key:?} is not in `ffsvc-train template all-keys`");
    }
    // What a number may be.
    assert!(
        text.contains("# Passes over the data. Default 50. Range: 1 to 1000000.\n#epochs = 50\n"),
        "{text}"
    );
}
