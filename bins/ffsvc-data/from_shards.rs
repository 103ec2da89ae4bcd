//! `ffsvc-data from-shards`: WeSpeaker's shards as a data directory.

use std::path::PathBuf;

use clap::Args;
use ffsvc_cli::{OutputPath, RunFiles, print_json};
use ffsvc_corpora::{Output, Shards};

use crate::prepare::warn_of;

/// Make a data directory of WeSpeaker's shards
///
/// LIST names tar files, one on a line, as tools/make_shard_list.py of WeSpeaker writes them. They stay as they are. wav.scp names each
/// recording by its place, FILE.tar:OFFSET. All programs read such directories like any other, and training gives the same
/// bytes as with the files outside of shards. Reads the headers of the tar files once.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-data from-shards data/vox2_dev/shard.list data/train
  data/train: 1092009 utterances, 5994 speakers

Paths of the list are relative to the working directory, now and whenever data/train is read.")]
pub(crate) struct FromShards {
    /// The list of tar files
    #[arg(value_name = "LIST")]
    list: PathBuf,

    /// The data directory to write
    #[arg(value_name = "OUT")]
    out: OutputPath,

    /// Replace the tables of a data directory that is there already
    #[arg(long)]
    overwrite: bool,
}

impl FromShards {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        RunFiles::new().input("LIST", [&self.list]).output_folder("OUT", [&self.out]).check(json)?;
        let output = Output::new(&self.out).overwrite(self.overwrite);
        let prepared = Shards { list: &self.list }.prepare(&output)?;
        warn_of(&prepared, "they are neither a recording nor a speaker");
        if json {
            return print_json(&prepared);
        }
        print!("{prepared}");
        Ok(())
    }
}
