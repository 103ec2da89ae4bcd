//! Options that name an output.

use std::ffi::OsStr;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use clap::builder::{TypedValueParser, ValueParserFactory};
use clap::{Arg, Command};
use ffsvc_atomic_file::Target;

/// The path by which [`ffsvc_atomic_file`] writes to standard output, wherever it leads.
const STDOUT: &str = "/dev/stdout";

/// The value of an option that writes a file of text. `-` is standard output.
///
/// It stands for its path: every function that writes by [`ffsvc_atomic_file`] takes it. Give it to
/// [`RunFiles`](crate::RunFiles), which says where the program's own findings go meanwhile.
///
/// ```
/// # use clap::Parser;
/// #[derive(Parser)]
/// struct Args {
///     /// Write 'enrolment test score' lines
///     #[arg(long, value_name = "FILE")]
///     scores_out: Option<ffsvc_cli::OutputFile>,
/// }
/// let args = Args::parse_from(["program", "--scores-out", "-"]);
/// assert!(args.scores_out.unwrap().is_stdout());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile(PathBuf);

/// The value of an option that writes what cannot go to a pipe: a store, a model, a picture, a folder. `-` is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPath(PathBuf);

impl OutputFile {
    /// The output with this name; `-` is standard output.
    pub fn new(name: impl AsRef<Path>) -> Self {
        let name = name.as_ref();
        Self(if name == Path::new("-") { STDOUT.into() } else { name.to_path_buf() })
    }

    /// Whether it is this process' standard output, by whatever name.
    pub fn is_stdout(&self) -> bool {
        Target::of(&self.0).is_ok_and(|target| target.is_stdout())
    }
}

impl OutputPath {
    /// The output with this name.
    pub fn new(name: impl Into<PathBuf>) -> Self {
        Self(name.into())
    }
}

macro_rules! path {
    ($type:ty) => {
        impl Deref for $type {
            type Target = Path;

            fn deref(&self) -> &Path {
                &self.0
            }
        }

        impl AsRef<Path> for $type {
            fn as_ref(&self) -> &Path {
                &self.0
            }
        }

        impl AsRef<OsStr> for $type {
            fn as_ref(&self) -> &OsStr {
                self.0.as_os_str()
            }
        }
    };
}
path!(OutputFile);
path!(OutputPath);

impl fmt::Display for OutputFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.as_os_str() == STDOUT { f.write_str("standard output") } else { self.0.display().fmt(f) }
    }
}

impl fmt::Display for OutputPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// Reads [`OutputFile`].
#[derive(Debug, Clone, Copy)]
pub struct OutputFileParser;

/// Reads [`OutputPath`].
#[derive(Debug, Clone, Copy)]
pub struct OutputPathParser;

impl ValueParserFactory for OutputFile {
    type Parser = OutputFileParser;

    fn value_parser() -> Self::Parser {
        OutputFileParser
    }
}

impl ValueParserFactory for OutputPath {
    type Parser = OutputPathParser;

    fn value_parser() -> Self::Parser {
        OutputPathParser
    }
}

impl TypedValueParser for OutputFileParser {
    type Value = OutputFile;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<OutputFile, clap::Error> {
        clap::builder::PathBufValueParser::new().parse_ref(command, arg, value).map(OutputFile::new)
    }
}

impl TypedValueParser for OutputPathParser {
    type Value = OutputPath;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<OutputPath, clap::Error> {
        let path = clap::builder::PathBufValueParser::new().parse_ref(command, arg, value)?;
        let refuse_dash = |text: &str| match text {
            "-" => Err("this output cannot go to standard output; name a file or folder"),
            _ => Ok(()),
        };
        if value == "-" {
            refuse_dash.parse_ref(command, arg, value)?;
        }
        Ok(OutputPath::new(path))
    }
}
