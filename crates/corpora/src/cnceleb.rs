//! CN-Celeb.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use ffsvc_kaldi_io::{DataDir, Output, TrialColumns, Trials, read_name_list};

use crate::files::{Recordings, is_number};
use crate::missing::Missing;
use crate::{Error, Prepared, Result};

/// The training speech of CN-Celeb1 and CN-Celeb2.
///
/// Recordings are `data/id00010/singing-01-001.flac` (or `.wav`): speaker, genre, session, part. The utterance is then
/// `id00010-singing-01-001`. CN-Celeb1 has the speakers of its evaluation in `data` too: `dev/dev.lst` names the others.
#[derive(Debug)]
pub struct CnCelebTrain<'a> {
    /// The folders of CN-Celeb1 (with `dev/dev.lst`), CN-Celeb2 (with `spk.lst`), or both.
    pub sources: &'a [PathBuf],
}

impl CnCelebTrain<'_> {
    /// Writes `wav.scp`, `utt2spk`, `spk2utt`, `utt2genre` and `utt2session`.
    ///
    /// # Errors
    /// A folder has neither list of speakers, or no recording of a speaker in it; one is there twice; `output` has a data
    /// directory; a file cannot be written.
    pub fn prepare(&self, output: &Output) -> Result<Prepared> {
        output.check()?;
        let mut speakers = HashSet::new();
        for source in self.sources {
            speakers.extend(read_name_list(speaker_list(source)?)?);
        }
        let folders: Vec<PathBuf> = self.sources.iter().map(|source| source.join("data")).collect();
        let found = Recordings::find(&folders, |path| {
            let speaker = path.parent()?.file_name()?.to_str()?;
            let stem = path.file_stem()?.to_str()?;
            session(stem)?;
            speakers.contains(speaker).then(|| format!("{speaker}-{stem}"))
        })?;
        let found = found.expect_some("CN-Celeb", "id00010/singing-01-001.flac", &folders)?;
        let mut prepared = Prepared::default();
        write(&found, None, output, &mut prepared)?;
        Ok(prepared)
    }
}

/// The evaluation of CN-Celeb1: enrolments of some 20 s, other recordings, and trials between them.
#[derive(Debug)]
pub struct CnCelebEval<'a> {
    /// The folder of CN-Celeb1.
    pub source: &'a Path,
    /// Leave out trials whose recordings are not there, instead of failing.
    pub allow_missing: bool,
}

impl CnCelebEval<'_> {
    /// Writes `wav.scp`, `utt2spk`, `spk2utt`, `utt2genre` and `utt2session` of `eval/enroll` and `eval/test`, and `trials` from
    /// `eval/lists/trials.lst`. An enrolment is named `id00800-enroll` and has no genre or session.
    ///
    /// # Errors
    /// The list cannot be read, or names recordings that are not there; a recording is there twice; `output` has a data
    /// directory; a file cannot be written.
    pub fn prepare(&self, output: &Output) -> Result<Prepared> {
        output.check()?;
        let list = self.source.join("eval/lists/trials.lst");
        let mut trials = Trials::read(&list, TrialColumns::LabelLast)?;
        for name in &mut trials.names {
            // `id00800-enroll` and `test/id00800-singing-01-005.wav`, also where the files are FLAC.
            let stem = name.strip_prefix("test/").unwrap_or(name);
            let stem = stem.strip_suffix(".wav").or(stem.strip_suffix(".flac")).unwrap_or(stem);
            *name = stem.to_owned();
        }
        let folders = ["eval/enroll", "eval/test"].map(|folder| self.source.join(folder));
        let found = Recordings::find(&folders, |path| {
            let stem = path.file_stem()?.to_str()?;
            speaker_of(stem).map(|_| stem.to_owned())
        })?;
        let found =
            found.expect_some("CN-Celeb's evaluation", "eval/enroll/id00800-enroll.flac", &folders)?;
        let mut prepared = Prepared::default();
        let missing = Missing { list: &list, folders: &folders, allowed: self.allow_missing };
        missing.drop_trials(&mut trials, |name| found.files.contains_key(name), &mut prepared)?;
        write(&found, Some(&trials), output, &mut prepared)?;
        Ok(prepared)
    }
}

/// The list of a folder's training speakers.
fn speaker_list(source: &Path) -> Result<PathBuf> {
    let lists = [source.join("dev/dev.lst"), source.join("spk.lst")];
    lists.into_iter().find(|list| list.is_file()).ok_or_else(|| Error::Content {
        list: source.to_path_buf(),
        found: "neither dev/dev.lst nor spk.lst".into(),
        expected: "the folder of CN-Celeb1 or of CN-Celeb2, with its list of speakers",
    })
}

fn write(
    found: &Recordings,
    trials: Option<&Trials>,
    output: &Output,
    prepared: &mut Prepared,
) -> Result<()> {
    let speaker = |utterance: &str| utterance[..SPEAKER_LENGTH].to_owned();
    let table = |value: fn([&str; 2]) -> String| -> Vec<(String, String)> {
        let rows = found.files.keys().filter_map(|utterance| {
            Some((utterance.clone(), value(session(utterance.get(SPEAKER_LENGTH + 1..)?)?)))
        });
        rows.collect()
    };
    let utt2spk: Vec<(String, String)> =
        found.files.keys().map(|utterance| (utterance.clone(), speaker(utterance))).collect();
    prepared.surplus.merge(found.surplus.clone());
    prepared.speakers = Some(utt2spk.iter().map(|(_, speaker)| speaker).collect::<BTreeSet<_>>().len());
    prepared.wrote(output.path(), utt2spk.len(), "utterances");
    if let Some(trials) = trials {
        crate::sound_lists::make_folder(output.path())?;
        let path = output.path().join("trials");
        trials.write(&path)?;
        prepared.wrote(path, trials.len(), "trials");
    }
    let tables = [
        ("utt2genre", table(|[genre, _]| genre.to_owned())),
        ("utt2session", table(|[genre, session]| format!("{genre}-{session}"))),
        ("utt2spk", utt2spk),
        ("wav.scp", found.wav_scp()?),
    ];
    // A table without a line is left out.
    DataDir::create(tables.into_iter().filter(|(_, rows)| !rows.is_empty()), output)?;
    Ok(())
}

/// Length of a speaker's name: `id00010`.
const SPEAKER_LENGTH: usize = 7;

/// The speaker of `id00800-enroll` or `id00800-singing-01-005`.
fn speaker_of(utterance: &str) -> Option<&str> {
    let (speaker, rest) = utterance.split_once('-')?;
    let is_speaker = speaker.strip_prefix("id").is_some_and(|number| is_number(number, 5));
    (is_speaker && (rest == "enroll" || session(rest).is_some())).then_some(speaker)
}

/// Genre and session of `singing-01-001`.
fn session(name: &str) -> Option<[&str; 2]> {
    let parts: Vec<&str> = name.split('-').collect();
    let [genre, session, part] = parts[..] else { return None };
    let is_genre = !genre.is_empty() && genre.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (is_genre && is_number(session, 2) && is_number(part, 3)).then_some([genre, session])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_speaker_genre_and_session() {
        assert_eq!(speaker_of("id00800-enroll"), Some("id00800"));
        assert_eq!(speaker_of("id00800-singing-01-005"), Some("id00800"));
        assert_eq!(session("live_broadcast-02-035"), Some(["live_broadcast", "02"]));
        for name in ["id00800", "id0800-enroll", "id00800-singing-1-005", "id00800-Singing-01-005"] {
            assert_eq!(speaker_of(name), None, "{name}");
        }
    }
}
