//! A data directory whose utterances are cut into parts.

use std::borrow::Cow;
use std::collections::HashSet;

use super::companions::{Keys, read_all};
use super::{DataDir, Output, Segment};
use crate::{Error, Result};

impl DataDir {
    /// Writes a directory with `segments`: the parts that `parts` gives for an utterance, from one time to another in seconds
    /// from its start. Returns their number. An utterance without a part is left out.
    ///
    /// A part is named by its utterance, its start and its end in hundredths of a second, `utt1-0000125-0000480`. Its speaker is
    /// that of the utterance. The tables by speaker and recording follow. Those by utterance do not, because they are about
    /// other utterances.
    ///
    /// ```
    /// use ffsvc_kaldi_io::{DataDir, Output};
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// std::fs::write(folder.join("wav.scp"), "call a.wav\n")?;
    /// let out = folder.join("parts");
    /// DataDir::open(folder)?.cut(|_| vec![(1.25, 4.8), (5.0, 6.5)], &Output::new(&out))?;
    /// let segments = std::fs::read_to_string(out.join("segments"))?;
    /// assert_eq!(segments, "call-0000125-0000480 call 1.25 4.8\ncall-0000500-0000650 call 5 6.5\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - No utterance has a part.
    /// - A part does not end after it begins, begins before its utterance, or has the name of another.
    /// - `output` has a data directory.
    /// - A file cannot be read or written.
    pub fn cut(&self, parts: impl Fn(&str) -> Vec<(f64, f64)>, output: &Output) -> Result<usize> {
        output.check()?;
        let mut keep = vec![false; self.len()];
        let (mut segments, mut speakers) = (Vec::new(), Vec::new());
        let mut names = HashSet::new();
        for (place, utterance) in self.utterances().enumerate() {
            let offset_s = utterance.segment.map_or(0.0, |segment| segment.start_s);
            for (from_s, to_s) in parts(utterance.id) {
                if !(from_s >= 0.0 && to_s > from_s && to_s.is_finite()) {
                    let message = format!("the part from {from_s} s to {to_s} s of {} is none", utterance.id);
                    return Err(Error::invalid(&self.path, message));
                }
                keep[place] = true;
                let hundredths = |seconds: f64| (seconds * 100.0).round() as u64;
                let name = format!("{}-{:07}-{:07}", utterance.id, hundredths(from_s), hundredths(to_s));
                if !names.insert(name.clone()) {
                    return Err(Error::invalid(&self.path, format!("two parts have the name {name}")));
                }
                let segment =
                    Segment { start_s: rounded(offset_s + from_s), end_s: Some(rounded(offset_s + to_s)) };
                segments.push((Cow::Owned(name.clone()), Cow::Owned(segment.line_of(utterance.recording))));
                if let Some(speaker) = utterance.speaker {
                    speakers.push((Cow::Owned(name), Cow::Borrowed(speaker)));
                }
            }
        }
        if segments.is_empty() {
            return Err(Error::invalid(&self.path, "no utterance has a part"));
        }
        let mut companions = read_all(&self.path)?;
        companions.retain(|(_, keys, _)| *keys != Keys::Utterances);
        let mut draft = self.draft(&companions, &keep);
        let written = segments.len();
        draft.replace("segments", segments);
        if self.has_speakers() {
            draft.replace("utt2spk", speakers);
        }
        draft.write(output)?;
        Ok(written)
    }
}

/// To a tenth of a millisecond: sums of times would be long numbers.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1e4).round() / 1e4
}
