//! `utt2spk` and `spk2utt`: one the inverse of the other.

use std::collections::HashMap;

use crate::{Error, Result, Table};

/// Turns `utt2spk` into `spk2utt`: each speaker with the speaker's utterances. Speakers are in byte order (which is
/// what Kaldi's validation demands), the utterances of a speaker in the order of the table.
///
/// ```
/// let table = ffsvc_kaldi_io::Table::parse("utt2spk", b"u1 bob\nu2 ann\nu3 bob\n".to_vec())?;
/// let spk2utt = ffsvc_kaldi_io::utt2spk_to_spk2utt(&table)?;
/// assert_eq!(spk2utt, [("ann", vec!["u2"]), ("bob", vec!["u1", "u3"])]);
/// # Ok::<(), ffsvc_kaldi_io::Error>(())
/// ```
///
/// # Errors
/// A speaker's name has two words.
pub fn utt2spk_to_spk2utt(utt2spk: &Table) -> Result<Vec<(&str, Vec<&str>)>> {
    let mut spk2utt: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut index: HashMap<&str, usize> = HashMap::new();
    for (position, (utterance, speaker)) in utt2spk.iter().enumerate() {
        check_speaker(utt2spk, position, utterance, speaker)?;
        match spk2utt.last_mut() {
            Some((last, utterances)) if *last == speaker => utterances.push(utterance),
            _ => {
                let place = *index.entry(speaker).or_insert(spk2utt.len());
                if place == spk2utt.len() {
                    spk2utt.push((speaker, Vec::new()));
                }
                spk2utt[place].1.push(utterance);
            }
        }
    }
    spk2utt.sort_unstable_by_key(|&(speaker, _)| speaker);
    Ok(spk2utt)
}

/// Turns `spk2utt` into `utt2spk`: each utterance with its speaker, in byte order of the utterances.
///
/// # Errors
/// An utterance occurs twice.
pub fn spk2utt_to_utt2spk(spk2utt: &Table) -> Result<Vec<(&str, &str)>> {
    let mut utt2spk: Vec<(&str, &str)> = spk2utt
        .iter()
        .flat_map(|(speaker, utterances)| {
            utterances.split_ascii_whitespace().map(move |utterance| (utterance, speaker))
        })
        .collect();
    utt2spk.sort_unstable();
    match utt2spk.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        None => Ok(utt2spk),
        Some(pair) => {
            let (utterance, first, second) = (pair[0].0, pair[0].1, pair[1].1);
            let line = spk2utt.position(second).map_or(0, |position| spk2utt.line(position));
            let message = if first == second {
                format!("the utterance {utterance} is listed twice for the speaker {first}")
            } else {
                format!("the utterance {utterance} is listed for the speaker {first} and for {second}")
            };
            Err(Error::invalid(spk2utt.path(), message).at_line(line))
        }
    }
}

/// The index of each speaker.
pub(super) fn index_of(speakers: &[String]) -> HashMap<&str, u32> {
    // No overflow: a table of at most 4 GiB has fewer lines.
    speakers.iter().enumerate().map(|(index, speaker)| (speaker.as_str(), index as u32)).collect()
}

fn check_speaker(utt2spk: &Table, position: usize, utterance: &str, speaker: &str) -> Result<()> {
    if speaker.bytes().any(|byte| byte.is_ascii_whitespace()) {
        let found = format!("{speaker:?} for {utterance}");
        return Err(Error::parse(utt2spk.path(), found, "one speaker").at_line(utt2spk.line(position)));
    }
    Ok(())
}

/// Checks that both tables say the same of the same utterances.
pub(super) fn check_agreement(utt2spk: &Table, spk2utt: &Table) -> Result<()> {
    for (position, (utterance, speaker)) in utt2spk.iter().enumerate() {
        check_speaker(utt2spk, position, utterance, speaker)?;
    }
    let mut first = None;
    compare(utt2spk, spk2utt, &mut |disagreement| {
        first.get_or_insert_with(|| disagreement.describe(utt2spk, spk2utt));
    });
    match first {
        None => Ok(()),
        Some((table, line, message)) => {
            let message = format!("{message}; `ffsvc-data fix` rebuilds spk2utt from utt2spk");
            Err(Error::invalid(table.path(), message).at_line(line))
        }
    }
}

/// One point on which `spk2utt` differs from `utt2spk`.
pub(super) enum Disagreement<'a> {
    /// The utterance is listed for this entry of `spk2utt`, and `utt2spk` says otherwise or nothing.
    OtherSpeaker { entry: usize, utterance: &'a str },
    /// The utterance is listed a second time, for this entry of `spk2utt`.
    Twice { entry: usize, utterance: &'a str },
    /// `spk2utt` lacks the utterance at this place of `utt2spk`.
    Unlisted { position: usize },
}

impl Disagreement<'_> {
    /// The table and line to blame, and what is wrong there.
    pub(super) fn describe<'t>(&self, utt2spk: &'t Table, spk2utt: &'t Table) -> (&'t Table, u64, String) {
        let speaker_of = |entry| spk2utt.entry(entry).map_or("", |(speaker, _)| speaker);
        match *self {
            Self::OtherSpeaker { entry, utterance } => {
                let other = match utt2spk.get(utterance) {
                    Some(other) => format!("utt2spk says {other}"),
                    None => "utt2spk lacks it".to_owned(),
                };
                (
                    spk2utt,
                    spk2utt.line(entry),
                    format!("{utterance} is listed for {}, {other}", speaker_of(entry)),
                )
            }
            Self::Twice { entry, utterance } => {
                let message = format!("{utterance} is listed a second time, for {}", speaker_of(entry));
                (spk2utt, spk2utt.line(entry), message)
            }
            Self::Unlisted { position } => {
                let utterance = utt2spk.entry(position).map_or("", |(utterance, _)| utterance);
                (utt2spk, utt2spk.line(position), format!("spk2utt does not list {utterance}"))
            }
        }
    }
}

/// Reports every point on which the tables differ.
pub(super) fn compare<'a>(utt2spk: &'a Table, spk2utt: &'a Table, report: &mut dyn FnMut(Disagreement<'a>)) {
    let mut listed = vec![false; utt2spk.len()];
    let mut guess = 0;
    for (entry, (speaker, utterances)) in spk2utt.iter().enumerate() {
        for utterance in utterances.split_ascii_whitespace() {
            let place = super::same_or_find(utt2spk, guess, utterance);
            match place {
                Some(place) if listed[place] => report(Disagreement::Twice { entry, utterance }),
                _ if utt2spk.entry(place.unwrap_or(usize::MAX)).is_none_or(|(_, other)| other != speaker) => {
                    report(Disagreement::OtherSpeaker { entry, utterance });
                }
                _ => {}
            }
            if let Some(place) = place {
                listed[place] = true;
                guess = place + 1;
            }
        }
    }
    for (position, _) in listed.iter().enumerate().filter(|(_, listed)| !**listed) {
        report(Disagreement::Unlisted { position });
    }
}
