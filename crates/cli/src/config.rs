//! Configurations: a TOML file, changed by `--set section.key=value`.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// The options `CONFIG` and `--set`, for `#[command(flatten)]` in a program's arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct ConfigArgs {
    /// Configuration, a TOML file
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,

    /// Change one value of the configuration, e.g. --set train.epochs=3 (may be repeated)
    ///
    /// The value is read as TOML (3, 0.5, true, [1, 2], "text"); what is not TOML is text, so
    /// --set model.name=resnet34 needs no quotes. Sections that the file lacks are created. Without a value, as in
    /// --set validation=, the key or section is removed.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
}

impl ConfigArgs {
    /// Reads the configuration; see [`load_config`].
    ///
    /// # Errors
    /// As [`load_config`].
    pub fn load<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        load_config(&self.config, &self.set)
    }

    /// Reads the configuration with the sections that it may leave out, and names all missing keys at once; see
    /// [`load_config_with`].
    ///
    /// # Errors
    /// As [`load_config_with`].
    pub fn load_with<T: DeserializeOwned>(
        &self,
        sections: &Table,
        missing_keys: impl Fn(&Table) -> Vec<String>,
    ) -> Result<T, ConfigError> {
        load_config_with(&self.config, sections, &self.set, missing_keys)
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not TOML, or a value in it is not what the program expects.
    #[error("{}{}: {message}", path.display(), position(*line_column))]
    File {
        /// The file.
        path: PathBuf,
        /// Line and column of the fault, from 1, where they are known.
        line_column: Option<(usize, usize)>,
        /// What was found and what was expected.
        message: String,
    },
    /// Keys that have no default are missing.
    #[error("{}: missing: {}", path.display(), keys.join(", "))]
    Missing {
        /// The file.
        path: PathBuf,
        /// All of them, each as `section.key`.
        keys: Vec<String>,
    },
    /// An override is not of the form `section.key=value`, or it makes the configuration wrong.
    #[error("--set {set}: {message}")]
    Set {
        /// The override as given.
        set: String,
        /// What was found and what was expected.
        message: String,
    },
}

fn position(line_column: Option<(usize, usize)>) -> String {
    line_column.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"))
}

/// Reads a configuration: the TOML file at `path`, then the overrides `sets` in their order, each
/// `section.key=value`.
///
/// The value of an override is parsed as TOML and taken as text if it is not TOML. Missing sections are
/// created. An override without a value removes the key or section. For unknown names to be refused, `T` and its sections have `#[serde(deny_unknown_fields)]`;
/// the error then proposes the nearest known name.
///
/// ```
/// #[derive(serde::Deserialize, Debug)]
/// #[serde(deny_unknown_fields)]
/// struct Config { train: Train }
/// #[derive(serde::Deserialize, Debug)]
/// #[serde(deny_unknown_fields)]
/// struct Train { epochs: u32, rate: f64 }
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("a.toml");
/// std::fs::write(&path, "[train]\nepochs = 10\nrate = 0.1\n")?;
///
/// let config: Config = ffsvc_cli::load_config(&path, &["train.epochs=3".into()])?;
/// assert_eq!((config.train.epochs, config.train.rate), (3, 0.1));
///
/// let error = ffsvc_cli::load_config::<Config>(&path, &["train.epoch=3".into()]).unwrap_err();
/// assert_eq!(error.to_string(),
///     "--set train.epoch=3: unknown field `epoch`, did you mean `epochs`? (known: epochs, rate)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ConfigError`] names the file with line and column, or the override that is at fault.
pub fn load_config<T: DeserializeOwned>(path: &Path, sets: &[String]) -> Result<T, ConfigError> {
    load_config_with(path, &Table::new(), sets, |_| Vec::new())
}

/// Reads a configuration as [`load_config`] does. `sections` are taken where the file leaves out a whole section. Where a key is
/// missing, `missing_keys` says which ones a table lacks, so that the error names all of them: serde stops at the first.
///
/// # Errors
/// As [`load_config`]; [`ConfigError::Missing`].
pub fn load_config_with<T: DeserializeOwned>(
    path: &Path,
    sections: &Table,
    sets: &[String],
    missing_keys: impl Fn(&Table) -> Vec<String>,
) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
    parse(path, &text, sections, sets).map_err(|error| {
        let keys = match &error {
            ConfigError::File { message, .. } | ConfigError::Set { message, .. }
                if message.starts_with("missing field") =>
            {
                let table = with_sections(&text, sections).ok();
                let table = table.and_then(|table| with_overrides(table, sets).ok());
                table.map(|table| missing_keys(&table)).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        if keys.is_empty() { error } else { ConfigError::Missing { path: path.to_path_buf(), keys } }
    })
}

/// The file's table, with the sections that it leaves out.
fn with_sections(text: &str, sections: &Table) -> Result<Table, toml::de::Error> {
    let mut table: Table = toml::from_str(text)?;
    for (name, section) in sections {
        table.entry(name.clone()).or_insert_with(|| section.clone());
    }
    Ok(table)
}

fn with_overrides(mut table: Table, sets: &[String]) -> Result<Table, ConfigError> {
    sets.iter().try_for_each(|set| apply(&mut table, set))?;
    Ok(table)
}

fn parse<T: DeserializeOwned>(
    path: &Path,
    text: &str,
    sections: &Table,
    sets: &[String],
) -> Result<T, ConfigError> {
    let file_error = |error: &toml::de::Error| ConfigError::File {
        path: path.to_path_buf(),
        line_column: error.span().map(|span| line_column(text, span.start)),
        message: explain(error),
    };
    if sets.is_empty() && sections.is_empty() {
        return toml::from_str(text).map_err(|error| file_error(&error));
    }
    let whole = with_sections(text, sections).map_err(|error| file_error(&error))?;
    let table = with_overrides(whole.clone(), sets)?;
    table.clone().try_into().map_err(|error| match culprit::<T>(whole, sets, &error) {
        // Read from the text, the same error knows its line.
        None => {
            let same = toml::from_str::<T>(text).err().filter(|other| other.message() == error.message());
            file_error(&same.unwrap_or(error))
        }
        Some(set) => {
            let message = explain_beside::<T>(set, table, &error).unwrap_or_else(|| explain(&error));
            ConfigError::Set { set: set.clone(), message }
        }
    })
}

/// The message for an override that is right by itself, and other keys of its section do not fit it: the options of another
/// architecture, where `model.architecture` was changed. serde stops at the first of them; this names all.
fn explain_beside<T: DeserializeOwned>(
    set: &str,
    mut table: Table,
    error: &toml::de::Error,
) -> Option<String> {
    let (path, _) = set.split_once('=')?;
    let keys: Vec<&str> = path.split('.').map(str::trim).collect();
    let (changed, names) = keys.split_last()?;
    let mut unfit: Vec<String> = Vec::new();
    let mut last = error.clone();
    while let Some(unknown) = unknown_field(&last).filter(|unknown| unknown != changed) {
        let first = table.get_mut(*names.first()?)?;
        let section = names[1..].iter().try_fold(first, |section, name| section.get_mut(*name))?;
        section.as_table_mut()?.remove(&unknown)?;
        unfit.push(unknown);
        match table.clone().try_into::<T>() {
            Ok(_) => break,
            Err(error) => last = error,
        }
    }
    let known = known_names(error).join(", ");
    let section = names.join(".");
    let removals: Vec<String> = unfit.iter().map(|key| format!("--set {section}.{key}=")).collect();
    let keys = unfit.join(", ");
    (!unfit.is_empty()).then(|| {
        format!(
            "[{section}] of the configuration has {keys}, unknown with it (known: {known}); remove with {}",
            removals.join(" ")
        )
    })
}

/// The name that an error finds unknown.
fn unknown_field(error: &toml::de::Error) -> Option<String> {
    error.message().trim().strip_prefix("unknown field `")?.split('`').next().map(str::to_owned)
}

/// The names that an error of an unknown one lists.
fn known_names(error: &toml::de::Error) -> Vec<&str> {
    error.message().split('`').skip(1).step_by(2).skip(1).collect()
}

/// The override after which the configuration fails in the way of `error`, or `None` if the file
/// alone already does.
fn culprit<'a, T: DeserializeOwned>(
    mut table: Table,
    sets: &'a [String],
    error: &toml::de::Error,
) -> Option<&'a String> {
    let fails_alike = |table: &Table| {
        table.clone().try_into::<T>().err().is_some_and(|e| e.to_string() == error.to_string())
    };
    if fails_alike(&table) {
        return None;
    }
    sets.iter().find(|set| apply(&mut table, set).is_ok() && fails_alike(&table))
}

fn apply(table: &mut Table, set: &str) -> Result<(), ConfigError> {
    let refuse = |message: String| ConfigError::Set { set: set.to_owned(), message };
    let Some((path, value)) = set.split_once('=') else {
        return Err(refuse("no `=` found, expected section.key=value".into()));
    };
    let keys: Vec<&str> = path.split('.').map(str::trim).collect();
    if keys.contains(&"") {
        return Err(refuse(format!("`{path}` has an empty name, expected section.key=value")));
    }
    let (Some((last, sections)), value) = (keys.split_last(), value.trim()) else {
        return Err(refuse("expected section.key=value".into()));
    };
    let mut section = table;
    for (depth, key) in sections.iter().enumerate() {
        let entry = section.entry(*key).or_insert_with(|| Value::Table(Table::new()));
        let found = entry.type_str();
        section = entry.as_table_mut().ok_or_else(|| {
            refuse(format!("`{}` is no section, it is a value of type {found}", keys[..=depth].join(".")))
        })?;
    }
    if value.is_empty() {
        section.remove(*last);
        return Ok(());
    }
    let value = value.parse().unwrap_or_else(|_| Value::String(value.to_owned()));
    section.insert((*last).to_owned(), value);
    Ok(())
}

/// The message of a TOML error on one line, with the nearest known name for an unknown one.
fn explain(error: &toml::de::Error) -> String {
    let message = error.message().trim();
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let ([kind @ ("unknown field" | "unknown variant")], [unknown, known @ ..]) =
        (&message.split(" `").take(1).collect::<Vec<_>>()[..], &names[..])
    else {
        return message.replace('\n', ", ");
    };
    let list = known.join(", ");
    match nearest(unknown, known) {
        Some(name) => format!("{kind} `{unknown}`, did you mean `{name}`? (known: {list})"),
        None if known.is_empty() => format!("{kind} `{unknown}`, none is known here"),
        None => format!("{kind} `{unknown}` (known: {list})"),
    }
}

/// The known name that the unknown one is probably a misspelling of.
pub(crate) fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let similarity = |name: &str| strsim::jaro_winkler(&unknown.to_lowercase(), &name.to_lowercase());
    known
        .iter()
        .map(|name| (similarity(name), *name))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// Line and column, from 1, of a byte offset; the column counts characters.
fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
