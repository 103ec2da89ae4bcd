//! The commands of the README and of `docs/` run as they stand.
//!
//! Blocks fenced as `sh` are run with `bash -eu`, page after page, with `getting-started.md` first. They run in one
//! folder that has `configs` and `recipes` of the repository, with the programs on the path. Blocks fenced as `sh
//! norun` need corpora or devices that a test does not have. Their programs and options are looked up in the programs'
//! own help.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The fence of a block that is run.
const RUN: &str = "sh";
/// The fence of a block that is only checked.
const CHECK: &str = "sh norun";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    pages
}

/// The blocks of a page whose fence is `fence`.
fn blocks(page: &Path, fence: &str) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let mut blocks = Vec::new();
    let mut block: Option<(bool, String)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut block) {
            (Some(info), None) => block = Some((info.trim() == fence, String::new())),
            (Some(_), Some(_)) => {
                if let Some((true, text)) = block.take() {
                    blocks.push(text);
                }
            }
            (None, Some((_, text))) => *text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(block.is_none(), "{}: a block is not closed", page.display());
    blocks
}

fn programs() -> PathBuf {
    assert_cmd::cargo::cargo_bin("ffsvc-data").parent().unwrap().to_path_buf()
}

/// `bash` in `folder`, with the programs on the path.
fn bash(folder: &Path) -> Command {
    let path = std::env::join_paths(
        std::iter::once(programs())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let mut command = Command::new("bash");
    command.args(["-eu"]).current_dir(folder).env("PATH", path.unwrap()).env_remove("RUST_LOG");
    command
}

#[test]
fn the_commands_of_every_page_run() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["configs", "recipes"] {
        std::os::unix::fs::symlink(root().join(part), folder.path().join(part)).unwrap();
    }
    let mut pages = pages();
    // The other pages go on with what this one makes.
    pages.sort_by_key(|page| (!page.ends_with("getting-started.md"), page.clone()));
    for page in pages {
        let commands = blocks(&page, RUN).concat();
        let output = bash(folder.path()).args(["-c", &commands]).output().unwrap();
        assert!(
            output.status.success(),
            "{}: {}\n{commands}\n{}",
            page.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// The words of a shell command line, without what quotes mean: enough for options.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn programs_and_options_that_are_not_run_exist() {
    let folder = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for page in pages() {
        for block in blocks(&page, CHECK) {
            for line in block.replace("\\\n", " ").lines() {
                let line = line.split(" #").next().unwrap_or(line);
                let words = words(line);
                let Some(program) = words.iter().position(|word| word.starts_with("ffsvc-")) else {
                    continue;
                };
                let mut command = bash(folder.path());
                let mut help = words[program].to_owned();
                let subcommands = |text: &str| -> Vec<String> {
                    let after = text.split("Commands:").nth(1).unwrap_or_default();
                    let names = after.lines().skip(1).take_while(|line| line.starts_with("  "));
                    names.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
                };
                let output = command.args(["-c", &format!("{help} --help")]).output().unwrap();
                assert!(output.status.success(), "{}: no program `{help}`", page.display());
                let mut text = String::from_utf8(output.stdout).unwrap();
                if let Some(word) = words.get(program + 1)
                    && subcommands(&text).iter().any(|name| name == word)
                {
                    help += &format!(" {word}");
                    let output =
                        bash(folder.path()).args(["-c", &format!("{help} --help")]).output().unwrap();
                    text = String::from_utf8(output.stdout).unwrap();
                }
                for option in words.iter().skip(program + 1).filter(|word| word.starts_with("--")) {
                    let option = option.split('=').next().unwrap_or(option);
                    let known = text
                        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
                        .any(|word| word == option);
                    assert!(known, "{}: `{help}` has no {option}: {line}", page.display());
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 0, "no page has a block that is only checked");
}
