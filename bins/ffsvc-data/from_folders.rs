//! `ffsvc-data from-folders`: a tree of recordings into a data directory.

use std::path::PathBuf;

use clap::Args;
use ffsvc_cli::{OutputPath, Range, RangeArg as _, RunFiles, print_json};
use ffsvc_corpora::{Folders, Layout, Output, PathPattern};

use crate::prepare::warn_of;

/// Range of `--speaker-depth`.
const DEPTH: Range<u8> = Range::of(1, 32);

/// Make a data directory of a tree of recordings
///
/// Every recording below DIR becomes an utterance. A folder says who speaks: the first below DIR, or the one that
/// --speaker-depth or --pattern names. An utterance is named by its speaker and its path, so names differ; white space in
/// them becomes _. Paths in wav.scp begin with DIR as it is given here.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ffsvc-data from-folders recordings data/train
  data/train: 12000 utterances, 50 speakers

  recordings/F/spk01/monday/phone_001.flac, with tables utt2gender, utt2session and utt2device:
  ffsvc-data from-folders recordings data/train --pattern '{gender}/{speaker}/{session}/{device}_{utterance}'

Endings that are taken for recordings: wav, flac, m4a, mp3, ogg, sph, au, w64. Files on other levels than the pattern's are left out
with a warning.")]
pub(crate) struct FromFolders {
    /// The tree of recordings
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// The data directory to write
    #[arg(value_name = "OUT")]
    out: OutputPath,

    /// Level of the folder that is the speaker: 1 is the first below DIR
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "pattern", range = DEPTH)]
    speaker_depth: u8,

    /// What the parts of a path mean, without the file's ending
    ///
    /// {speaker} is the speaker; every other {name} but {utterance} becomes a table utt2NAME; * is any text.
    #[arg(long, value_name = "PATTERN")]
    pattern: Option<PathPattern>,

    /// Replace the tables of a data directory that is there already
    #[arg(long)]
    overwrite: bool,
}

impl FromFolders {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        RunFiles::new().input("DIR", [&self.dir]).output_folder("OUT", [&self.out]).check(json)?;
        let layout = match self.pattern {
            Some(pattern) => Layout::Pattern(pattern),
            None => Layout::SpeakerDepth(self.speaker_depth.into()),
        };
        let output = Output::new(&self.out).overwrite(self.overwrite);
        let prepared = Folders { folder: &self.dir, layout }.prepare(&output)?;
        warn_of(&prepared, "their paths have another layout");
        if json {
            return print_json(&prepared);
        }
        print!("{prepared}");
        Ok(())
    }
}
