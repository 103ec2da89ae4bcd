//! Options of a program from a TOML file.

use std::ffi::OsString;
use std::path::Path;

use toml::Value;

use crate::UsageError;

/// The arguments of this process, with `--options FILE` replaced by the options that FILE has. Those after it on the command
/// line are read after it.
///
/// FILE is flat TOML: `p_target = 0.01` stands for `--p-target 0.01`, `skip_missing = true` for `--skip-missing` (`false` for
/// its absence), and a list for an option that is given several times.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("scoring.toml");
/// std::fs::write(&file, "p_target = [0.01, 0.05]\ncompat = true\nskip_missing = false\n")?;
/// let given = ["ffsvc-score".into(), "--options".into(), file.into_os_string(), "--json".into()];
/// let arguments = ffsvc_cli::expand_options(given)?;
/// assert_eq!(arguments, ["ffsvc-score", "--compat", "--p-target", "0.01", "--p-target", "0.05", "--json"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A file that cannot be read or is not of that form.
pub fn expand_options(arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>, UsageError> {
    let mut expanded = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument != "--options" {
            expanded.push(argument);
            continue;
        }
        let file = arguments.next().ok_or_else(|| UsageError::new("--options needs a file"))?;
        expanded.extend(read(Path::new(&file))?);
    }
    Ok(expanded)
}

fn read(path: &Path) -> Result<Vec<OsString>, UsageError> {
    let wrong = |what: String| UsageError::new(format!("--options {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let mut arguments = Vec::new();
    for (key, value) in &table {
        let option = format!("--{}", key.replace('_', "-"));
        let values = match value {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            let text = match value {
                Value::Boolean(true) => {
                    arguments.push(option.clone().into());
                    continue;
                }
                Value::Boolean(false) => continue,
                Value::String(text) => text.clone(),
                Value::Integer(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                other => {
                    let kind = other.type_str();
                    return Err(wrong(format!(
                        "{key} is a {kind}; expected text, a number, true, false or a list of them"
                    )));
                }
            };
            arguments.extend([option.clone().into(), text.into()]);
        }
    }
    Ok(arguments)
}
