//! `ffsvc-data make-trials`: trials of a data directory's own utterances.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use clap::Args;
use ffsvc_cli::{OutputFile, Range, RangeArg as _, RunFiles, print_json};
use ffsvc_kaldi_io::{
    Condition, DataDir, Nontargets, OpenOptions, Relation, Table, TrialOptions, write_table,
};
use serde_json::json;

/// Range of `--same-gender`.
const SHARE: Range<f64> = Range::of(0.0, 1.0);
/// Range of `--enrol-utterances`.
const UTTERANCES: Range<usize> = Range::at_least(1);

/// Make a list of trials of the utterances of a data directory
///
/// Draws pairs of different utterances, never a pair twice in whichever order, and writes 'label enrolment test' with
/// the labels 1 and 0. The same options and seed give the same list.
///
/// --enrol and --test say which utterances may stand on each side, by their values in a table: near-field recordings
/// enrol, far-field recordings are tested. --same and --different say what holds between the two sides of each trial: the
/// same device, another session. Each may be repeated; a trial fulfils all of them. With --enrol-utterances, N utterances
/// of a speaker enrol together: the first name of a trial is then the speaker's, and --models-out writes who enrols with
/// what, for `ffsvc-score --enrolment`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ffsvc-data make-trials data/dev --targets 10000 --nontargets 10000 --output data/dev/trials
  data/dev/trials: 10000 target and 10000 nontarget trials
  ffsvc-data make-trials data/dev --same-gender 1 --output data/dev/trials_hard
  ffsvc-data make-trials data/dev --enrol utt2distance=0.25M --test utt2distance=3M,5M --output data/dev/trials_far
  ffsvc-data make-trials data/dev --enrol utt2distance=0.25M --enrol utt2device=I --test utt2distance=3M,5M \\
      --different utt2visit --output data/dev/trials_other_day
  ffsvc-data make-trials data/dev --enrol-utterances 3 --models-out data/dev/models --output data/dev/trials_3

A TABLE without a folder is one of the data directory's own.")]
pub(crate) struct MakeTrials {
    /// The data directory, with utt2spk
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// The list to write; - for standard output
    #[arg(short, long, value_name = "FILE")]
    output: OutputFile,

    /// Target trials: a number, or all
    #[arg(long, value_name = "N", default_value = "all")]
    targets: Count,

    /// Non-target trials: a number, or all; default: as many as target trials, or all if there are fewer
    #[arg(long, value_name = "N")]
    nontargets: Option<Count>,

    /// Share of non-target trials whose speakers are of one gender by spk2gender, 0 to 1; default: as it comes
    #[arg(long, value_name = "SHARE", range = SHARE)]
    same_gender: Option<f64>,

    /// Only utterances with one of these values in a table enrol (may be repeated)
    #[arg(long, value_name = "TABLE=VALUE,...")]
    enrol: Vec<Where>,

    /// Only utterances with one of these values in a table are tested (may be repeated)
    #[arg(long, value_name = "TABLE=VALUE,...")]
    test: Vec<Where>,

    /// Only trials whose utterances have the same value in a table (may be repeated)
    #[arg(long, value_name = "TABLE")]
    same: Vec<PathBuf>,

    /// Only trials whose utterances have different values in a table (may be repeated)
    #[arg(long, value_name = "TABLE")]
    different: Vec<PathBuf>,

    /// So many utterances of a speaker enrol together
    #[arg(long, value_name = "N", requires = "models_out", range = UTTERANCES)]
    enrol_utterances: Option<usize>,

    /// Write who enrols with which utterances: 'speaker utterance utterance ...'
    #[arg(long, value_name = "FILE", requires = "enrol_utterances")]
    models_out: Option<OutputFile>,

    /// Seed of every choice
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Accept commands (`sph2pipe ... |`) in wav.scp; they are not run
    #[arg(long)]
    allow_pipes: bool,
}

#[derive(Debug, Clone, Copy)]
struct Count(Option<u64>);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self(None)),
            _ => text
                .parse()
                .map(|count| Self(Some(count)))
                .map_err(|_| "expected a number, or all".to_owned()),
        }
    }
}

#[derive(Debug, Clone)]
struct Where {
    table: PathBuf,
    values: Vec<String>,
}

impl FromStr for Where {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected TABLE=VALUE or TABLE=VALUE,VALUE, such as utt2distance=3M,5M".to_owned();
        let (table, values) = text.rsplit_once('=').ok_or_else(wrong)?;
        let values: Vec<String> = values.split(',').map(str::to_owned).collect();
        if table.is_empty() || values.iter().any(String::is_empty) {
            return Err(wrong());
        }
        Ok(Self { table: table.into(), values })
    }
}

impl MakeTrials {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let findings = RunFiles::new()
            .input("DIR", ["wav.scp", "utt2spk", "spk2utt", "spk2gender"].map(|table| self.dir.join(table)))
            .input("--enrol", self.enrol.iter().map(|one| self.table(&one.table)))
            .input("--test", self.test.iter().map(|one| self.table(&one.table)))
            .input("--same", self.same.iter().map(|table| self.table(table)))
            .input("--different", self.different.iter().map(|table| self.table(table)))
            .output("--output", [&self.output])
            .output("--models-out", &self.models_out)
            .check(json)?;
        let dir = DataDir::open_with(&self.dir, OpenOptions { allow_pipes: self.allow_pipes })?;
        let mut options = TrialOptions::default();
        options.targets = self.targets.0;
        options.nontargets = match self.nontargets {
            Some(Count(Some(count))) => Nontargets::Number(count),
            Some(Count(None)) => Nontargets::All,
            None => Nontargets::AsTargets,
        };
        options.same_gender = self.same_gender;
        options.enrolment = self.conditions("--enrol", &self.enrol)?;
        options.test = self.conditions("--test", &self.test)?;
        let relations = |option, tables: &[PathBuf], relation: fn(Table) -> Relation| {
            let read = |table: &PathBuf| self.read(option, table).map(relation);
            tables.iter().map(read).collect::<anyhow::Result<Vec<_>>>()
        };
        options.relations = relations("--same", &self.same, Relation::Same)?;
        options.relations.extend(relations("--different", &self.different, Relation::Different)?);
        options.enrol_utterances = self.enrol_utterances;
        options.seed = self.seed;
        let made = dir.make_trials(&options)?;
        if let Some(path) = &self.models_out {
            write_table(path, made.models.iter().map(|(model, names)| (model, names.join(" "))))?;
        }
        made.trials.write(&self.output)?;
        let (target, nontarget) = made.trials.counts().unwrap_or_default();
        if json {
            return print_json(&json!({
                "trials": made.trials.len(),
                "target": target,
                "nontarget": nontarget,
                "names": made.trials.names.len(),
                "models": made.models.len(),
            }));
        }
        findings.print(format!("{}: {target} target and {nontarget} nontarget trials\n", self.output));
        Ok(())
    }

    /// A table without a folder is the data directory's.
    fn table(&self, table: &Path) -> PathBuf {
        let is_name = table.parent().is_some_and(|folder| folder.as_os_str().is_empty());
        if is_name { self.dir.join(table) } else { table.to_path_buf() }
    }

    fn read(&self, option: &str, table: &Path) -> anyhow::Result<Table> {
        Table::read(self.table(table)).with_context(|| format!("the table of {option}"))
    }

    fn conditions(&self, option: &str, conditions: &[Where]) -> anyhow::Result<Vec<Condition>> {
        let read = |condition: &Where| {
            let table = self.read(option, &condition.table)?;
            Ok(Condition { table, values: condition.values.clone() })
        };
        conditions.iter().map(read).collect()
    }
}
