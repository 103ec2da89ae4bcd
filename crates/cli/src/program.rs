//! A program from its first line: its options, what it says about itself, and its work.

use std::cell::Cell;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Arg, Command, Parser, ValueEnum, ValueHint};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{UsageError, exit, option_dump, options_file, print_json};

/// The whole of a program: reads its options, does its work, and ends with an exit status as [`run`](crate::run) does.
///
/// ```no_run
/// #[derive(clap::Parser)]
/// #[command(name = "ffsvc-example", version)]
/// struct Args {
///     #[command(flatten)]
///     logging: ffsvc_cli::Logging,
/// }
///
/// fn main() -> std::process::ExitCode {
///     ffsvc_cli::program(|args: Args| {
///         args.logging.init();
///         Ok(())
///     })
/// }
/// ```
///
/// Every program also has:
///
/// | command line | what it does |
/// | --- | --- |
/// | `--options FILE` | reads options from a TOML file; those on the command line beat it |
/// | `completions SHELL` | prints the completions of a shell |
/// | `manual FOLDER` | writes manual pages, one for the program and one for each subcommand |
/// | `--dump-options` | prints all options as JSON, for tests |
///
/// If the command line has `--json`, a failure is also an object on stdout: `program`, `error`, `causes`, `exit_status`. That
/// holds for a wrong command line too.
pub fn program<P: Parser>(main: impl FnOnce(P) -> anyhow::Result<()>) -> ExitCode {
    let command = complete::<P>();
    let name = command.get_name();
    let version =
        command.get_version().map_or_else(|| name.to_owned(), |version| format!("{name} {version}"));
    let as_json = Cell::new(false);
    exit::run_as(name, &version, &as_json, || {
        match parse(command.clone(), std::env::args_os().collect(), &as_json)? {
            Some(args) => main(args),
            None => Ok(()),
        }
    })
}

/// Reads a command line, the program's name first. `None`: it asked what the program says about itself, and that is
/// printed. `as_json` is set if it has `--json`, also if it cannot be used.
///
/// # Errors
/// A [`clap::Error`], which [`run`](crate::run) prints in clap's way, or a [`UsageError`] of the `--options` file.
fn parse<P: Parser>(
    mut command: Command,
    words: Vec<OsString>,
    as_json: &Cell<bool>,
) -> anyhow::Result<Option<P>> {
    as_json.set(asks_for_json(&command, &words));
    if answer_about_itself(&command, &words)? {
        return Ok(None);
    }
    let words = options_file::expand(&command, words)?;
    as_json.set(asks_for_json(&command, &words));
    let mut matches = command.clone().try_get_matches_from(words)?;
    Ok(Some(P::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?))
}

/// Whether the words have `--json`, of a program that has it somewhere: a command line that cannot be read is to fail in
/// the form that its caller reads.
fn asks_for_json(command: &Command, words: &[OsString]) -> bool {
    let has_json = |command: &Command| command.get_arguments().any(|arg| arg.get_long() == Some("json"));
    let mut options = words.iter().skip(1).take_while(|word| *word != "--");
    options.any(|word| word == "--json")
        && option_dump::with_subcommands(command).into_iter().any(|(_, command)| has_json(command))
}

/// The program's options with those that every program has.
fn complete<P: Parser>() -> Command {
    let mut command = P::command();
    let name = command.get_name().to_owned();
    let after = format!(
        "Shell completions: {name} completions bash (or elvish, fish, powershell, zsh)\nManual pages: {name} manual FOLDER"
    );
    let details = command.get_after_long_help().or_else(|| command.get_after_help());
    let after = details.map_or_else(|| after.clone(), |details| format!("{}\n\n{after}", details.ansi()));
    command = command.after_long_help(after);
    let options = Arg::new("options")
        .long("options")
        .value_name("FILE")
        .value_hint(ValueHint::FilePath)
        .global(true)
        .help(
            "Read options from a TOML file (p_target = 0.01 for --p-target 0.01); the command line beats it",
        )
        .value_parser(clap::value_parser!(std::path::PathBuf));
    let mut command = command.arg(options);
    command.build();
    command
}

fn answer_about_itself(command: &Command, words: &[OsString]) -> anyhow::Result<bool> {
    let texts: Vec<&str> = words.iter().skip(1).map(|word| word.to_str().unwrap_or_default()).collect();
    match texts[..] {
        ["--dump-options"] => print_json(&option_dump::describe(command))?,
        ["completions", shell] => print_completions(command, shell)?,
        ["manual", _] => write_manual(command, Path::new(&words[2]))?,
        // A program without subcommands may have a file of this name.
        ["completions"] if command.has_subcommands() => {
            return Err(UsageError::new(format!("completions needs a shell: {}", shells())).into());
        }
        ["manual"] if command.has_subcommands() => {
            return Err(UsageError::new("manual needs the folder for the pages").into());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn shells() -> String {
    let names = Shell::value_variants().iter().map(ToString::to_string);
    names.collect::<Vec<_>>().join(", ")
}

fn print_completions(command: &Command, shell: &str) -> anyhow::Result<()> {
    let shell = Shell::from_str(shell, true).map_err(|_| {
        UsageError::new(format!("completions: `{shell}` is no shell known here ({})", shells()))
    })?;
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command.clone(), name, &mut script);
    crate::output::print_bytes(&script)
}

fn write_manual(command: &Command, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (_, command) in option_dump::with_subcommands(command) {
        let page = Man::new(command.clone());
        let path = folder.join(page.get_filename());
        let mut text = Vec::new();
        page.render(&mut text)?;
        ffsvc_atomic_file::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
