//! Results on standard output, and as JSON.

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use ffsvc_atomic_file::StdoutClosed;
use serde::Serialize;

/// The version of what is printed and written as JSON, the field `schema` of each object. A field may be added without a new
/// version; a field that is renamed, is gone or means something else needs one.
const SCHEMA: u32 = 1;

/// Whether a result was printed as JSON: standard output then gets no second one when the program fails after it.
static HAS_PRINTED_JSON: AtomicBool = AtomicBool::new(false);

/// Whether [`print_json`] was called.
pub(crate) fn has_printed_json() -> bool {
    HAS_PRINTED_JSON.load(Ordering::Relaxed)
}

/// A value as indented JSON. An object begins with its version.
fn json<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(value)?;
    if text.starts_with('{') && !text.contains("\n  \"schema\": ") {
        let comma = if text == "{}" { "\n" } else { "," };
        text.insert_str(1, &format!("\n  \"schema\": {SCHEMA}{comma}"));
    }
    text.push('\n');
    Ok(text)
}

/// The command line of this process as a shell reads it: the program without its folder, and the words but those of the
/// options `without`, such as `--output` and `-o`, and their values. What a result is made from does not depend on where it goes.
pub fn command_line(without: &[&str]) -> String {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    shell_line(words, without)
}

fn shell_line(mut words: impl Iterator<Item = String>, without: &[&str]) -> String {
    let program = words.next().unwrap_or_default();
    let mut line = program.rsplit('/').next().unwrap_or_default().to_owned();
    while let Some(word) = words.next() {
        if without.contains(&word.as_str()) {
            words.next();
            continue;
        }
        // `--output=FILE` and `-oFILE`.
        let has_value = |rest: &str, option: &str| rest.starts_with('=') || !option.starts_with("--");
        let is_left_out =
            |option: &&str| word.strip_prefix(option).is_some_and(|rest| has_value(rest, option));
        if !without.iter().any(is_left_out) {
            line += " ";
            line += &quoted(&word);
        }
    }
    line
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./,:=+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Prints a value as indented JSON and a newline on standard output. An object gets the field `schema`, its version.
///
/// # Errors
/// The value cannot be expressed as JSON (a map whose keys are not strings), or standard output cannot
/// be written; [`StdoutClosed`] if its reader has gone.
pub fn print_json<T: Serialize + ?Sized>(value: &T) -> anyhow::Result<()> {
    let text = json(value)?;
    HAS_PRINTED_JSON.store(true, Ordering::Relaxed);
    print_bytes(text.as_bytes())
}

/// Prints bytes as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(StdoutClosed.into()),
        Err(error) => Err(anyhow::Error::new(error).context("cannot write to standard output")),
    }
}

/// Writes a value as JSON to a file, whole or not at all.
///
/// # Errors
/// The value cannot be JSON, or the file cannot be written.
pub fn write_json<T: Serialize + ?Sized>(path: impl AsRef<Path>, value: &T) -> anyhow::Result<()> {
    let path = path.as_ref();
    let text = json(value)?;
    ffsvc_atomic_file::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, expected) in [
            ("--scores=a.txt", "--scores=a.txt"),
            ("", "''"),
            ("a b", "'a b'"),
            ("<script>", "'<script>'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn a_command_line_has_no_output() {
        let line = |words: &str| shell_line(words.split(' ').map(str::to_owned), &["--output", "-o"]);
        let expected = "ffsvc-score report --scores a=b --output-format x";
        for words in ["--output page.html", "--output=page.html", "-o page.html", "-opage.html"] {
            let words = format!("/usr/bin/ffsvc-score report --scores a=b {words} --output-format x");
            assert_eq!(line(&words), expected);
        }
    }
}
