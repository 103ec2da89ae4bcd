//! Section `[validation]`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ffsvc_ranges::{Range, Section};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Section `[validation]`: the trials that the network is measured on while it trains. One list, or several with names:
///
/// ```toml
/// [validation]
/// best = "far"
/// [validation.lists.clean]
/// data = "data/dev"
/// trials = "data/dev/trials"
/// [validation.lists.far]
/// enrol_data = "data/dev"
/// data = "data/dev-far"
/// trials = "data/dev/trials"
/// mean_subtract = true
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ValidationConfig {
    /// Data directory (or folder with a `wav.scp`) of the trials' recordings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Data directory of the enrolment recordings. Default: `data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrol_data: Option<PathBuf>,
    /// Trial list with labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trials: Option<PathBuf>,
    /// Subtracts from the embeddings of each side the mean of that side's recordings. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mean_subtract: bool,
    /// Several lists by name, in place of the keys above.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lists: BTreeMap<String, ValidationList>,
    /// The list whose EER chooses the best model. Default: the mean EER of all lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<String>,
    /// Measure after every so many epochs, and after the last. Default 1.
    #[serde(default = "one")]
    pub every_epochs: usize,
    /// Prior of a target trial in minDCF. Default 0.01, the challenge's.
    #[serde(default = "one_percent")]
    pub p_target: f64,
}

/// One of several trial lists: a table of `[validation.lists]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ValidationList {
    /// Data directory (or folder with a `wav.scp`) of the trials' recordings.
    pub data: PathBuf,
    /// Data directory of the enrolment recordings. Default: `data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrol_data: Option<PathBuf>,
    /// Trial list with labels.
    pub trials: PathBuf,
    /// Subtracts from the embeddings of each side the mean of that side's recordings. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mean_subtract: bool,
}

fn one() -> usize {
    1
}

fn one_percent() -> f64 {
    0.01
}

impl ValidationConfig {
    /// Range of [`every_epochs`](Self::every_epochs).
    pub const EVERY_EPOCHS: Range<usize> = Range::of(1, 1_000_000);
    /// Range of [`p_target`](Self::p_target).
    pub const P_TARGET: Range<f64> = Range::above(0.0).below(1.0);

    /// One list, of recordings of one data directory, measured after every epoch.
    pub fn new(data: impl Into<PathBuf>, trials: impl Into<PathBuf>) -> Self {
        Self {
            data: Some(data.into()),
            enrol_data: None,
            trials: Some(trials.into()),
            mean_subtract: false,
            lists: BTreeMap::new(),
            best: None,
            every_epochs: one(),
            p_target: one_percent(),
        }
    }

    /// Adds every number, with its range, to the section `validation`.
    pub fn add_numbers(&self, section: &mut Section<'_>) {
        section.number("every_epochs", self.every_epochs, Self::EVERY_EPOCHS);
        section.number("p_target", self.p_target, Self::P_TARGET);
    }

    /// The lists by name; one that stands in the section itself has an empty name.
    ///
    /// # Errors
    /// There is none; one stands in the section itself beside those with names; `best` names none of them.
    pub fn lists(&self) -> Result<Vec<(String, ValidationList)>> {
        let fault =
            |key, found: String, expected: &str| Err(Error::Config { key, found, expected: expected.into() });
        let in_section =
            self.data.is_some() || self.enrol_data.is_some() || self.trials.is_some() || self.mean_subtract;
        let lists: Vec<(String, ValidationList)> = match (&self.data, &self.trials) {
            _ if in_section && !self.lists.is_empty() => {
                let found = "data, enrol_data, trials or mean_subtract beside it".to_owned();
                return fault("validation.lists", found, "these keys in the list that they belong to");
            }
            _ if !in_section => self.lists.iter().map(|(name, list)| (name.clone(), list.clone())).collect(),
            (Some(data), Some(trials)) => {
                let list = ValidationList {
                    data: data.clone(),
                    enrol_data: self.enrol_data.clone(),
                    trials: trials.clone(),
                    mean_subtract: self.mean_subtract,
                };
                vec![(String::new(), list)]
            }
            (None, _) => return fault("validation.data", "absent".into(), "a data directory"),
            (_, None) => return fault("validation.trials", "absent".into(), "a trial list"),
        };
        if lists.is_empty() {
            let expected = "data and trials, or lists with names";
            return fault("validation", "no trial list".into(), expected);
        }
        match &self.best {
            Some(best) if lists.iter().all(|(name, _)| name != best) => {
                let names: Vec<&str> = self.lists.keys().map(String::as_str).collect();
                let expected = match names.is_empty() {
                    true => "nothing: there is one list".to_owned(),
                    false => format!("one of {}", names.join(", ")),
                };
                fault("validation.best", format!("{best:?}"), &expected)
            }
            _ => Ok(lists),
        }
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let of_section = [
            ("validation.data", &self.data),
            ("validation.enrol_data", &self.enrol_data),
            ("validation.trials", &self.trials),
        ];
        let of_lists = self.lists.values().flat_map(|list| {
            [
                Some(("validation.lists", &*list.data)),
                list.enrol_data.as_deref().map(|path| ("validation.lists", path)),
                Some(("validation.lists", &*list.trials)),
            ]
        });
        of_section.into_iter().map(|(key, path)| Some((key, path.as_deref()?))).chain(of_lists).flatten()
    }

    pub(crate) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let of_section = [&mut self.data, &mut self.enrol_data, &mut self.trials].into_iter().flatten();
        let of_lists = self.lists.values_mut().flat_map(|list| {
            [Some(&mut list.data), list.enrol_data.as_mut(), Some(&mut list.trials)].into_iter().flatten()
        });
        of_section.chain(of_lists)
    }
}
