//! The options that the programs say they have.

use std::fmt;
use std::sync::LazyLock;

use assert_cmd::Command;
use serde_json::Value;

/// The programs whose options are walked: all that were built.
pub(crate) const CHECKED: &[&str] = &[
    "ffsvc-cluster",
    "ffsvc-data",
    "ffsvc-score",
    #[cfg(feature = "networks")]
    "ffsvc-extract",
    #[cfg(feature = "networks")]
    "ffsvc-model",
    #[cfg(feature = "networks")]
    "ffsvc-train",
    #[cfg(feature = "networks")]
    "ffsvc-verify",
];

/// Options that the programs share and that change what is said, not what is done.
pub(crate) const SHARED: &[&str] = &["options", "help", "version", "quiet", "verbose", "json"];

/// An option of a program or of one of its subcommands.
#[derive(Debug, Clone)]
pub(crate) struct Opt {
    pub(crate) program: &'static str,
    /// Words of the subcommand; empty for the program itself.
    pub(crate) command: String,
    pub(crate) long: Option<String>,
    pub(crate) value_name: String,
    /// `flag`, `count`, `number`, `choice`, `path`, `output-file`, `output-path`, `text` or `other`.
    pub(crate) kind: String,
    pub(crate) range: Option<String>,
}

impl Opt {
    /// `--long`, or the name of a positional argument.
    pub(crate) fn name(&self) -> String {
        self.long.as_ref().map_or_else(|| self.value_name.clone(), |long| format!("--{long}"))
    }

    pub(crate) fn is_output(&self) -> bool {
        self.kind.starts_with("output-")
    }

    /// Whether it names a folder that the run changes in place, and makes where there is none.
    pub(crate) fn is_changed_in_place(&self) -> bool {
        (self.program, self.command.as_str()) == ("ffsvc-verify", "enrol")
            && self.long.as_deref() == Some("database")
    }
}

impl fmt::Display for Opt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program)?;
        if !self.command.is_empty() {
            write!(f, " {}", self.command)?;
        }
        write!(f, " {}", self.name())
    }
}

/// A program of this package, with a clean environment.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::cargo_bin(name).expect("the programs are built with the tests");
    command.env_remove("RUST_LOG").env("RAYON_NUM_THREADS", "1");
    command
}

/// All options of all programs, but those that all of them share.
pub(crate) fn options() -> &'static [Opt] {
    static OPTIONS: LazyLock<Vec<Opt>> =
        LazyLock::new(|| CHECKED.iter().flat_map(|program| options_of(program)).collect());
    &OPTIONS
}

fn options_of(name: &'static str) -> Vec<Opt> {
    let output = program(name).arg("--dump-options").output().unwrap();
    assert!(output.status.success(), "{name} --dump-options: {}", String::from_utf8_lossy(&output.stderr));
    let dump: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut options = Vec::new();
    for command in dump["commands"].as_array().unwrap() {
        for option in command["options"].as_array().unwrap() {
            let text = |key: &str| option[key].as_str().map(str::to_owned);
            if text("long").is_some_and(|long| SHARED.contains(&long.as_str())) {
                continue;
            }
            options.push(Opt {
                program: name,
                command: text_of(&command["name"]),
                long: text("long"),
                value_name: text("value_name").unwrap_or_default(),
                kind: text_of(&option["kind"]),
                range: text("range"),
            });
        }
    }
    assert!(options.len() > 5, "{name} has hardly any options: {options:?}");
    options
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
