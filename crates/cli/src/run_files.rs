//! What a run reads and writes, checked before it begins.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use ffsvc_atomic_file::{Identity, Target, absolute, check_folder};
use serde::Serialize;

use crate::{OutputFile, UsageError};

/// The inputs and outputs of a run, each with the option that named it.
///
/// A program lists them before it reads anything. [`check`](Self::check) refuses what would cost work or data:
///
/// - two outputs that are one file, by whatever names or links, and two outputs on standard output;
/// - an output that is an input too;
/// - an output whose folder does not exist or cannot be written to, or that is a folder;
/// - a store or another format with offsets on a pipe or a device;
/// - `--json` beside a result on standard output.
///
/// Any number of outputs may go to a device such as `/dev/null`.
///
/// ```
/// use ffsvc_cli::{OutputFile, RunFiles};
///
/// let folder = tempfile::tempdir()?;
/// let (trials, scores) = (folder.path().join("trials"), folder.path().join("scores"));
/// std::fs::write(&trials, "a b target\n")?;
/// let findings = RunFiles::new()
///     .input("--trials", [&trials])
///     .output("--scores-out", [&scores])
///     .output("--report-out", None::<&OutputFile>)
///     .check(false)?;
/// findings.print("EER 5.00 %\n");
///
/// let error = RunFiles::new().input("--trials", [&trials]).output("--scores-out", [&trials]).check(false).unwrap_err();
/// assert!(error.to_string().contains("the run reads this file (--trials)"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is checked before `check`"]
pub struct RunFiles {
    inputs: Vec<Named>,
    outputs: Vec<(Named, Form)>,
}

#[derive(Debug, Clone)]
struct Named {
    option: String,
    path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Stream,
    Regular,
    Folder,
}

impl RunFiles {
    /// A run without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Files or folders that are read. `-` is standard input.
    pub fn input<P: AsRef<Path>>(mut self, option: &str, paths: impl IntoIterator<Item = P>) -> Self {
        self.inputs.extend(named(option, paths));
        self
    }

    /// Files of text that are written; they may be devices, pipes or standard output.
    pub fn output<P: AsRef<Path>>(self, option: &str, paths: impl IntoIterator<Item = P>) -> Self {
        self.outputs(option, paths, Form::Stream)
    }

    /// Files that are written and must be regular files: stores, pictures, models.
    pub fn regular_output<P: AsRef<Path>>(self, option: &str, paths: impl IntoIterator<Item = P>) -> Self {
        self.outputs(option, paths, Form::Regular)
    }

    /// Folders that are written; they and those above them are made where they are missing. Other outputs may lie in them.
    pub fn output_folder<P: AsRef<Path>>(self, option: &str, paths: impl IntoIterator<Item = P>) -> Self {
        self.outputs(option, paths, Form::Folder)
    }

    fn outputs<P: AsRef<Path>>(
        mut self,
        option: &str,
        paths: impl IntoIterator<Item = P>,
        form: Form,
    ) -> Self {
        let outputs = named(option, paths).map(|Named { option, path }| match form {
            Form::Folder => (Named { option, path }, form),
            Form::Stream | Form::Regular => {
                (Named { option, path: OutputFile::new(path).to_path_buf() }, form)
            }
        });
        self.outputs.extend(outputs);
        self
    }

    /// Checks all of it and says where the program prints. `json` is whether `--json` was given.
    ///
    /// # Errors
    /// One of the above, with the options and paths.
    pub fn check(self, json: bool) -> Result<Findings, UsageError> {
        let mut checked: Vec<(&Named, Identity)> = Vec::new();
        let mut on_stdout = None;
        let inputs: Vec<(&Named, Identity)> =
            self.inputs.iter().filter_map(|input| Some((input, input.identity_as_input()?))).collect();
        for (place, (input, identity)) in inputs.iter().enumerate() {
            let is_once =
                |path: &Path| matches!(Target::of(path), Ok(Target::Descriptor(_) | Target::Special(..)));
            if let Some((other, _)) = inputs[..place].iter().find(|(_, other)| other == identity)
                && is_once(&input.real_path())
            {
                return Err(UsageError::new(format!(
                    "{other} and {input} are one stream, which can be read only once: give one of them a file"
                )));
            }
        }
        for (output, form) in &self.outputs {
            if output.is_stdout() {
                on_stdout = Some(output);
            }
            let Some(identity) = self.check_output(output, *form)? else { continue };
            if let Some((input, _)) = inputs.iter().find(|(_, input)| *input == identity) {
                let what = if *form == Form::Folder { "folder" } else { "file" };
                return Err(UsageError::new(format!(
                    "{output}: the run reads this {what} ({}), and would replace what it reads: name another {what}",
                    input.option
                )));
            }
            if let Some((other, _)) = checked.iter().find(|(_, other)| *other == identity) {
                return Err(UsageError::new(format!("{other} and {output} are one file: name two")));
            }
            checked.push((output, identity));
        }
        match on_stdout {
            Some(output) if json => Err(UsageError::new(format!(
                "{output} and --json both write to standard output: give {} a file, or leave --json out",
                output.option
            ))),
            on_stdout => Ok(Findings { json, on_stderr: on_stdout.is_some() }),
        }
    }

    fn check_output(&self, output: &Named, form: Form) -> Result<Option<Identity>, UsageError> {
        let path = &output.path;
        let refuse = |error: std::io::Error| UsageError::new(format!("{output}: {error}"));
        if form == Form::Folder {
            check_folder(path).map_err(refuse)?;
            return Identity::of_folder(path).map(Some).map_err(refuse);
        }
        let target = Target::of(path).map_err(refuse)?;
        if form == Form::Regular {
            target.clone().require_regular().map_err(refuse)?;
        }
        if !self.is_in_an_output_folder(path) {
            self.check_writable(output, &target)?;
        }
        target.identity().map_err(refuse)
    }

    fn check_writable(&self, output: &Named, target: &Target) -> Result<(), UsageError> {
        let Err(error) = target.check_writable() else { return Ok(()) };
        let Target::File(file) = target else {
            return Err(UsageError::new(format!("{output} cannot be written: {error}")));
        };
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder_is = match folder.metadata() {
            Ok(metadata) if metadata.is_dir() => format!("cannot be written to ({error})"),
            Ok(_) => "is no folder".to_owned(),
            Err(_) => "does not exist: make it first".to_owned(),
        };
        Err(UsageError::new(format!("{output}: the folder {} {folder_is}", folder.display())))
    }

    fn is_in_an_output_folder(&self, path: &Path) -> bool {
        let folders = self.outputs.iter().filter(|(_, form)| *form == Form::Folder);
        let mut folders = folders.filter_map(|(folder, _)| absolute(&folder.path).ok());
        absolute(path)
            .is_ok_and(|path| folders.any(|folder| path.parent().is_some_and(|p| p.starts_with(&folder))))
    }
}

fn named<P: AsRef<Path>>(option: &str, paths: impl IntoIterator<Item = P>) -> impl Iterator<Item = Named> {
    paths.into_iter().map(move |path| Named { option: option.to_owned(), path: path.as_ref().to_path_buf() })
}

impl Named {
    fn is_stdout(&self) -> bool {
        Target::of(&self.path).is_ok_and(|target| target.is_stdout())
    }

    /// The path, with `-` of an input as the descriptor that it stands for.
    fn real_path(&self) -> PathBuf {
        if self.path == Path::new("-") { "/dev/stdin".into() } else { self.path.clone() }
    }

    /// What an input is; nothing that cannot be told, which the reader will complain of.
    fn identity_as_input(&self) -> Option<Identity> {
        let path = self.real_path();
        if path.is_dir() {
            Identity::of_folder(&path).ok()
        } else {
            Target::of(&path).ok()?.identity().ok()?
        }
    }
}

impl Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.option, OutputFile::new(&self.path))
    }
}

/// Where a program prints what it found: on standard output, or on standard error while a result goes to standard
/// output.
#[derive(Debug, Clone, Copy)]
pub struct Findings {
    json: bool,
    on_stderr: bool,
}

impl Findings {
    /// Prints the findings as JSON if `--json` was given, else as text.
    ///
    /// # Errors
    /// As [`print_json`](crate::print_json).
    pub fn show<T: Serialize + Display + ?Sized>(&self, findings: &T) -> anyhow::Result<()> {
        if self.json {
            return crate::print_json(findings);
        }
        self.print(findings);
        Ok(())
    }

    /// Prints text as it is, without a line break of its own.
    pub fn print(&self, text: impl Display) {
        if self.on_stderr {
            eprint!("{text}");
        } else {
            print!("{text}");
        }
    }

    /// Whether the findings are wanted as JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }
}
