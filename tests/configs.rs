//! Every configuration that ships with the project can be run: it parses, its values are in range, and its
//! network can be built.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ffsvc_features::FrontEnd;
use ffsvc_trainer::{ExperimentConfig, Schedule};

fn shipped() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["configs", "recipes/mini", "recipes/speechocean762"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let is_toml = path.extension().is_some_and(|extension| extension == "toml");
            // The others say how a test set is made.
            if is_toml && std::fs::read_to_string(&path).unwrap().contains("[model]") {
                files.push(path);
            }
        }
    }
    files
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
    let files = shipped();
    assert!(files.len() >= 5, "{files:?}");
    for path in files {
        let config: ExperimentConfig = toml::from_str(&std::fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if let Err(error) = try_out(&config) {
            panic!("{}: {error}", path.display());
        }
    }
}

#[test]
fn the_resolved_configuration_reads_back_as_itself() {
    for path in shipped() {
        let config: ExperimentConfig = toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let resolved = config.to_toml().unwrap();
        let back: ExperimentConfig = toml::from_str(&resolved).unwrap();
        assert_eq!(back, config, "{}:\n{resolved}", path.display());
        assert!(config.differences(&back).unwrap().is_empty());
    }
}
