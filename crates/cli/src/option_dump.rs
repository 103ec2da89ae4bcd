//! A program's options in a form for machines: what the tests of all programs walk through.

use std::any::TypeId;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command};
use serde::Serialize;

use crate::{OutputFile, OutputPath};

#[derive(Debug, Serialize)]
pub(crate) struct ProgramDump {
    program: String,
    /// The program itself first, with an empty name, then its subcommands.
    commands: Vec<CommandDump>,
}

#[derive(Debug, Serialize)]
struct CommandDump {
    name: String,
    about: Option<String>,
    options: Vec<OptionDump>,
}

#[derive(Debug, Serialize)]
struct OptionDump {
    id: String,
    long: Option<String>,
    short: Option<char>,
    /// Place of a positional argument, from 1.
    position: Option<usize>,
    value_name: Option<String>,
    kind: Kind,
    /// As the help shows it: `> 0`.
    range: Option<String>,
    choices: Vec<String>,
    default: Vec<String>,
    /// May be given several times, or has several values.
    repeated: bool,
    required: bool,
    /// Works before and after a subcommand.
    global: bool,
    hidden: bool,
    heading: Option<String>,
    help: Option<String>,
}

/// What kind of value an option has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// None: it is given or not.
    Flag,
    /// None: how often it is given counts.
    Count,
    Number,
    /// One of a few words.
    Choice,
    /// A file or folder; outputs of text and of what cannot be a stream have kinds of their own.
    Path,
    OutputFile,
    OutputPath,
    Text,
    /// A type with a grammar of its own.
    Other,
}

/// All options of a command that was built.
pub(crate) fn describe(command: &Command) -> ProgramDump {
    let describe_command = |(name, command): (String, &Command)| CommandDump {
        name,
        about: command.get_about().map(ToString::to_string),
        options: command.get_arguments().map(describe_option).collect(),
    };
    ProgramDump {
        program: command.get_name().to_owned(),
        commands: with_subcommands(command).into_iter().map(describe_command).collect(),
    }
}

/// A command under an empty name, then its subcommands and theirs, named by all words after the program.
pub(crate) fn with_subcommands(command: &Command) -> Vec<(String, &Command)> {
    let mut commands = vec![(String::new(), command)];
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        for (name, command) in with_subcommands(subcommand) {
            commands.push((format!("{} {name}", subcommand.get_name()).trim_end().to_owned(), command));
        }
    }
    commands
}

fn describe_option(arg: &Arg) -> OptionDump {
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(|help| help.to_string());
    let names = arg
        .get_value_names()
        .map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    OptionDump {
        id: arg.get_id().to_string(),
        long: arg.get_long().map(str::to_owned),
        short: arg.get_short(),
        position: arg.get_index(),
        value_name: names.filter(|_| arg.get_action().takes_values()),
        kind: kind(arg),
        range: help.as_deref().and_then(range).map(str::to_owned),
        choices: match kind(arg) {
            Kind::Choice => {
                arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect()
            }
            _ => Vec::new(),
        },
        default: arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect(),
        repeated: matches!(arg.get_action(), ArgAction::Append | ArgAction::Count),
        required: arg.is_required_set(),
        global: arg.is_global_set(),
        hidden: arg.is_hide_set(),
        heading: arg.get_help_heading().map(str::to_owned),
        help,
    }
}

fn kind(arg: &Arg) -> Kind {
    let value = arg.get_value_parser().type_id();
    if matches!(arg.get_action(), ArgAction::Count) {
        Kind::Count
    } else if !arg.get_action().takes_values() {
        Kind::Flag
    } else if ffsvc_ranges::is_number(arg) {
        Kind::Number
    } else if value == TypeId::of::<PathBuf>() {
        Kind::Path
    } else if value == TypeId::of::<OutputFile>() {
        Kind::OutputFile
    } else if value == TypeId::of::<OutputPath>() {
        Kind::OutputPath
    } else if !arg.get_possible_values().is_empty() {
        Kind::Choice
    } else if value == TypeId::of::<String>() || value == TypeId::of::<OsString>() {
        Kind::Text
    } else {
        Kind::Other
    }
}

/// The range that an option's help shows.
fn range(help: &str) -> Option<&str> {
    let (_, rest) = help.rsplit_once("[range: ")?;
    rest.split_once(']').map(|(range, _)| range)
}
