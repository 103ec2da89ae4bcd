//! `validate`, `fix` and `trials`: is what is there right?

use std::path::PathBuf;

use clap::Args;
use ffsvc_cli::{Failed, RangeArg as _, print_json};
use ffsvc_kaldi_io::{
    DataDir, FixOptions, NameList, OpenOptions, TrialColumns, Trials as TrialList, ValidateOptions,
};
use serde::Serialize;

use crate::shown::{SHOWN, shown};

/// Report everything that is wrong with a data directory
///
/// Checks the entries for missing audio files, duplicate and unsorted keys, utterances without a speaker, and speakers
/// without utterances. Checks the tables for contradictions between utt2spk and spk2utt, lines about utterances that
/// wav.scp or segments lacks, segments that are no part of a recording, and durations that are no numbers. Checks the text for empty lines, CR LF line ends, byte order marks
/// and bytes that are not UTF-8. Each problem is printed with its file and line. The exit status is 1 if there is any.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-data validate data/train
  data/train/utt2spk:17: duplicate key with another value: spk3-utt2
  1 x duplicate key with another value
  data/train: 1000 utterances, 50 speakers, 1 problem

`ffsvc-data fix` repairs what needs no decision of yours.")]
pub(crate) struct Validate {
    /// The data directory
    dir: PathBuf,

    /// Accept commands (`sph2pipe ... |`) in wav.scp; they are not run
    #[arg(long)]
    allow_pipes: bool,

    /// Do not look whether the audio files exist
    #[arg(long)]
    no_audio_check: bool,

    /// Print at most so many problems of a kind; default: 20 (all are in --json)
    #[arg(long, value_name = "N", range = SHOWN)]
    show: Option<usize>,
}

impl Validate {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let shown = shown(self.show, json)?;
        let options = ValidateOptions { allow_pipes: self.allow_pipes, check_audio: !self.no_audio_check };
        let report = DataDir::validate(&self.dir, options)?;
        if json {
            print_json(&report)?;
        } else {
            print!("{}", report.display(shown));
            let found = match report.problems.len() {
                0 => "no problem".to_owned(),
                1 => "1 problem".to_owned(),
                n => format!("{n} problems"),
            };
            let (utterances, speakers) = (report.utterances, report.speakers);
            println!("{}: {utterances} utterances, {speakers} speakers, {found}", self.dir.display());
        }
        if report.is_ok() { Ok(()) } else { Err(Failed.into()) }
    }
}

/// Repair a data directory in place
///
/// Sorts every table in byte order, unifies line ends, and removes byte order marks, empty lines and repeated lines.
/// Drops utterances without audio or speaker, those for which wav.scp or utt2spk has two values, segments that are no
/// part of a recording, and recordings without a segment. Drops lines of
/// other tables about missing utterances and speakers. Rebuilds spk2utt. Tables that change are first copied to
/// DIR/.backup. A directory in order is not touched.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-data fix data/train
  dropped spk3-utt2: utterance without a speaker in utt2spk
  wrote spk2utt utt2spk wav.scp; the former tables are in data/train/.backup
  data/train: 999 utterances, 1 dropped")]
pub(crate) struct Fix {
    /// The data directory
    dir: PathBuf,

    /// Also drop utterances whose audio file does not exist
    ///
    /// Not done by default, because a disk that is not mounted would empty the directory.
    #[arg(long)]
    skip_missing: bool,
}

impl Fix {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let options = FixOptions { drop_missing_audio: self.skip_missing };
        let report = DataDir::fix(&self.dir, options)?;
        if json {
            return print_json(&report);
        }
        for dropped in &report.dropped {
            println!("dropped {}: {}", dropped.utterance, dropped.reason);
        }
        if let Some(backup) = &report.backup {
            let (written, backup) = (report.written.join(" "), backup.display());
            println!("wrote {written}; the former tables are in {backup}");
        }
        let (dir, dropped) = (self.dir.display(), report.dropped.len());
        println!("{dir}: {} utterances, {dropped} dropped", report.utterances);
        Ok(())
    }
}

/// Check a list of trials and count them
///
/// A trial list has the columns `label enrolment test` or `enrolment test label`, with labels 1/0 or
/// target/nontarget, or `enrolment test`. The program finds out which; where two readings are possible, say so with
/// --trial-columns. A pair that is listed as a target and as a non-target is an error. Trials that repeat an earlier one,
/// and trials of an utterance with itself, are counted with a warning. With --data, every name must be an utterance of
/// the directory; a suffix .wav on one side only is passed over with a warning. LIST may be gzipped, a pipe, or -.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-data trials data/test/trials --data data/test
  trials       37611
  target       18802
  nontarget    18809
  names         4708")]
pub(crate) struct Trials {
    /// The trial list; - for standard input
    #[arg(value_name = "LIST")]
    list: PathBuf,

    /// Where the label is: auto, label-first, label-last or no-label
    #[arg(long, value_name = "ORDER", default_value = "auto")]
    trial_columns: TrialColumns,

    /// A data directory that must have every utterance of the list
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Accept commands (`sph2pipe ... |`) in the wav.scp of --data; they are not run
    #[arg(long, requires = "data")]
    allow_pipes: bool,
}

#[derive(Serialize)]
struct TrialCounts {
    trials: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nontarget: Option<usize>,
    names: usize,
    /// Trials of an utterance with itself.
    #[serde(skip_serializing_if = "NameList::is_empty")]
    self_trials: NameList,
    /// Trials that are there more than once.
    #[serde(skip_serializing_if = "NameList::is_empty")]
    repeated: NameList,
    /// Names that the data directory lacks, where one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Vec<String>>,
}

/// How many missing names the message lists.
const MISSING_SHOWN: usize = 10;

impl Trials {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let trials = TrialList::read(&self.list, self.trial_columns)?;
        let findings = trials.findings();
        for line in findings.lines() {
            tracing::warn!("{}: {line}", self.list.display());
        }
        let missing = match &self.data {
            Some(dir) => Some(self.names_missing_in(dir, &trials)?),
            None => None,
        };
        let is_complete = missing.as_ref().is_none_or(Vec::is_empty);
        let counts = TrialCounts {
            trials: trials.len(),
            target: trials.counts().map(|(target, _)| target),
            nontarget: trials.counts().map(|(_, nontarget)| nontarget),
            names: trials.names.len(),
            self_trials: findings.self_trials.clone(),
            repeated: findings.repeated.clone(),
            missing,
        };
        if json {
            print_json(&counts)?;
        } else {
            let missing = counts.missing.as_ref().map(Vec::len);
            let some = |count: usize| Some(count).filter(|&count| count > 0);
            for (name, count) in [
                ("trials", Some(counts.trials)),
                ("target", counts.target),
                ("nontarget", counts.nontarget),
                ("names", Some(counts.names)),
                ("self-trials", some(counts.self_trials.total())),
                ("repeated", some(counts.repeated.total())),
                ("missing", missing.and_then(some)),
            ] {
                if let Some(count) = count {
                    println!("{name:<11} {count:>6}");
                }
            }
        }
        if is_complete { Ok(()) } else { Err(Failed.into()) }
    }

    fn names_missing_in(&self, dir: &PathBuf, trials: &TrialList) -> anyhow::Result<Vec<String>> {
        let data = DataDir::open_with(dir, OpenOptions { allow_pipes: self.allow_pipes })?;
        let found = trials.resolve(|name| data.position(name));
        if found.by_suffix > 0 {
            tracing::warn!(
                "{} of {} names of {} have a .wav suffix that those of {} lack, or the other way round",
                found.by_suffix,
                trials.names.len(),
                self.list.display(),
                dir.display()
            );
        }
        let missing: Vec<String> = found.missing().map(|name| trials.names[name].clone()).collect();
        if !missing.is_empty() {
            tracing::error!(
                "{} of {} names are not in {}: {}{}",
                missing.len(),
                trials.names.len(),
                dir.display(),
                missing[..missing.len().min(MISSING_SHOWN)].join(" "),
                if missing.len() > MISSING_SHOWN { " ..." } else { "" }
            );
        }
        Ok(missing)
    }
}
