//! The development and evaluation sets of FFSVC2022.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use ffsvc_kaldi_io::{DataDir, Output, TrialColumns, Trials};

use crate::ffsvc_names::FfsvcMeta;

use crate::ffsvc2020::tables;
use crate::files::{Recordings, wav_stem};
use crate::missing::Missing;
use crate::{Error, Prepared, Result, Tally};

/// The development set: recordings under anonymous names (`dev/ffsvc22_dev_000000.wav`), the list that says what they are,
/// and trials.
#[derive(Debug)]
pub struct Ffsvc2022Dev<'a> {
    /// Folders of the recordings.
    pub sources: &'a [PathBuf],
    /// `dev_meta_list`.
    pub meta: &'a Path,
    /// `trials_dev_keys`, or `trials_dev` without labels.
    pub trials: &'a Path,
    /// Leave out recordings that the list names and that are not there, and their trials, instead of failing.
    pub allow_missing: bool,
}

impl Ffsvc2022Dev<'_> {
    /// Writes `wav.scp`, `utt2spk`, `spk2utt`, the tables of what names say (`utt2device`, `utt2distance`, `utt2visit`,
    /// `utt2group`) and `trials`, whose names lose their `.wav`.
    ///
    /// # Errors
    /// - A list cannot be read, or a trial has a recording that `dev_meta_list` lacks.
    /// - Recordings are missing, none is there, or one is there twice.
    /// - `output` has a data directory.
    /// - A file cannot be written.
    pub fn prepare(&self, output: &Output) -> Result<Prepared> {
        output.check()?;
        let meta = FfsvcMeta::read(self.meta)?;
        let said: HashMap<&str, _> = meta.iter().collect();
        let mut trials = read_trials(self.trials)?;
        if let Some(name) = trials.names.iter().find(|name| !said.contains_key(name.as_str())) {
            return Err(Error::Content {
                list: self.trials.to_path_buf(),
                found: format!("{name:?}, which {} lacks", self.meta.display()),
                expected: "trials of its recordings",
            });
        }
        let example = "ffsvc22_dev_000000.wav";
        let found =
            find("FFSVC2022's development set", example, self.sources, |name| said.contains_key(name))?;
        let mut prepared = Prepared { surplus: found.surplus.clone(), ..Prepared::default() };
        let mut missing = Tally::default();
        let absent = meta.iter().filter(|(name, _)| !found.files.contains_key(*name));
        absent.for_each(|(name, _)| missing.add(name));
        let rule = |list| Missing { list, folders: self.sources, allowed: self.allow_missing };
        rule(self.meta).note(said.len(), missing, &mut prepared)?;
        // They are counted; their trials remain to be dropped.
        let counted = std::mem::take(&mut prepared.missing);
        rule(self.trials).drop_trials(&mut trials, |name| found.files.contains_key(name), &mut prepared)?;
        prepared.missing = counted;

        let there = found.files.keys().filter_map(|name| Some((name.as_str(), *said.get(name.as_str())?)));
        prepared.speakers = Some(there.clone().map(|(_, name)| name.speaker).collect::<BTreeSet<_>>().len());
        let mut tables = tables(there, true);
        tables.push(("wav.scp", found.wav_scp()?));
        write(tables, &trials, found.files.len(), output, &mut prepared)?;
        Ok(prepared)
    }
}

/// The evaluation set: recordings that `trials_eval` names, of unknown speakers.
#[derive(Debug)]
pub struct Ffsvc2022Eval<'a> {
    /// Folders of the recordings.
    pub sources: &'a [PathBuf],
    /// `trials_eval`: two columns.
    pub trials: &'a Path,
}

impl Ffsvc2022Eval<'_> {
    /// Writes `wav.scp` and `trials`. Names in `trials` lose their `.wav`. The order stays, because scores are
    /// submitted in this order.
    ///
    /// # Errors
    /// - The list cannot be read.
    /// - A recording that it names is missing, or there twice. There is no option to continue without it, because all
    ///   scores are to be submitted.
    /// - `output` has a data directory.
    /// - A file cannot be written.
    pub fn prepare(&self, output: &Output) -> Result<Prepared> {
        output.check()?;
        let mut trials = read_trials(self.trials)?;
        let named: BTreeSet<String> = trials.names.iter().cloned().collect();
        let corpus = "FFSVC2022's evaluation set";
        let found = find(corpus, "those in trials_eval", self.sources, |name| named.contains(name))?;
        let mut prepared = Prepared { surplus: found.surplus.clone(), ..Prepared::default() };
        let missing = Missing { list: self.trials, folders: self.sources, allowed: false };
        missing.drop_trials(&mut trials, |name| found.files.contains_key(name), &mut prepared)?;
        write(vec![("wav.scp", found.wav_scp()?)], &trials, found.files.len(), output, &mut prepared)?;
        Ok(prepared)
    }
}

/// Trials by names without `.wav`.
fn read_trials(list: &Path) -> Result<Trials> {
    let mut trials = Trials::read(list, TrialColumns::Auto)?;
    for name in &mut trials.names {
        if let Some(stem) = name.strip_suffix(".wav") {
            *name = stem.to_owned();
        }
    }
    Ok(trials)
}

fn find(
    corpus: &'static str,
    example: &'static str,
    sources: &[PathBuf],
    is_named: impl Fn(&str) -> bool,
) -> Result<Recordings> {
    let name = |path: &Path| wav_stem(path).filter(|stem| is_named(stem)).map(str::to_owned);
    Recordings::find(sources, name)?.expect_some(corpus, example, sources)
}

/// The trials first: a folder with `wav.scp` is complete.
fn write(
    tables: Vec<(&'static str, Vec<(String, String)>)>,
    trials: &Trials,
    utterances: usize,
    output: &Output,
    prepared: &mut Prepared,
) -> Result<()> {
    let path = output.path().join("trials");
    crate::sound_lists::make_folder(output.path())?;
    trials.write(&path)?;
    DataDir::create(tables, output)?;
    prepared.wrote(output.path(), utterances, "utterances");
    prepared.wrote(path, trials.len(), "trials");
    Ok(())
}
