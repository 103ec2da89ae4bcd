use std::path::Path;

use clap::Args;
use ffsvc_cli::{OutputPath, RunFiles, UsageError};

/// The main result's file, by option or as the last argument.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: Option<OutputPath>,

    /// File to write, instead of --output
    #[arg(value_name = "OUT", conflicts_with = "output")]
    out: Option<OutputPath>,
}

impl Output {
    /// The file; [`of`](Self::of) has seen to it that there is one.
    pub(crate) fn path(&self) -> &Path {
        self.output.as_deref().or(self.out.as_deref()).unwrap_or(Path::new(""))
    }

    /// Adds it to the files of the run.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn of(&self, files: RunFiles) -> Result<RunFiles, UsageError> {
        if self.output.is_none() && self.out.is_none() {
            return Err(UsageError::new(
                "no file to write: give --output FILE, or the file as the last argument",
            ));
        }
        Ok(files.regular_output("--output", &self.output).regular_output("OUT", &self.out))
    }
}
