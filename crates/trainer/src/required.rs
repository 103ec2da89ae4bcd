//! The keys that a configuration cannot do without.

use toml::{Table, Value};

use crate::config::ExperimentConfig;

/// A section with its keys that have no default.
struct Section {
    /// The names that lead to it.
    path: &'static [&'static str],
    keys: &'static [&'static str],
    /// Whether a configuration may leave the whole section out.
    optional: bool,
}

const SECTIONS: &[Section] = &[
    Section { path: &["data"], keys: &["train"], optional: false },
    Section { path: &["model"], keys: &["architecture"], optional: false },
    Section { path: &["head"], keys: &["kind"], optional: false },
    Section { path: &["schedule", "margin"], keys: &["end_epoch"], optional: true },
];

impl ExperimentConfig {
    /// The keys without a default that a configuration lacks, each as `section.key`. A section that is no table lacks nothing:
    /// reading it says what is wrong.
    pub fn missing_keys(config: &Table) -> Vec<String> {
        let mut missing = Vec::new();
        for Section { path, keys, optional } in SECTIONS {
            let mut names = path.iter();
            let first = names.next().and_then(|name| config.get(*name));
            let section = names.fold(first, |section, name| section.and_then(|section| section.get(*name)));
            let lacks = |key: &&&str| match section {
                Some(Value::Table(table)) => !table.contains_key(**key),
                Some(_) => false,
                None => !optional,
            };
            missing.extend(keys.iter().filter(lacks).map(|key| format!("{}.{key}", path.join("."))));
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "
        data.train = 'a'
        model.architecture = 'resnet'
        head.kind = 'aam-softmax'
        schedule.margin.end_epoch = 3.0
    ";

    /// What the list says is what reading says.
    #[test]
    fn every_key_of_the_list_is_required_and_no_other_one_is() {
        let whole: Table = toml::from_str(LEAST).unwrap();
        assert!(whole.clone().try_into::<ExperimentConfig>().is_ok());
        assert!(ExperimentConfig::missing_keys(&whole).is_empty());
        for Section { path, keys, .. } in SECTIONS {
            for key in *keys {
                let mut without = whole.clone();
                let section =
                    path.iter().fold(&mut without, |table, name| table[*name].as_table_mut().unwrap());
                section.remove(*key).unwrap();
                assert_eq!(ExperimentConfig::missing_keys(&without), [format!("{}.{key}", path.join("."))]);
                let error = without.try_into::<ExperimentConfig>().unwrap_err().to_string();
                assert!(error.contains(&format!("missing field `{key}`")), "{error}");
            }
        }
    }

    #[test]
    fn all_that_is_missing_is_listed_at_once() {
        assert_eq!(
            ExperimentConfig::missing_keys(&Table::new()),
            ["data.train", "model.architecture", "head.kind"]
        );
        let some = toml::from_str("head = 3\n[data]\n[model]").unwrap();
        assert_eq!(ExperimentConfig::missing_keys(&some), ["data.train", "model.architecture"]);
    }
}
