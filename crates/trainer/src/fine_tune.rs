//! The network of a fine-tune: another model's weights, and its head as far as the speakers are known.

use std::collections::HashSet;
use std::path::Path;

use burn::tensor::Device;
use ffsvc_dataset::{Purpose, stream_seed};
use ffsvc_models::{Head, Transferred};
use serde::{Deserialize, Serialize};

use crate::config::ExperimentConfig;
use crate::error::{Error, Result};
use crate::flat_toml;
use crate::network::Network;

/// Where a fine-tune takes the weights of its classification head from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum HeadInit {
    /// Random weights for all speakers
    #[default]
    New,
    /// All weights of the model's head; its speakers must be those of the training data, in any order
    Match,
    /// The weights of the speakers that both have, by name; reserved, then random ones for others
    ///
    /// Weights of speakers that the data lack are dropped.
    Keep,
    /// Weights in the direction of each speaker's mean embedding under the model, of 20 recordings at most
    ///
    /// Further rows of a class (sub-centres), reserved ones and speakers at other speeds are random. A dry run has random rows
    /// for all, so its loss is not that of the first step.
    Centres,
}

impl ExperimentConfig {
    /// The sections of a configuration that a model file decides, `[model]` and `[features]`: what a fine-tune from it has where
    /// its configuration leaves them out.
    ///
    /// # Errors
    /// The file is no model.
    pub fn sections_of_model(path: &Path) -> Result<toml::Table> {
        let info = ffsvc_models::load_info(path)?;
        let sections = [
            ("model", flat_toml::to_value(&info.model)?),
            ("features", flat_toml::to_value(&info.front_end)?),
        ];
        Ok(sections.map(|(name, section)| (name.to_owned(), section)).into_iter().collect())
    }
}

/// Why a configuration cannot go on from a model: a section differs.
fn other_section<T: Serialize>(path: &Path, section: &'static str, model: &T, config: &T) -> Result<Error> {
    let differences = flat_toml::differences(&flat_toml::flatten(config)?, &flat_toml::flatten(model)?);
    let table = toml::Table::from_iter([(section.to_owned(), flat_toml::to_value(model)?)]);
    Ok(Error::OtherSection { path: path.to_path_buf(), section, differences, toml: table.to_string() })
}

/// Loads `path` for a run of `config` whose head has the classes `classes`. With [`HeadInit::Centres`] the rows are random still.
pub(crate) fn load(
    config: &ExperimentConfig,
    path: &Path,
    init: HeadInit,
    classes: &[String],
    device: &Device,
) -> Result<Network> {
    let (model, head, info) = ffsvc_models::load_model(path, device)?;
    let differs = |what: &str, found: String, expected: String| Error::DataSet {
        what: format!("{}: {what}", path.display()),
        found,
        expected,
    };
    if info.model != config.model {
        return Err(other_section(path, "model", &info.model, &config.model)?);
    }
    if info.front_end != config.features {
        return Err(other_section(path, "features", &info.front_end, &config.features)?);
    }
    device.seed(stream_seed(config.train.seed, Purpose::Initialisation, 0, "head"));
    let fresh = config.head.init(config.model.embedding_size(), classes.len(), device);
    if matches!(init, HeadInit::New | HeadInit::Centres) {
        return Ok(Network { model, head: fresh });
    }
    if !config.head.has_classes() {
        return Err(differs(
            "head",
            "head.kind = \"none\"".into(),
            "a head, or a new one (--head new)".into(),
        ));
    }
    let old: Head = head.ok_or_else(|| Error::NoHead { path: path.to_path_buf() })?;
    if old.num_classes() != info.speakers.len() {
        let found = format!("{} classes and {} speaker names", old.num_classes(), info.speakers.len());
        return Err(differs("head", found, "a name for each class".into()));
    }
    if init == HeadInit::Match {
        let missing = others(&info.speakers, classes);
        let surplus = others(classes, &info.speakers);
        if !missing.is_empty() || !surplus.is_empty() {
            return Err(Error::OtherSpeakers {
                path: path.to_path_buf(),
                missing: missing.into_iter().map(str::to_owned).collect(),
                surplus: surplus.into_iter().map(str::to_owned).collect(),
            });
        }
    }
    let (head, transferred) = old.transfer(&info.speakers, classes, fresh)?;
    let Transferred { kept, from_reserve, fresh, dropped } = &transferred;
    tracing::info!(
        "head: {kept} classes kept, {from_reserve} from the reserve, {} new, {} dropped",
        fresh.len(),
        dropped.len()
    );
    if init == HeadInit::Keep && *kept == 0 && *from_reserve == 0 {
        return Err(Error::OtherSpeakers {
            path: path.to_path_buf(),
            missing: dropped.clone(),
            surplus: fresh.clone(),
        });
    }
    Ok(Network { model, head })
}

/// Those of `from` that `known` lacks.
fn others<'a>(from: &'a [String], known: &[String]) -> Vec<&'a str> {
    let known: HashSet<&str> = known.iter().map(String::as_str).collect();
    from.iter().map(String::as_str).filter(|name| !known.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::{Int, Tensor, TensorData};
    use ffsvc_models::{ModelInfo, reserved_name, save_model};

    use super::*;

    const CONFIG: &str = "
        [data]
        train = 'data/train'
        [features.kind]
        type = 'log-mel'
        num_mels = 8
        [model]
        architecture = 'resnet'
        in_planes = 2
        depth = 18
        embedding_size = 16
        [head]
        kind = 'aam-softmax'
    ";

    fn names(numbers: impl Iterator<Item = usize>) -> Vec<String> {
        numbers.map(|number| format!("id{number:03}")).collect()
    }

    /// A model of 110 speakers and 5 reserved rows, in a file.
    fn pre_trained(folder: &Path, config: &ExperimentConfig, device: &Device) -> (Network, Vec<String>) {
        let mut speakers = names(0..110);
        speakers.extend((1..=5).map(reserved_name));
        let model = config.model.init(8, device).unwrap();
        let head = config.head.init(16, speakers.len(), device);
        let mut info = ModelInfo::new(config.model.clone(), config.features.clone());
        info.head = Some(config.head.config.clone());
        info.speakers.clone_from(&speakers);
        save_model(folder.join("model.safetensors"), &model, Some(&head), &info).unwrap();
        (Network { model, head }, speakers)
    }

    /// Scores of a batch of patterns, `[16][class]`.
    fn scores(network: &Network, device: &Device) -> Vec<Vec<f32>> {
        let features: Vec<f32> = (0..16 * 8 * 20).map(|i| (i as f32 * 0.7).sin()).collect();
        let features = Tensor::<3>::from_data(TensorData::new(features, [16, 8, 20]), device);
        let labels = Tensor::<1, Int>::zeros([16], device);
        let scores = network.valid().forward(features, labels).cosines_or_scores;
        let classes = scores.dims()[1];
        let scores: Vec<f32> = scores.into_data().iter::<f32>().collect();
        scores.chunks(classes).map(<[f32]>::to_vec).collect()
    }

    /// The known speakers score exactly as before, so that the accuracy on them is what it was.
    #[test]
    fn a_fine_tune_keeps_100_known_speakers_and_adds_25() {
        let folder = tempfile::tempdir().unwrap();
        let config: ExperimentConfig = toml::from_str(CONFIG).unwrap();
        let device = Device::flex().autodiff();
        let (old, speakers) = pre_trained(folder.path(), &config, &device);
        // Ten old speakers are gone; the new ones stand before, among and after the others.
        let mut classes = names((10..110).rev());
        for (place, new) in names(200..225).into_iter().enumerate() {
            classes.insert(place * 4, new);
        }
        let path = folder.path().join("model.safetensors");
        let tuned = load(&config, &path, HeadInit::Keep, &classes, &device).unwrap();
        assert_eq!(tuned.head.num_classes(), 125);
        let plain = Device::flex();
        for (before, after) in scores(&old, &plain).iter().zip(scores(&tuned, &plain)) {
            for (class, name) in classes.iter().enumerate() {
                if let Some(place) = speakers.iter().position(|speaker| speaker == name) {
                    assert!((before[place] - after[class]).abs() < 1e-6, "{name}");
                }
            }
            // The first five new speakers got the reserve.
            let reserve: Vec<usize> = (110..115).collect();
            for (&place, new) in reserve.iter().zip(names(200..205)) {
                let class = classes.iter().position(|name| *name == new).unwrap();
                assert!((before[place] - after[class]).abs() < 1e-6, "{new}");
            }
        }
        // The others have rows of their own.
        let rows: Vec<f32> = tuned.head.weight().unwrap().into_data().iter::<f32>().collect();
        let rows: HashSet<Vec<u32>> =
            rows.chunks(16).map(|row| row.iter().map(|v| v.to_bits()).collect()).collect();
        assert_eq!(rows.len(), 125);
    }

    #[test]
    fn heads_that_do_not_fit_are_refused_with_the_speakers() {
        let folder = tempfile::tempdir().unwrap();
        let config: ExperimentConfig = toml::from_str(CONFIG).unwrap();
        let device = Device::flex().autodiff();
        pre_trained(folder.path(), &config, &device);
        let path = folder.path().join("model.safetensors");
        let refused = |start, classes: Vec<String>| {
            load(&config, &path, start, &classes, &device).map(drop).unwrap_err().to_string()
        };
        let error = refused(HeadInit::Match, names(0..111));
        assert!(error.contains("id110") && error.contains("1 that it lacks"), "{error}");
        let mut reversed = names(0..110);
        reversed.extend((1..=5).map(reserved_name));
        reversed.reverse();
        assert!(load(&config, &path, HeadInit::Match, &reversed, &device).is_ok());
    }
}
