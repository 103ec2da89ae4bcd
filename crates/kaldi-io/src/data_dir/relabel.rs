//! A data directory with other speakers, or other recordings of the same utterances.

use std::borrow::Cow;

use super::companions::{Keys, read_all};
use super::{DataDir, Output};
use crate::{Error, Result};

impl DataDir {
    /// Writes the utterances that have a label, in byte order, with their labels as speakers (pseudo-labels, for
    /// instance), and returns their number. The other tables by utterance and recording follow; those by speaker do
    /// not, because they are about other speakers.
    ///
    /// `label` is asked once for each utterance.
    ///
    /// # Errors
    /// No utterance has a label; a label is empty or has white space; `output` has a data directory; a file cannot be read
    /// or written.
    pub fn relabel(&self, label: impl Fn(&str) -> Option<String>, output: &Output) -> Result<usize> {
        let utterances = self.utterance_table();
        let labels: Vec<Option<String>> = utterances.iter().map(|(utterance, _)| label(utterance)).collect();
        for (place, label) in labels.iter().enumerate() {
            if let Some(label) = label
                && (label.is_empty() || label.contains(char::is_whitespace))
            {
                let utterance = utterances.entry(place).map_or("", |(utterance, _)| utterance);
                let found = format!("the label {label:?} of {utterance}");
                return Err(Error::parse(&self.path, found, "a name without white space"));
            }
        }
        self.with_values("utt2spk", "label", labels, |keys| keys != Keys::Speakers, output)
    }

    /// Writes the utterances that have a new recording, with it as their entry of `wav.scp`, and returns their number. Speakers
    /// and the other tables follow, but for `segments` and what is about the recordings that they are of.
    ///
    /// # Errors
    /// No utterance has a recording; `output` has a data directory; a file cannot be read or written.
    pub fn with_recordings(
        &self,
        recording: impl Fn(&str) -> Option<String>,
        output: &Output,
    ) -> Result<usize> {
        let recordings = self.utterance_table().iter().map(|(utterance, _)| recording(utterance)).collect();
        let same_recordings = !self.has_segments();
        let follows = |keys| keys != Keys::Recordings || same_recordings;
        self.with_values("wav.scp", "recording", recordings, follows, output)
    }

    /// Writes the utterances that have a value, with the values (each a `value`, in words) in place of a table, and the other tables that follow.
    fn with_values(
        &self,
        table: &str,
        value: &str,
        values: Vec<Option<String>>,
        follows: impl Fn(Keys) -> bool,
        output: &Output,
    ) -> Result<usize> {
        let keep: Vec<bool> = values.iter().map(Option::is_some).collect();
        let kept = keep.iter().filter(|&&keep| keep).count();
        if kept == 0 {
            return Err(Error::invalid(&self.path, format!("no utterance has a {value}")));
        }
        output.check()?;
        let mut companions = read_all(&self.path)?;
        companions.retain(|(_, keys, _)| follows(*keys));
        let mut draft = self.draft(&companions, &keep);
        if table == "wav.scp" {
            draft.remove("segments");
        }
        let rows = self.utterance_table().iter().zip(values);
        let rows =
            rows.filter_map(|((utterance, _), value)| Some((Cow::Borrowed(utterance), Cow::Owned(value?))));
        draft.replace(table, rows);
        draft.write(output)?;
        Ok(kept)
    }
}
