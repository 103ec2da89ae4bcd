//! `combine`, `subset` and `split`: new data directories from old ones.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use ffsvc_cli::{OutputPath, Range, RangeArg as _, RunFiles, UsageError, print_json};
use ffsvc_kaldi_io::{
    CombineOptions, DataDir, OpenOptions, Output, Pick, Selection, Source, SplitBy, read_name_list,
};
use serde_json::json;

/// Range of numbers of utterances and of parts.
const COUNT: Range<usize> = Range::at_least(1);

#[derive(Debug, Args)]
struct Target {
    /// The folder to write to; created if it does not exist
    #[arg(short, long, value_name = "DIR")]
    output: OutputPath,

    /// Replace a data directory that is there already
    #[arg(long)]
    overwrite: bool,

    /// Accept commands (`sph2pipe ... |`) in wav.scp; they are not run
    #[arg(long)]
    allow_pipes: bool,
}

impl Target {
    fn output(&self) -> Output {
        Output::new(&self.output).overwrite(self.overwrite)
    }

    /// Checks that the folder can be written to and is none of those that are read.
    fn check<'a>(
        &self,
        dirs: impl IntoIterator<Item = &'a PathBuf>,
        lists: RunFiles,
        json: bool,
    ) -> Result<(), UsageError> {
        lists.input("DIR", dirs).output_folder("--output", [&self.output]).check(json).map(drop)
    }

    fn options(&self) -> OpenOptions {
        OpenOptions { allow_pipes: self.allow_pipes }
    }
}

/// Make one data directory of several
///
/// An utterance or a speaker that two of them have is an error. Give each a prefix, one --prefix for each
/// directory in their order, or say with --shared-speakers that equal names of speakers mean the same person. The
/// prefix is put before names as it is: write `--prefix noisy-` for `noisy-utt1`; an empty one (--prefix '') leaves
/// a directory's names alone. Tables that only some of the directories have are left out; but if one has segments, the
/// utterances of the others become segments, each of its whole recording.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example, labelled speech and the clusters found in unlabelled speech:
  ffsvc-data combine data/labelled data/clusters --prefix '' --prefix pseudo- --output data/train
  data/train: 68543 utterances, 410 speakers")]
pub(crate) struct Combine {
    /// The data directories
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,

    /// Put before the names of the corresponding directory (once for each directory, or not at all)
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true)]
    prefix: Vec<String>,

    /// A speaker's name in two directories means the same person; speakers get no prefix
    #[arg(long)]
    shared_speakers: bool,

    #[command(flatten)]
    target: Target,
}

impl Combine {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let (count, prefixes) = (self.dirs.len(), self.prefix.len());
        if prefixes != 0 && prefixes != count {
            let message =
                format!("found {prefixes} --prefix for {count} directories, expected {count} or none");
            return Err(UsageError::new(message).into());
        }
        self.target.check(&self.dirs, RunFiles::new(), json)?;
        let dirs: Vec<DataDir> = self
            .dirs
            .iter()
            .map(|path| DataDir::open_with(path, self.target.options()))
            .collect::<Result<_, _>>()?;
        let prefixes = self.prefix.iter().map(String::as_str).chain(std::iter::repeat(""));
        let sources: Vec<Source<'_>> =
            dirs.iter().zip(prefixes).map(|(dir, prefix)| Source { dir, prefix }).collect();
        let options = CombineOptions { shared_speakers: self.shared_speakers };
        let combined = DataDir::combine(&sources, options, &self.target.output())?;
        for table in &combined.left_out {
            tracing::warn!("{table} is left out: not every directory has it");
        }
        if json {
            return print_json(&combined);
        }
        let output = self.target.output.display();
        println!("{output}: {} utterances, {} speakers", combined.utterances, combined.speakers);
        Ok(())
    }
}

/// Write a part of a data directory
///
/// Choose by a list of speakers or utterances, or by number, in all or for each speaker. Numbers take the first
/// utterances in the order of wav.scp; with --seed, random ones, always the same for the same seed. The other
/// tables by utterance (utt2*, text, feats.scp, vad.scp), by speaker (spk2*) and by recording (reco2*) follow, and
/// the recordings of segments.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ffsvc-data subset data/train --speakers held-out.txt --output data/dev
  ffsvc-data subset data/train --per-speaker 10 --seed 1 --output data/train-10
  data/train-10: 500 of 12000 utterances")]
#[command(group = clap::ArgGroup::new("selection").required(true))]
pub(crate) struct Subset {
    /// The data directory
    dir: PathBuf,

    /// All utterances of the speakers in this list (the first word of each line)
    #[arg(long, value_name = "FILE", group = "selection")]
    speakers: Option<PathBuf>,

    /// The utterances in this list (the first word of each line)
    #[arg(long, value_name = "FILE", group = "selection")]
    utterances: Option<PathBuf>,

    /// All but those of the list: to hold speakers out, for example
    #[arg(long, conflicts_with_all = ["per_speaker", "count"])]
    except: bool,

    /// So many utterances of each speaker; all of a speaker who has fewer
    #[arg(long, value_name = "N", group = "selection", range = COUNT)]
    per_speaker: Option<usize>,

    /// So many utterances in all
    #[arg(long, value_name = "N", group = "selection", range = COUNT)]
    count: Option<usize>,

    /// Choose utterances at random instead of the first ones
    #[arg(long, value_name = "N", conflicts_with_all = ["speakers", "utterances"])]
    seed: Option<u64>,

    #[command(flatten)]
    target: Target,
}

impl Subset {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let lists =
            RunFiles::new().input("--speakers", &self.speakers).input("--utterances", &self.utterances);
        self.target.check([&self.dir], lists, json)?;
        let pick = self.seed.map_or(Pick::First, |seed| Pick::Random { seed });
        let selection = match (&self.speakers, &self.utterances, self.per_speaker, self.count) {
            (Some(list), ..) if self.except => Selection::AllButSpeakers(read_name_list(list)?),
            (_, Some(list), ..) if self.except => Selection::AllButUtterances(read_name_list(list)?),
            (Some(list), ..) => Selection::Speakers(read_name_list(list)?),
            (_, Some(list), ..) => Selection::Utterances(read_name_list(list)?),
            (_, _, Some(count), _) => Selection::PerSpeaker(count, pick),
            (.., Some(count)) => Selection::Count(count, pick),
            _ => return Err(UsageError::new("nothing says which utterances").into()),
        };
        let dir = DataDir::open_with(&self.dir, self.target.options())?;
        let kept = dir.subset(&selection, &self.target.output())?;
        if json {
            return print_json(&json!({ "utterances": kept, "of": dir.len() }));
        }
        println!("{}: {kept} of {} utterances", self.target.output.display(), dir.len());
        Ok(())
    }
}

/// What stays together.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Together {
    /// Each speaker is in one part
    Speakers,
    /// Consecutive utterances, in parts of equal size
    Utterances,
}

/// Split a data directory into parts
///
/// Writes the folders 1 to N of the output, with about the same number of utterances each. Use --keep-together
/// utterances for parallel jobs. Use --keep-together speakers for cross-validation, with no speaker in two parts.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-data split data/train --parts 2 --keep-together speakers --output data/train-split
  data/train-split/1: 503 utterances
  data/train-split/2: 497 utterances")]
pub(crate) struct Split {
    /// The data directory
    dir: PathBuf,

    /// Number of parts
    #[arg(long, value_name = "N", range = COUNT)]
    parts: usize,

    /// What stays together
    #[arg(long, value_enum, value_name = "WHAT", default_value = "speakers")]
    keep_together: Together,

    #[command(flatten)]
    target: Target,
}

impl Split {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        self.target.check([&self.dir], RunFiles::new(), json)?;
        let dir = DataDir::open_with(&self.dir, self.target.options())?;
        let by = match self.keep_together {
            Together::Speakers => SplitBy::Speakers,
            Together::Utterances => SplitBy::Utterances,
        };
        let parts = dir.split(self.parts, by, &self.target.output())?;
        if json {
            let parts: Vec<_> = parts
                .iter()
                .map(|part| json!({ "path": part.path.display().to_string(), "utterances": part.utterances }))
                .collect();
            return print_json(&parts).context("the parts are written");
        }
        for part in parts {
            println!("{}: {} utterances", part.path.display(), part.utterances);
        }
        Ok(())
    }
}
