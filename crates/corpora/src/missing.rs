//! Recordings that a list of the corpus names and that are not there.

use std::path::{Path, PathBuf};

use ffsvc_kaldi_io::Trials;

use crate::files::in_words;
use crate::{Error, Prepared, Result, Tally};

/// What to do about them.
pub(crate) struct Missing<'a> {
    /// The list.
    pub(crate) list: &'a Path,
    /// Where the recordings should be.
    pub(crate) folders: &'a [PathBuf],
    /// Go on without them.
    pub(crate) allowed: bool,
}

impl Missing<'_> {
    /// Notes those of `listed` names that are missing, or fails if there are some and they are not allowed.
    pub(crate) fn note(&self, listed: usize, missing: Tally, prepared: &mut Prepared) -> Result<()> {
        if !missing.is_empty() && !self.allowed {
            let (list, folders) = (self.list.display().to_string(), in_words(self.folders));
            return Err(Error::Missing { list, listed, missing, folders });
        }
        prepared.missing.merge(missing);
        Ok(())
    }

    /// As [`note`](Self::note) for the names of trials, and drops the trials that cannot be scored.
    pub(crate) fn drop_trials(
        &self,
        trials: &mut Trials,
        is_there: impl Fn(&str) -> bool,
        prepared: &mut Prepared,
    ) -> Result<()> {
        let known: Vec<bool> = trials.names.iter().map(|name| is_there(name)).collect();
        let mut missing = Tally::default();
        let names = trials.names.iter().zip(&known);
        names.filter(|(_, known)| !**known).for_each(|(name, _)| missing.add(name));
        if missing.is_empty() {
            return Ok(());
        }
        self.note(trials.names.len(), missing, prepared)?;
        let keep: Vec<bool> =
            trials.pairs.iter().map(|&(enrol, test)| known[enrol as usize] && known[test as usize]).collect();
        prepared.dropped_trials += keep.iter().filter(|keep| !**keep).count();
        let mut flags = keep.iter();
        trials.pairs.retain(|_| flags.next() == Some(&true));
        if let Some(labels) = &mut trials.labels {
            let mut flags = keep.iter();
            labels.retain(|_| flags.next() == Some(&true));
        }
        if trials.is_empty() {
            return Err(Error::Content {
                list: self.list.to_path_buf(),
                found: "no trial whose recordings are there".into(),
                expected: "some",
            });
        }
        Ok(())
    }
}
