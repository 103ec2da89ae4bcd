//! Every number of a configuration has a range: what is not a number, negative or beyond all measure is refused by its key.

use std::collections::BTreeSet;

use ffsvc_trainer::ExperimentConfig;
use toml::{Table, Value};

/// Every section and every optional key.
const EVERYTHING: &str = "
    [data]
    train = [{ path = 'a', share = 1.0 }, { path = 'b', share = 1.0 }]
    [augment]
    reverb.simulated = {}
    additive.babble = {}
    spec_augment = {}
    [model]
    architecture = 'resnet'
    [head]
    kind = 'aam-softmax'
    [schedule]
    margin.end_epoch = 3.0
    [train]
    freeze = [{ layer = 'front', epochs = 1 }]
    [validation]
    data = 'c'
    trials = 'd'
";

/// What takes the place of a section of [`EVERYTHING`], so that each alternative is there once.
const ALTERNATIVES: &[(&str, &str)] = &[
    ("features", "kind = { type = 'log-mel' }\ncmn = { type = 'sliding' }"),
    ("features", "kind = { type = 'fbank' }"),
    ("features", "kind = { type = 'speechbrain-fbank' }"),
    ("features", "kind = { type = 'librosa-mel' }\nwaveform_norm = { raise-to-dbfs = -30.0 }"),
    ("features", "kind = { type = 'nemo-mel' }\ncmn = { type = 'per-feature' }"),
    ("model", "architecture = 'ge2e-lstm'"),
    ("model", "architecture = 'titanet'"),
    ("model", "architecture = 'resnet'"),
    ("model", "architecture = 'ecapa-tdnn'"),
    ("model", "architecture = 'tdnn'"),
    ("model", "architecture = 'cam-plus-plus'"),
    ("model", "architecture = 'wespeaker-ecapa-tdnn'"),
    ("model", "architecture = 'speechbrain-ecapa-tdnn'"),
    ("model", "architecture = 'eres2net'"),
    ("model", "architecture = 'eres2net-v2'"),
    ("model", "architecture = 'simam-resnet'"),
    ("model", "architecture = 'redimnet'"),
    ("model", "architecture = 'redimnet2'"),
    ("model", "architecture = 'res2net'"),
    ("model", "architecture = 'gemini-df-resnet'"),
    ("model", "architecture = 'repvgg'"),
    ("head", "kind = 'am-softmax'"),
    ("head", "kind = 'sub-centre-aam-softmax'"),
    ("head", "kind = 'sphere-face'"),
    ("head", "kind = 'sphere-face2'"),
    ("head", "kind = 'ham-softmax'"),
];

/// Values that are right although they look wrong.
const LEGAL: &[(&str, &[f64], &str)] = &[
    ("optimizer.learning_rate", &[1e300], "a loss that is not finite is reported with the learning rate"),
    ("schedule.final_learning_rate", &[1e300], "the same"),
    ("augment.gain.gain_db", &[-1.0], "decibels"),
    ("augment.additive.noise.snr_db", &[-1.0], "decibels"),
    ("augment.additive.music.snr_db", &[-1.0], "decibels"),
    ("augment.additive.babble.snr_db", &[-1.0], "decibels"),
    ("features.waveform_norm.raise-to-dbfs", &[-1.0], "decibels"),
    ("features.kind.high_frequency_hz", &[-1.0], "counts from the Nyquist frequency"),
    ("features.kind.dither_seed", &[LARGEST], "every number is a seed"),
    ("train.seed", &[LARGEST], "every number is a seed"),
];

/// The largest integer of TOML.
const LARGEST: f64 = i64::MAX as f64;

enum Step {
    Key(String),
    Index(usize),
}

/// The places of all numbers in `value`.
fn numbers(value: &Value) -> Vec<Vec<Step>> {
    let below = |step: &dyn Fn() -> Step, value: &Value| {
        let mut paths = numbers(value);
        paths.iter_mut().for_each(|path| path.insert(0, step()));
        paths
    };
    match value {
        Value::Integer(_) | Value::Float(_) => vec![Vec::new()],
        Value::Table(table) => {
            table.iter().flat_map(|(key, value)| below(&|| Step::Key(key.clone()), value)).collect()
        }
        Value::Array(array) => {
            array.iter().enumerate().flat_map(|(index, value)| below(&|| Step::Index(index), value)).collect()
        }
        _ => Vec::new(),
    }
}

fn key(path: &[Step]) -> String {
    let keys = path.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) => None,
    });
    keys.collect::<Vec<_>>().join(".")
}

fn at<'a>(mut value: &'a mut Value, path: &[Step]) -> &'a mut Value {
    for step in path {
        value = match step {
            Step::Key(key) => &mut value[key.as_str()],
            Step::Index(index) => &mut value[*index],
        };
    }
    value
}

/// What is said against `value`, and whether it is about its type: the reader of the file then names the line.
fn refused(value: Value) -> Option<(String, bool)> {
    match value.try_into::<ExperimentConfig>() {
        Err(error) => Some((error.to_string(), true)),
        Ok(config) => config.check().err().map(|error| (error.to_string(), false)),
    }
}

fn everything(section: &str, alternative: &str) -> Value {
    let mut table: Table = EVERYTHING.parse().unwrap();
    table.insert(section.into(), Value::Table(alternative.parse().unwrap()));
    if alternative.contains("'sphere-face'") {
        // It has no margin that a schedule could change.
        table.remove("schedule");
    }
    let config: ExperimentConfig = table.try_into().unwrap();
    config.check().unwrap_or_else(|error| panic!("{alternative}: {error}"));
    Value::try_from(&config).unwrap()
}

#[test]
fn every_number_has_a_range() {
    let mut faults = Vec::new();
    let (mut seen, mut accepted) = (BTreeSet::new(), BTreeSet::new());
    for (section, alternative) in ALTERNATIVES {
        let right = everything(section, alternative);
        for path in numbers(&right) {
            let key = key(&path);
            seen.insert(key.clone());
            let is_integer = matches!(at(&mut right.clone(), &path), Value::Integer(_));
            let wrong = if is_integer {
                vec![
                    Value::Integer(-1),
                    Value::Integer(i64::MAX),
                    Value::Float(1e300),
                    Value::Float(f64::NAN),
                ]
            } else {
                [f64::NAN, -1.0, 1e300, f64::INFINITY, f64::NEG_INFINITY].map(Value::Float).into()
            };
            for wrong in wrong {
                let number = wrong.as_float().or(wrong.as_integer().map(|n| n as f64)).unwrap();
                let is_legal =
                    LEGAL.iter().any(|(legal, values, _)| *legal == key && values.contains(&number));
                let mut config = right.clone();
                *at(&mut config, &path) = wrong.clone();
                let last = key.rsplit('.').next().unwrap();
                let section = key.split('.').next().unwrap();
                match refused(config) {
                    None if is_legal => drop(accepted.insert(key.clone())),
                    // A pair's other half.
                    Some(_) if is_legal => {}
                    None => faults.push(format!("{key} = {wrong} is accepted")),
                    Some((_, true)) => {}
                    Some((said, false)) => {
                        if !(said.contains(last) && said.contains(section)) {
                            faults.push(format!("{key} = {wrong}: {said}"));
                        }
                    }
                }
            }
        }
    }
    faults.sort();
    faults.dedup();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(seen.len() > 90, "{} numbers", seen.len());
    for (key, ..) in LEGAL {
        assert!(accepted.contains(*key), "{key} is never accepted");
    }
}

/// What [`ExperimentConfig::numbers`] lists is what is in the file, and no more.
#[test]
fn the_list_of_numbers_is_complete() {
    let right = everything("model", "architecture = 'resnet'");
    let config: ExperimentConfig = right.clone().try_into().unwrap();
    let checklist = config.numbers();
    let own = |key: &String| {
        ["data", "augment", "sampler", "optimizer", "schedule", "train", "validation"]
            .contains(&key.split('.').next().unwrap())
            || key == "head.reserve"
    };
    let mut keys: Vec<String> = numbers(&right).iter().map(|path| key(path)).filter(own).collect();
    let mut listed: Vec<String> = checklist.ranges().map(|(key, _)| key.to_string()).collect();
    for keys in [&mut keys, &mut listed] {
        keys.sort();
        keys.dedup();
    }
    assert_eq!(listed, keys);

    // Without a configuration, the same ranges and that of a teacher's settings.
    let ranges = ExperimentConfig::ranges();
    for (key, range) in checklist.ranges() {
        assert_eq!(ranges.get(key).map(String::as_str), Some(range), "{key}");
    }
    assert!(ranges.contains_key("teacher.temperature"));
}

#[test]
fn all_faults_are_said_at_once() {
    let mut config: Table = EVERYTHING.parse().unwrap();
    let mut set = |section: &str, text: &str| {
        config.insert(section.into(), text.parse::<Table>().unwrap().into());
    };
    set("head", "kind = 'aam-softmax'\nmargin = 7.0");
    set("schedule", "margin = { begin_epoch = nan, end_epoch = 3.0 }");
    set("train", "batch_size = 0");
    set("optimizer", "epsilon = -1.0\nbeta_1 = 1.0");
    set("sampler", "epoch_steps = 3\nepoch_utterances = 4");
    let config: ExperimentConfig = config.try_into().unwrap();
    let said = config.check().unwrap_err().to_string();
    assert!(said.starts_with("6 settings are wrong:\n"), "{said}");
    for fault in [
        "optimizer.epsilon = -1 is out of range, expected > 0 and <= 1",
        "optimizer.beta_1 = 1 is out of range, expected >= 0 and < 1",
        "schedule.margin.begin_epoch = NaN is not a number, expected 0 to 1000000",
        "train.batch_size = 0 is out of range, expected 1 to 65536",
        "head.margin is 7; expected ",
        "sampler.epoch_steps = 3 beside sampler.epoch_utterances, expected one of the two",
    ] {
        assert!(said.contains(&format!("\n  {fault}")), "{fault} is not in:\n{said}");
    }
}
