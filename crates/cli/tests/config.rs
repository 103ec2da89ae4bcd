//! Configurations as a user writes them, right and wrong.

use std::path::PathBuf;

use ffsvc_cli::{load_config, load_config_with};
use serde::Deserialize;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Config {
    name: String,
    optimizer: Optimizer,
    augment: Vec<f64>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Optimizer {
    learning_rate: f64,
    momentum: f64,
    kind: Kind,
}

#[derive(Debug, Deserialize, PartialEq, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Sgd,
    Adam,
}

impl Default for Config {
    fn default() -> Self {
        Self { name: "base".into(), optimizer: Optimizer::default(), augment: vec![] }
    }
}

impl Default for Optimizer {
    fn default() -> Self {
        Self { learning_rate: 0.1, momentum: 0.9, kind: Kind::Sgd }
    }
}

struct File {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn file(text: &str) -> File {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.toml");
    std::fs::write(&path, text).unwrap();
    File { _dir: dir, path }
}

fn load(text: &str, sets: &[&str]) -> Result<Config, String> {
    let file = file(text);
    let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
    load_config(&file.path, &sets)
        .map_err(|e| e.to_string().replace(&file.path.display().to_string(), "a.toml"))
}

#[test]
fn overrides_are_toml_or_text_and_create_sections() {
    let config = load("name = 'x'", &["optimizer.momentum=0", "name = my exp", "augment=[1, 0.5]"]).unwrap();
    assert_eq!(config.name, "my exp");
    assert_eq!(config.optimizer, Optimizer { momentum: 0.0, ..Optimizer::default() });
    assert_eq!(config.augment, [1.0, 0.5]);
    let config = load("[optimizer]\nkind = 'sgd'", &["optimizer.kind=adam", "name=\"12\""]).unwrap();
    assert_eq!((config.optimizer.kind, config.name.as_str()), (Kind::Adam, "12"));
    let last = load("", &["name=a", "name=b", "name=c=d"]).unwrap();
    assert_eq!(last.name, "c=d");
    // A value cannot smuggle in further keys.
    assert_eq!(load("", &["name=1\nother=2"]).unwrap().name, "1\nother=2");
}

#[test]
fn a_misspelt_name_is_refused_at_its_line_with_the_nearest_name() {
    let known = "(known: learning_rate, momentum, kind)";
    assert_eq!(
        load("name = 'x'\n[optimizer]\n  lerning_rate = 1\n", &[]).unwrap_err(),
        format!("a.toml:3:3: unknown field `lerning_rate`, did you mean `learning_rate`? {known}")
    );
    assert_eq!(
        load("[optimizer]\nkind = 'Adamw'", &[]).unwrap_err(),
        "a.toml:2:8: unknown variant `Adamw`, did you mean `adam`? (known: sgd, adam)"
    );
    assert_eq!(
        load("zzz = 1", &[]).unwrap_err(),
        "a.toml:1:1: unknown field `zzz` (known: name, optimizer, augment)"
    );
}

#[test]
fn the_error_names_the_file_or_the_override_that_caused_it() {
    // The file is wrong, the overrides are not.
    let error = load("[optimizer]\nmomentun = 1", &["name=x"]).unwrap_err();
    assert!(error.starts_with("a.toml:2:1: unknown field `momentun`, did you mean `momentum`?"), "{error}");
    // The second override is.
    let error = load("", &["name=x", "optimizer.momentum=fast", "name=y"]).unwrap_err();
    assert!(error.starts_with("--set optimizer.momentum=fast: invalid type: string \"fast\""), "{error}");
    let error = load("", &["optimiser.momentum=1"]).unwrap_err();
    assert!(error.contains("did you mean `optimizer`?"), "{error}");
}

#[test]
fn malformed_input_is_explained() {
    assert!(load("name = ", &[]).unwrap_err().starts_with("a.toml:1:"));
    assert!(load("name = ", &["name=x"]).unwrap_err().starts_with("a.toml:1:"));
    assert!(load("a = 'ü\u{7}'", &[]).unwrap_err().starts_with("a.toml:1:7: "));
    for (set, message) in [
        ("name", "no `=` found, expected section.key=value"),
        ("a..b=1", "`a..b` has an empty name, expected section.key=value"),
        ("=1", "`` has an empty name, expected section.key=value"),
        ("name.first.x=1", "`name` is no section, it is a value of type string"),
    ] {
        assert_eq!(load("name = 'x'", &[set]).unwrap_err(), format!("--set {set}: {message}"));
    }
    let error = load_config::<Config>("/no/such.toml".as_ref(), &[]).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the configuration /no/such.toml");
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    name: String,
    data: Data,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    train: PathBuf,
}

#[test]
fn all_missing_keys_are_in_one_error() {
    let load = |text: &str, sets: &[&str]| {
        let file = file(text);
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        let missing = |table: &toml::Table| {
            let lacks = |key: &&str| !table.contains_key(*key);
            ["name", "data"].iter().filter(|key| lacks(key)).map(ToString::to_string).collect()
        };
        load_config_with::<Strict>(&file.path, &toml::Table::new(), &sets, missing)
            .map(|config| (config.name, config.data.train))
            .map_err(|e| e.to_string().replace(&file.path.display().to_string(), "a.toml"))
    };
    assert_eq!(load("", &[]).unwrap_err(), "a.toml: missing: name, data");
    assert_eq!(load("", &["name=x"]).unwrap_err(), "a.toml: missing: data");
    // What is misspelt is not called missing.
    assert!(load("nam = 'x'", &[]).unwrap_err().contains("did you mean `name`?"));
    // A key that the list does not know.
    assert_eq!(load("name = 'x'\n[data]", &[]).unwrap_err(), "a.toml:2:1: missing field `train`");
    assert_eq!(load("name = 'x'", &["data.train=a"]).unwrap(), ("x".to_owned(), "a".into()));
}

#[test]
fn a_section_that_is_left_out_comes_from_elsewhere() {
    let sections: toml::Table = toml::from_str("name = 'from elsewhere'\n[data]\ntrain = 'b'").unwrap();
    let load = |text: &str, sets: &[&str]| {
        let file = file(text);
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        load_config_with::<Strict>(&file.path, &sections, &sets, |_| Vec::new())
            .map(|config| (config.name, config.data.train))
            .map_err(|e| e.to_string().replace(&file.path.display().to_string(), "a.toml"))
    };
    assert_eq!(load("name = 'x'", &[]).unwrap(), ("x".to_owned(), "b".into()));
    assert_eq!(load("", &["data.train=c"]).unwrap(), ("from elsewhere".to_owned(), "c".into()));
    // A section that is there is whole; and errors know their line.
    assert_eq!(load("name = 'x'\n[data]", &[]).unwrap_err(), "a.toml:2:1: missing field `train`");
    assert!(load("\nnam = 'x'", &[]).unwrap_err().starts_with("a.toml:2:1: unknown field `nam`"));
}

#[test]
fn an_override_without_a_value_removes() {
    let file = file("name = 'x'\n[data]\ntrain = 'a'\n[more]\nkey = 1");
    let sets = ["more=".to_owned(), "data.other= ".to_owned()];
    let config = load_config_with::<Strict>(&file.path, &toml::Table::new(), &sets, |_| Vec::new()).unwrap();
    assert_eq!((config.name.as_str(), config.data.train), ("x", "a".into()));
    let error = load_config::<Strict>(&file.path, &["more=".into(), "data.train=".into()]).unwrap_err();
    assert!(error.to_string().contains("missing field `train`"), "{error}");
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tagged {
    #[allow(dead_code)]
    network: Network,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "architecture", rename_all = "kebab-case")]
#[allow(dead_code)]
enum Network {
    Deep(Deep),
    Wide(Wide),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(dead_code)]
struct Deep {
    depth: usize,
    planes: usize,
    size: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(dead_code)]
struct Wide {
    width: usize,
    size: usize,
}

impl Default for Deep {
    fn default() -> Self {
        Self { depth: 1, planes: 1, size: 1 }
    }
}

impl Default for Wide {
    fn default() -> Self {
        Self { width: 1, size: 1 }
    }
}

#[test]
fn the_keys_of_another_architecture_are_named_together() {
    let file = file("[network]\narchitecture = 'deep'\ndepth = 3\nplanes = 4\nsize = 5\n");
    let load = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        load_config::<Tagged>(&file.path, &sets).map_err(|error| error.to_string())
    };
    assert!(load(&["network.depth=4"]).is_ok());
    let error = load(&["network.size=6", "network.architecture=wide"]).unwrap_err();
    assert_eq!(
        error,
        "--set network.architecture=wide: [network] of the configuration has depth, planes, unknown with it \
         (known: width, size); remove with --set network.depth= --set network.planes="
    );
    // What the message says works, and a misspelt key is still one.
    let sets = ["network.architecture=wide", "network.depth=", "network.planes="];
    assert!(load(&sets).is_ok());
    let error = load(&[&sets[..], &["network.widht=2"]].concat()).unwrap_err();
    assert!(error.contains("unknown field `widht`, did you mean `width`?"), "{error}");
}
