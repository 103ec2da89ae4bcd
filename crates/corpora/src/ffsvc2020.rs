//! FFSVC2020 and its supplement.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ffsvc_kaldi_io::{DataDir, Output};

use crate::ffsvc_names::FfsvcName;

use crate::files::{Recordings, wav_stem};
use crate::{Prepared, Result};

/// What to prepare of FFSVC2020: its training or development set, or the supplement that came with FFSVC2022.
///
/// Recordings are known by their names ([`FfsvcName`]), in whatever folders they lie: the corpus has
/// `wav/dev/T0549/549PCM5M/T0549_549PCM5M_recorded6_0305_normal.wav`. The utterance has the file's name without `.wav`, the
/// speaker four digits.
#[derive(Debug)]
pub struct Ffsvc2020<'a> {
    /// Folders of the set: one, or those of the supplement's three visits.
    pub sources: &'a [PathBuf],
    /// Leave the speakers out, for task 2.
    pub unlabelled: bool,
}

impl Ffsvc2020<'_> {
    /// Writes `wav.scp`, `utt2spk` and `spk2utt` (unless `unlabelled`), and the tables of `ffsvc-data ffsvc-tables`.
    ///
    /// # Errors
    /// There is no recording of the corpus, or one is there twice; `output` has a data directory; a file cannot be written.
    pub fn prepare(&self, output: &Output) -> Result<Prepared> {
        output.check()?;
        let name = |path: &std::path::Path| {
            let stem = wav_stem(path)?;
            FfsvcName::parse(stem).map(|_| stem.to_owned())
        };
        let found = Recordings::find(self.sources, name)?;
        let example = "T0549_549PCM5M_recorded6_0305_normal.wav";
        let found = found.expect_some("FFSVC2020", example, self.sources)?;
        let said = found
            .files
            .keys()
            .filter_map(|utterance| Some((utterance.as_str(), FfsvcName::parse(utterance)?)));
        let mut tables = tables(said.clone(), !self.unlabelled);
        tables.push(("wav.scp", found.wav_scp()?));
        let mut prepared = Prepared { surplus: found.surplus.clone(), ..Prepared::default() };
        if !self.unlabelled {
            prepared.speakers = Some(said.map(|(_, name)| name.speaker).collect::<BTreeSet<_>>().len());
        }
        DataDir::create(tables, output)?;
        prepared.wrote(output.path(), found.files.len(), "utterances");
        Ok(prepared)
    }
}

/// The tables of what names say:
///
/// | table | value |
/// | --- | --- |
/// | `utt2spk` | speaker, only if `labelled` |
/// | `utt2device` | `I`, `PAD`, `PCM`, `MIC` |
/// | `utt2distance` | `0.25M`, `1M`, `-1.5M`, `L3M`, ...; no line for the close-talking microphone |
/// | `utt2visit` | `1`, `2`, `3` |
/// | `utt2group` | the same for the recordings of one utterance by several devices: visit, speaker, sentence, speed |
pub(crate) fn tables<'a>(
    utterances: impl Iterator<Item = (&'a str, FfsvcName<'a>)> + Clone,
    labelled: bool,
) -> Vec<(&'static str, Vec<(String, String)>)> {
    let table = |value: &dyn Fn(&FfsvcName<'_>) -> String| -> Vec<(String, String)> {
        let rows = utterances.clone().map(|(utterance, name)| (utterance.to_owned(), value(&name)));
        rows.filter(|(_, value)| !value.is_empty()).collect()
    };
    let mut tables = vec![
        ("utt2device", table(&|name| name.device.to_owned())),
        ("utt2distance", table(&|name| name.distance.to_owned())),
        ("utt2visit", table(&|name| name.visit.to_string())),
        (
            "utt2group",
            table(&|name| format!("{}-{}-{}-{}", name.visit, name.speaker, name.sentence, name.speed)),
        ),
    ];
    if labelled {
        tables.push(("utt2spk", table(&|name| name.speaker.to_owned())));
    }
    tables
}
