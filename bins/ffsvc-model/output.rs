use std::path::{Path, PathBuf};

use clap::Args;

/// The main result's file, by option or as the last argument.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// File to write, instead of --output
    #[arg(value_name = "OUT", required_unless_present = "output", conflicts_with = "output")]
    out: Option<PathBuf>,
}

impl Output {
    /// The file; clap has seen to it that there is one.
    pub(crate) fn path(&self) -> &Path {
        self.output.as_deref().or(self.out.as_deref()).unwrap_or(Path::new(""))
    }
}
