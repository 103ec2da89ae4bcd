//! A data directory with other speakers.

use std::borrow::Cow;

use super::companions::{Keys, read_all};
use super::{DataDir, Output};
use crate::{Error, Result};

impl DataDir {
    /// Writes the utterances that have a label, in byte order, with their labels as speakers (pseudo-labels, for
    /// instance), and returns their number. The other tables by utterance follow; those by speaker do not, because they
    /// are about other speakers.
    ///
    /// `label` is asked once for each utterance.
    ///
    /// # Errors
    /// No utterance has a label; a label is empty or has white space; `output` has a data directory; a file cannot be read
    /// or written.
    pub fn relabel(&self, label: impl Fn(&str) -> Option<String>, output: &Output) -> Result<usize> {
        let labels: Vec<Option<String>> = self.wav.iter().map(|(utterance, _)| label(utterance)).collect();
        for (place, label) in labels.iter().enumerate() {
            if let Some(label) = label
                && (label.is_empty() || label.contains(char::is_whitespace))
            {
                let utterance = self.wav.entry(place).map_or("", |(utterance, _)| utterance);
                let found = format!("the label {label:?} of {utterance}");
                return Err(Error::parse(&self.path, found, "a name without white space"));
            }
        }
        let keep: Vec<bool> = labels.iter().map(Option::is_some).collect();
        let kept = keep.iter().filter(|&&keep| keep).count();
        if kept == 0 {
            return Err(Error::invalid(&self.path, "no utterance has a label"));
        }
        output.check()?;
        let mut companions = read_all(&self.path)?;
        companions.retain(|(_, keys, _)| *keys == Keys::Utterances);
        let mut draft = self.draft(&companions, &keep);
        let rows = self.wav.iter().zip(labels);
        let rows =
            rows.filter_map(|((utterance, _), label)| Some((Cow::Borrowed(utterance), Cow::Owned(label?))));
        draft.replace("utt2spk", rows);
        draft.write(output)?;
        Ok(kept)
    }
}
