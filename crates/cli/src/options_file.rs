//! Options of a program from a TOML file.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command, Id};
use toml::Value;

use crate::UsageError;
use crate::config::nearest;

/// The words of a command line, with `--options FILE` replaced by the options that FILE has and the command line has not.
///
/// FILE is flat TOML: `p_target = 0.01` stands for `--p-target 0.01`, `skip_missing = true` for `--skip-missing` (`false` for
/// its absence), and a list for an option that may be given several times. Its options belong to the subcommand that the
/// command line names. Of two files, the later one beats the earlier one.
///
/// # Errors
/// A file that cannot be read or is not of that form; an option in it that the program does not have.
pub(crate) fn expand(command: &Command, words: Vec<OsString>) -> Result<Vec<OsString>, UsageError> {
    let mut line = CommandLine::read(command, words)?;
    let mut from_files = Vec::new();
    for file in line.files.iter().rev() {
        for (option, words) in options_of(line.command, file)? {
            if line.given.insert(option) {
                from_files.extend(words);
            }
        }
    }
    line.words.splice(line.after_subcommand..line.after_subcommand, from_files);
    Ok(line.words)
}

/// What is on a command line.
struct CommandLine<'a> {
    /// The subcommand that it names, or the program.
    command: &'a Command,
    /// Where the options of that subcommand begin.
    after_subcommand: usize,
    /// All words but `--options FILE`.
    words: Vec<OsString>,
    given: HashSet<Id>,
    files: Vec<PathBuf>,
}

impl<'a> CommandLine<'a> {
    fn read(command: &'a Command, words: Vec<OsString>) -> Result<Self, UsageError> {
        let mut line = Self {
            command,
            after_subcommand: 1,
            words: Vec::new(),
            given: HashSet::new(),
            files: Vec::new(),
        };
        let mut words = words.into_iter();
        line.words.extend(words.next());
        while let Some(word) = words.next() {
            let text = word.to_string_lossy().into_owned();
            if text == "--" {
                line.words.push(word);
                line.words.extend(words);
                break;
            }
            if text == "--options" {
                let file = words.next().ok_or_else(|| UsageError::new("--options needs a file"))?;
                line.files.push(file.into());
                continue;
            }
            if let Some(file) = text.strip_prefix("--options=") {
                line.files.push(file.into());
                continue;
            }
            line.words.push(word);
            if line.notes(&text) {
                line.words.extend(words.next());
            } else if !text.starts_with('-')
                && let Some(subcommand) = line.command.find_subcommand(&text)
            {
                line.command = subcommand;
                line.after_subcommand = line.words.len();
            }
        }
        Ok(line)
    }

    /// Notes the options of a word, and says whether the next word is the value of the last of them.
    fn notes(&mut self, word: &str) -> bool {
        if let Some(long) = word.strip_prefix("--") {
            let name = long.split('=').next().unwrap_or(long);
            return self.note(|arg| arg.get_long() == Some(name)) && !long.contains('=');
        }
        let Some(shorts) = word.strip_prefix('-') else { return false };
        let mut rest = shorts.chars();
        while let Some(short) = rest.next() {
            if self.note(|arg| arg.get_short() == Some(short)) {
                return rest.as_str().is_empty();
            }
        }
        false
    }

    /// Notes an option, and says whether it has a value.
    fn note(&mut self, is_it: impl Fn(&Arg) -> bool) -> bool {
        let Some(arg) = self.command.get_arguments().find(|arg| is_it(arg)) else { return false };
        self.given.insert(arg.get_id().clone());
        arg.get_num_args().is_some_and(|values| values.min_values() > 0)
    }
}

/// The options of a file, each with its words.
fn options_of(command: &Command, path: &Path) -> Result<Vec<(Id, Vec<OsString>)>, UsageError> {
    let wrong = |what: String| UsageError::new(format!("--options {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let option = |(key, value): (&String, &Value)| {
        let name = key.replace('_', "-");
        let arg = find(command, &name).ok_or_else(|| wrong(unknown(command, key, &name)))?;
        let words = words_of(arg, &name, value)
            .map_err(|expected| wrong(format!("{key} is {}; {expected}", a(value))))?;
        Ok((arg.get_id().clone(), words))
    };
    table.iter().map(option).collect()
}

fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    settable(command).find(|arg| arg.get_long() == Some(name))
}

/// The options that a file may have: not those that print something and end the program.
fn settable(command: &Command) -> impl Iterator<Item = &Arg> {
    let is_settable = |arg: &&Arg| {
        use ArgAction::{Append, Count, Set, SetFalse, SetTrue};
        arg.get_id() != "options" && matches!(arg.get_action(), Set | Append | Count | SetTrue | SetFalse)
    };
    command.get_arguments().filter(is_settable)
}

fn unknown(command: &Command, key: &str, name: &str) -> String {
    let known: Vec<&str> = settable(command).filter_map(Arg::get_long).collect();
    let program = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let proposal = nearest(name, &known).map(|name| format!("; did you mean {}?", name.replace('-', "_")));
    format!("{key} is no option of {program}{}", proposal.unwrap_or_default())
}

fn words_of(arg: &Arg, name: &str, value: &Value) -> Result<Vec<OsString>, String> {
    let option = format!("--{name}");
    if !arg.get_action().takes_values() {
        return match (arg.get_action(), value) {
            (_, Value::Boolean(false)) => Ok(Vec::new()),
            (_, Value::Boolean(true)) => Ok(vec![option.into()]),
            (ArgAction::Count, Value::Integer(times @ 0..=100)) => {
                Ok((0..*times).map(|_| option.clone().into()).collect())
            }
            _ => Err("expected true or false".to_owned()),
        };
    }
    let with_value = |value: &Value| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(truth) => truth.to_string(),
            _ => return Err("expected text, a number, true, false or a list of them".to_owned()),
        };
        // In one word, because a negative number alone would look like an option.
        Ok(format!("{option}={text}").into())
    };
    match value {
        Value::Array(values) if matches!(arg.get_action(), ArgAction::Append) => {
            values.iter().map(with_value).collect()
        }
        Value::Array(_) => Err("this option has one value".to_owned()),
        one => with_value(one).map(|word| vec![word]),
    }
}

/// A value as a message shows it.
fn a(value: &Value) -> String {
    match value {
        Value::Table(_) => "a table".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        one => one.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    #[command(name = "program", args_conflicts_with_subcommands = true)]
    struct Args {
        #[command(subcommand)]
        command: Option<Sub>,
        #[arg(long, value_delimiter = ',')]
        p_target: Vec<f64>,
        #[arg(long, allow_negative_numbers = true)]
        threshold: Option<f64>,
        #[arg(short, long)]
        output: Option<PathBuf>,
        #[arg(long)]
        skip_missing: bool,
        #[arg(short, long, global = true, action = ArgAction::Count)]
        verbose: u8,
        #[arg(long)]
        with_file: Option<PathBuf>,
    }

    #[derive(clap::Subcommand)]
    enum Sub {
        Fuse {
            #[arg(long)]
            seed: Option<u64>,
            scores: Vec<PathBuf>,
        },
    }

    fn expanded(toml: &str, line: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("options.toml");
        std::fs::write(&file, toml).unwrap();
        let mut command = <Args as clap::CommandFactory>::command();
        command.build();
        let words = line.split(' ').map(|word| word.replace("FILE", file.to_str().unwrap()).into()).collect();
        let words = expand(&command, words)
            .map_err(|error| error.to_string().replace(file.to_str().unwrap(), "FILE"))?;
        let parsed = Args::try_parse_from(words.clone());
        assert!(parsed.is_ok(), "{:?}", parsed.err().map(|error| error.to_string()));
        Ok(words.into_iter().map(|word| word.into_string().unwrap()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_file_stands_for_the_options_that_it_has() {
        let cases = [
            ("threshold = -0.5", "program --options FILE", "program --threshold=-0.5"),
            ("threshold = -0.5", "program --options=FILE", "program --threshold=-0.5"),
            ("p_target = [0.01, 0.05]", "program --options FILE", "program --p-target=0.01 --p-target=0.05"),
            (
                "p-target = 0.1\nskip_missing = true",
                "program --options FILE",
                "program --p-target=0.1 --skip-missing",
            ),
            ("skip_missing = false\nverbose = 2", "program --options FILE", "program --verbose --verbose"),
            ("seed = 3", "program fuse a b --options FILE", "program fuse --seed=3 a b"),
            ("seed = 3", "program --options FILE fuse a", "program fuse --seed=3 a"),
            ("verbose = true", "program fuse --options FILE", "program fuse --verbose"),
        ];
        for (toml, line, expected) in cases {
            assert_eq!(expanded(toml, line).unwrap(), expected, "{toml} {line}");
        }
    }

    #[test]
    fn the_command_line_beats_the_file_wherever_it_stands() {
        let toml = "p_target = [0.01, 0.05]\nthreshold = 1\noutput = 'a'\nskip_missing = true";
        for (line, expected) in [
            (
                "program --threshold 2 --options FILE",
                "program --output=a --p-target=0.01 --p-target=0.05 --skip-missing --threshold 2",
            ),
            (
                "program --options FILE --threshold=2 -o b",
                "program --p-target=0.01 --p-target=0.05 --skip-missing --threshold=2 -o b",
            ),
            (
                "program --p-target 0.2 -vob --options FILE",
                "program --skip-missing --threshold=1 --p-target 0.2 -vob",
            ),
        ] {
            assert_eq!(expanded(toml, line).unwrap(), expected);
        }
        // The value of another option is no subcommand.
        assert_eq!(
            expanded("output = 'a'", "program --with-file fuse --options FILE").unwrap(),
            "program --output=a --with-file fuse"
        );
    }

    #[test]
    fn what_the_program_does_not_know_is_refused_with_file_and_key() {
        for (toml, message) in [
            ("p_targt = 0.1", "--options FILE: p_targt is no option of program; did you mean p_target?"),
            ("seed = 1", "--options FILE: seed is no option of program"),
            ("help = true", "--options FILE: help is no option of program"),
            ("options = 'x'", "--options FILE: options is no option of program"),
            ("skip_missing = 3", "--options FILE: skip_missing is 3; expected true or false"),
            ("threshold = [1, 2]", "--options FILE: threshold is a list; this option has one value"),
            (
                "[output]\na = 1",
                "--options FILE: output is a table; expected text, a number, true, false or a list of them",
            ),
        ] {
            let error = expanded(toml, "program --options FILE").unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
        assert!(
            expanded("a =", "program --options FILE")
                .unwrap_err()
                .starts_with("--options FILE: TOML parse error")
        );
        assert_eq!(expanded("", "program --options").unwrap_err(), "--options needs a file");
        assert!(expanded("", "program --options /no/such").unwrap_err().contains("/no/such: No such file"));
    }
}
