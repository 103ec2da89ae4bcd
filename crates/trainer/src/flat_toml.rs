//! Settings as a flat list of keys, so that two configurations can be compared.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{Error, Result};

/// The values of a section or a whole configuration by key, `section.key`, each as TOML writes it.
///
/// # Errors
/// A value that TOML cannot hold.
pub(crate) fn flatten<T: Serialize>(settings: &T) -> Result<BTreeMap<String, String>> {
    fn walk(prefix: &str, value: &toml::Value, into: &mut BTreeMap<String, String>) {
        match value {
            toml::Value::Table(table) => {
                for (key, value) in table {
                    let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    walk(&path, value, into);
                }
            }
            leaf => {
                into.insert(prefix.to_string(), leaf.to_string());
            }
        }
    }
    let mut flat = BTreeMap::new();
    walk("", &to_value(settings)?, &mut flat);
    Ok(flat)
}

/// The keys that differ, as `key: then -> now`.
pub(crate) fn differences(then: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let mut keys: Vec<&String> = then.keys().chain(now.keys()).collect();
    keys.sort();
    keys.dedup();
    let show = |value: Option<&String>| value.cloned().unwrap_or_else(|| "absent".into());
    keys.into_iter()
        .filter(|key| then.get(*key) != now.get(*key))
        .map(|key| format!("{key}: {} -> {}", show(then.get(key)), show(now.get(key))))
        .collect()
}

/// Settings as a TOML value.
///
/// # Errors
/// A value that TOML cannot hold.
pub(crate) fn to_value<T: Serialize>(settings: &T) -> Result<toml::Value> {
    toml::Value::try_from(settings).map_err(|error| Error::Config {
        key: "config",
        found: error.to_string(),
        expected: "values that TOML can hold".into(),
    })
}
