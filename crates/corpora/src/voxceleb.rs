//! VoxCeleb1 and VoxCeleb2.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ffsvc_kaldi_io::{DataDir, Output, TrialColumns, Trials};

use crate::files::{Recordings, is_number};
use crate::missing::Missing;
use crate::{Error, Prepared, Result};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoxCelebEdition {
    /// VoxCeleb1 (version 1.1, whose speakers are `id10001` to `id11251`): WAV.
    One,
    /// VoxCeleb2 (speakers `id00012` to `id09272`): AAC in `.m4a`, or converted to WAV.
    Two,
}

/// What to prepare of VoxCeleb.
///
/// Recordings are found by the last three parts of their paths, `id10270/x6uYqmx31kE/00001.wav`: speaker, video, and
/// part of the video. The utterance is then `id10270-x6uYqmx31kE-00001`, as in Kaldi's recipe and in the FFSVC2022
/// baseline.
#[derive(Debug)]
pub struct VoxCeleb<'a> {
    /// The edition. Recordings of the other one are left out and counted.
    pub edition: VoxCelebEdition,
    /// Folders of it, for example those of `dev` and `test`.
    pub sources: &'a [PathBuf],
    /// Lists of trials as published: `1 id10270/x6uYqmx31kE/00001.wav id10270/8jEAjG6SegY/00008.wav`.
    pub trials: &'a [PathBuf],
    /// Leave out trials whose recordings are not there, instead of failing.
    pub allow_missing: bool,
}

/// Numbers of utterances and speakers as published.
const SIZES: [(VoxCelebEdition, &str, usize, usize); 6] = [
    (VoxCelebEdition::One, "dev", 148_642, 1_211),
    (VoxCelebEdition::One, "test", 4_874, 40),
    (VoxCelebEdition::One, "dev and test", 153_516, 1_251),
    (VoxCelebEdition::Two, "dev", 1_092_009, 5_994),
    (VoxCelebEdition::Two, "test", 36_237, 118),
    (VoxCelebEdition::Two, "dev and test", 1_128_246, 6_112),
];

/// The lists of trials: name as published, our name, number of trials.
const LISTS: [(&str, &str, usize); 6] = [
    ("veri_test", "trials_o", 37_720),
    ("veri_test2", "trials_o_cleaned", 37_611),
    ("list_test_all", "trials_e", 581_480),
    ("list_test_all2", "trials_e_cleaned", 579_818),
    ("list_test_hard", "trials_h", 552_536),
    ("list_test_hard2", "trials_h_cleaned", 550_894),
];

impl VoxCeleb<'_> {
    /// Writes `wav.scp`, `utt2spk`, `spk2utt` and the lists of trials: `trials_o`, `trials_o_cleaned`, and so on for E and
    /// H, or `trials_NAME` for a list of another name. Every recording that is found is in the directory, whether a trial
    /// names it or not.
    ///
    /// # Errors
    /// - There is no recording of the edition.
    /// - A recording is there twice in WAV or twice coded.
    /// - A list cannot be read, or names recordings that are not there.
    /// - `output` has a data directory.
    /// - A file cannot be written.
    pub fn prepare(&self, output: &Output) -> Result<Prepared> {
        output.check()?;
        let found = Recordings::find(self.sources, |path| self.utterance_of(path))?;
        let (corpus, example) = match self.edition {
            VoxCelebEdition::One => ("VoxCeleb1", "id10270/x6uYqmx31kE/00001.wav"),
            VoxCelebEdition::Two => ("VoxCeleb2", "id00012/21Uxsk56VDQ/00001.m4a"),
        };
        let found = found.expect_some(corpus, example, self.sources)?;
        let mut prepared = Prepared { surplus: found.surplus.clone(), ..Prepared::default() };

        let mut lists = Vec::new();
        for list in self.trials {
            let trials = self.read_trials(list, &found, &mut prepared)?;
            let path = output.path().join(list_name(list).0);
            if lists.iter().any(|(other, _)| *other == path) {
                let found = "the name of another list".into();
                return Err(Error::Content {
                    list: list.clone(),
                    found,
                    expected: "lists of different names",
                });
            }
            lists.push((path, trials));
        }
        let utt2spk: Vec<(String, String)> = found
            .files
            .keys()
            .map(|utterance| (utterance.clone(), utterance[..SPEAKER_LENGTH].to_owned()))
            .collect();
        let speakers = utt2spk.iter().map(|(_, speaker)| speaker.as_str()).collect::<BTreeSet<_>>().len();
        self.compare_sizes(utt2spk.len(), speakers, &mut prepared);
        let utterances = utt2spk.len();
        prepared.speakers = Some(speakers);
        prepared.wrote(output.path(), utterances, "utterances");
        crate::sound_lists::make_folder(output.path())?;
        for (path, trials) in lists {
            trials.write(&path)?;
            prepared.wrote(path, trials.len(), "trials");
        }
        DataDir::create([("wav.scp", found.wav_scp()?), ("utt2spk", utt2spk)], output)?;
        Ok(prepared)
    }

    /// `.../id10270/x6uYqmx31kE/00001.wav` is `id10270-x6uYqmx31kE-00001`.
    fn utterance_of(&self, path: &Path) -> Option<String> {
        let coded = path.extension().is_some_and(|extension| extension == "m4a");
        let is_wav = path.extension().is_some_and(|extension| extension == "wav");
        if !(is_wav || coded && self.edition == VoxCelebEdition::Two) {
            return None;
        }
        let mut parts = path.iter().rev().map(|part| part.to_str());
        let (_, video, speaker) = (parts.next()??, parts.next()??, parts.next()??);
        let utterance = utterance_name(speaker, video, path.file_stem()?.to_str()?)?;
        let is_one = utterance.starts_with("id1");
        (is_one == (self.edition == VoxCelebEdition::One)).then_some(utterance)
    }

    fn read_trials(&self, list: &Path, found: &Recordings, prepared: &mut Prepared) -> Result<Trials> {
        let mut trials = Trials::read(list, TrialColumns::Auto)?;
        for name in &mut trials.names {
            let wrong = || Error::Content {
                list: list.to_path_buf(),
                found: format!("{name:?}"),
                expected: "names such as id10270/x6uYqmx31kE/00001.wav",
            };
            let stem = name.strip_suffix(".wav").unwrap_or(name);
            let mut parts = stem.split('/');
            *name = match (parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(speaker), Some(video), Some(part), None) => {
                    utterance_name(speaker, video, part).ok_or_else(wrong)?
                }
                _ => return Err(wrong()),
            };
        }
        if let (name, Some(published)) = list_name(list)
            && published != trials.len()
        {
            let (list, found) = (list.display(), trials.len());
            prepared
                .remarks
                .push(format!("{list} has {found} trials, and {name} was published with {published}"));
        }
        let missing = Missing { list, folders: self.sources, allowed: self.allow_missing };
        missing.drop_trials(&mut trials, |name| found.files.contains_key(name), prepared)?;
        Ok(trials)
    }

    fn compare_sizes(&self, utterances: usize, speakers: usize, prepared: &mut Prepared) {
        let sizes = || SIZES.iter().filter(|(edition, ..)| *edition == self.edition);
        if !sizes().any(|&(_, _, u, s)| (u, s) == (utterances, speakers)) {
            let published: Vec<String> =
                sizes().map(|(_, set, u, s)| format!("{set} with {u} of {s}")).collect();
            prepared.remarks.push(format!(
                "{utterances} utterances of {speakers} speakers; published are {}",
                published.join(", ")
            ));
        }
    }
}

/// Length of a speaker's name: `id10270`.
const SPEAKER_LENGTH: usize = 7;

fn utterance_name(speaker: &str, video: &str, part: &str) -> Option<String> {
    let is_speaker = speaker.strip_prefix("id").is_some_and(|number| is_number(number, 5));
    let is_video =
        video.len() == 11 && video.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (is_speaker && is_video && is_number(part, 5)).then(|| format!("{speaker}-{video}-{part}"))
}

/// Our name of a published list, and the number of its trials.
fn list_name(list: &Path) -> (String, Option<usize>) {
    let stem = list.file_stem().unwrap_or_default().to_string_lossy();
    match LISTS.iter().find(|(published, ..)| *published == stem) {
        Some(&(_, name, trials)) => (name.to_owned(), Some(trials)),
        None => (format!("trials_{stem}"), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_each_edition_are_told_apart() {
        let vox = |edition| VoxCeleb { edition, sources: &[], trials: &[], allow_missing: false };
        let (one, two) = (vox(VoxCelebEdition::One), vox(VoxCelebEdition::Two));
        let first = Path::new("wav/id10270/x6uYqmx31kE/00001.wav");
        assert_eq!(one.utterance_of(first).as_deref(), Some("id10270-x6uYqmx31kE-00001"));
        assert_eq!(two.utterance_of(first), None);
        let second = Path::new("dev/aac/id00012/21Uxsk56VDQ/00001.m4a");
        assert_eq!(two.utterance_of(second).as_deref(), Some("id00012-21Uxsk56VDQ-00001"));
        assert_eq!(one.utterance_of(second), None);
        for other in ["wav/A.J._Buckley/1zcIwhmdeo4/0000001.wav", "id10270/short/00001.wav", "00001.wav"] {
            assert_eq!(one.utterance_of(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn lists_have_names_that_say_which() {
        assert_eq!(list_name(Path::new("a/veri_test2.txt")), ("trials_o_cleaned".into(), Some(37_611)));
        assert_eq!(list_name(Path::new("mine.txt")), ("trials_mine".into(), None));
    }
}
