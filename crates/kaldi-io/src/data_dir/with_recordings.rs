//! A data directory with other recordings of the same utterances.

use std::borrow::Cow;

use super::companions::read_all;
use super::{DataDir, Output};
use crate::{Error, Result};

impl DataDir {
    /// Writes the utterances that have a new recording, with it as their entry of `wav.scp`, and returns their number. Speakers
    /// and the other tables follow.
    ///
    /// # Errors
    /// No utterance has a recording; `output` has a data directory; a file cannot be read or written.
    pub fn with_recordings(
        &self,
        recording: impl Fn(&str) -> Option<String>,
        output: &Output,
    ) -> Result<usize> {
        let recordings: Vec<Option<String>> =
            self.wav.iter().map(|(utterance, _)| recording(utterance)).collect();
        let keep: Vec<bool> = recordings.iter().map(Option::is_some).collect();
        let kept = keep.iter().filter(|&&keep| keep).count();
        if kept == 0 {
            return Err(Error::invalid(&self.path, "no utterance has a recording"));
        }
        output.check()?;
        let companions = read_all(&self.path)?;
        let mut draft = self.draft(&companions, &keep);
        let rows = self.wav.iter().zip(recordings);
        let rows = rows.filter_map(|((utterance, _), recording)| {
            Some((Cow::Borrowed(utterance), Cow::Owned(recording?)))
        });
        draft.replace("wav.scp", rows);
        draft.write(output)?;
        Ok(kept)
    }
}
