//! A data directory in parts.

use std::cmp::Reverse;
use std::path::PathBuf;

use super::companions::read_all;
use super::{DataDir, Output};
use crate::{Error, Result};

/// What stays together when a directory is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitBy {
    /// All utterances of a speaker are in one part. The parts are as even as a greedy assignment makes them: the
    /// speaker with the most utterances goes first, each to the smallest part so far.
    Speakers,
    /// Consecutive utterances; the parts differ by at most one utterance.
    Utterances,
}

/// One part of a split directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its folder.
    pub path: PathBuf,
    /// Its number of utterances.
    pub utterances: usize,
}

impl DataDir {
    /// Splits the directory into `parts` of about the same number of utterances, the folders `1` to `N` of `output`.
    /// Other tables follow as in [`subset`](Self::subset).
    ///
    /// # Errors
    /// - There are fewer speakers or utterances than parts, or no parts.
    /// - The split is by speaker and the speakers are unknown.
    /// - A part has a data directory already.
    /// - A file cannot be read or written.
    pub fn split(&self, parts: usize, by: SplitBy, output: &Output) -> Result<Vec<Part>> {
        let assignment = match by {
            SplitBy::Speakers => self.assign_speakers(parts)?,
            SplitBy::Utterances => self.assign_utterances(parts)?,
        };
        let outputs: Vec<Output> = (1..=parts).map(|part| output.inside(&part.to_string())).collect();
        outputs.iter().try_for_each(Output::check)?;
        let companions = read_all(&self.path)?;
        let mut written = Vec::with_capacity(parts);
        for (part, output) in outputs.iter().enumerate() {
            let keep: Vec<bool> = assignment.iter().map(|&assigned| assigned == part).collect();
            self.draft(&companions, &keep).write(output)?;
            let utterances = keep.iter().filter(|&&keep| keep).count();
            written.push(Part { path: output.path().to_path_buf(), utterances });
        }
        Ok(written)
    }

    /// The part of each utterance, from 0.
    fn assign_utterances(&self, parts: usize) -> Result<Vec<usize>> {
        self.check_parts(parts, self.len(), "utterances")?;
        Ok((0..self.len())
            .map(|place| (place as u128 * parts as u128 / self.len() as u128) as usize)
            .collect())
    }

    fn assign_speakers(&self, parts: usize) -> Result<Vec<usize>> {
        self.need_speakers("a split by speaker")?;
        let mut groups = self.utterances_by_speaker();
        groups.retain(|utterances| !utterances.is_empty());
        self.check_parts(parts, groups.len(), "speakers")?;
        groups.sort_by_key(|utterances| Reverse(utterances.len()));
        let mut sizes = vec![0; parts];
        let mut assignment = vec![0; self.len()];
        for utterances in groups {
            let smallest = (0..parts).min_by_key(|&part| sizes[part]).unwrap_or(0);
            sizes[smallest] += utterances.len();
            utterances.into_iter().for_each(|place| assignment[place] = smallest);
        }
        Ok(assignment)
    }

    fn check_parts(&self, parts: usize, available: usize, of: &str) -> Result<()> {
        if (1..=available).contains(&parts) {
            return Ok(());
        }
        let message =
            format!("has {available} {of}, which cannot be split into {parts} parts; give 1 to {available}");
        Err(Error::invalid(&self.path, message))
    }
}
