//! A data directory of given tables.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use super::companions::{Keys, keys_of};
use super::draft::Draft;
use super::{DataDir, Output};
use crate::table::check_row;
use crate::{Error, Result};

impl DataDir {
    /// Writes a data directory of tables: `wav.scp`, `utt2spk` where the speakers are known (`spk2utt` follows from it),
    /// and tables by utterance (`utt2*`) or speaker (`spk2*`). The rows may come in any order.
    ///
    /// ```
    /// use ffsvc_kaldi_io::{DataDir, Output};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("data");
    /// let row = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    /// let wav = vec![row("u2", "2.wav"), row("u1", "1.wav")];
    /// let speakers = vec![row("u1", "ann"), row("u2", "bob")];
    /// DataDir::create([("wav.scp", wav), ("utt2spk", speakers)], &Output::new(&path))?;
    /// assert_eq!(DataDir::open(&path)?.speakers(), ["ann", "bob"]);
    /// # Ok::<(), ffsvc_kaldi_io::Error>(())
    /// ```
    ///
    /// # Errors
    /// - There is no utterance.
    /// - A table has another name, a key twice, or a row that would not be read back as it is.
    /// - `utt2spk` does not have exactly the utterances of `wav.scp`, or another table has others.
    /// - `output` has a data directory.
    /// - A file cannot be written.
    ///
    /// Nothing is written before all tables are checked.
    pub fn create<'a>(
        tables: impl IntoIterator<Item = (&'a str, Vec<(String, String)>)>,
        output: &Output,
    ) -> Result<()> {
        output.check()?;
        let tables: BTreeMap<&str, Vec<(String, String)>> = tables.into_iter().collect();
        let utterances = keys_in("wav.scp", tables.get("wav.scp").map_or(&[][..], Vec::as_slice), output)?;
        let speakers = tables.get("utt2spk").map_or(&[][..], Vec::as_slice);
        let known_speakers: HashSet<&str> = speakers.iter().map(|(_, speaker)| speaker.as_str()).collect();
        if utterances.is_empty() {
            return Err(Error::invalid(output.path(), "was to be written without an utterance"));
        }
        for (&name, rows) in tables.iter().filter(|(name, _)| **name != "wav.scp") {
            let keys = keys_in(name, rows, output)?;
            let known = match (name, keys_of(name)) {
                ("utt2spk", _) | (_, Some(Keys::Utterances)) => &utterances,
                (_, Some(Keys::Speakers)) => &known_speakers,
                _ => return Err(Error::invalid(output.path().join(name), "is no table of a data directory")),
            };
            if let Some(key) = keys.iter().find(|key| !known.contains(*key)) {
                let message = format!("was to have a line about {key}, which is not in the directory");
                return Err(Error::invalid(output.path().join(name), message));
            }
            if name == "utt2spk" && keys.len() < utterances.len() {
                let message = format!("was to have {} of {} utterances", keys.len(), utterances.len());
                return Err(Error::invalid(output.path().join(name), message));
            }
        }
        drop((utterances, known_speakers));
        let mut draft = Draft::default();
        for (name, rows) in tables {
            draft.extend(name, rows.into_iter().map(|(key, value)| (Cow::Owned(key), Cow::Owned(value))));
        }
        draft.write(output)
    }
}

/// The keys of a table; an error if one occurs twice or a row would not be read back as it is.
fn keys_in<'a>(name: &str, rows: &'a [(String, String)], output: &Output) -> Result<HashSet<&'a str>> {
    let mut keys = HashSet::with_capacity(rows.len());
    for (key, value) in rows {
        check_row(key, value).map_err(|(found, expected)| {
            Error::parse(output.path().join(name), format!("{found} to write"), expected)
        })?;
        if !keys.insert(key.as_str()) {
            let message = format!("the key {key} was to be written twice");
            return Err(Error::invalid(output.path().join(name), message));
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(&str, &str)]) -> Vec<(String, String)> {
        rows.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::new(folder.path().join("d"));
        let wav = || ("wav.scp", rows(&[("b", "b.wav"), ("a", "a b.wav")]));
        let error = |tables: Vec<(&str, Vec<(String, String)>)>| {
            DataDir::create(tables, &output).unwrap_err().to_string()
        };
        assert!(error(vec![]).contains("without an utterance"));
        assert!(error(vec![wav(), ("utt2spk", rows(&[("a", "s")]))]).contains("1 of 2 utterances"));
        assert!(error(vec![wav(), ("utt2visit", rows(&[("c", "1")]))]).contains("about c"));
        assert!(error(vec![wav(), ("spk2gender", rows(&[("s", "f")]))]).contains("about s"));
        assert!(error(vec![wav(), ("notes", rows(&[("a", "1")]))]).contains("is no table"));
        assert!(error(vec![("wav.scp", rows(&[("a", "x"), ("a", "x")]))]).contains("written twice"));
        assert!(error(vec![("wav.scp", rows(&[("a b", "x")]))]).contains("without white space"));
        assert!(!output.path().exists());
    }

    #[test]
    fn rows_are_sorted_and_speakers_follow() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::new(folder.path().join("d"));
        let wav = rows(&[("b", "b.wav"), ("a", "a b.wav")]);
        let utt2spk = rows(&[("b", "s"), ("a", "s")]);
        DataDir::create([("utt2spk", utt2spk), ("wav.scp", wav.clone())], &output).unwrap();
        let read = |name| std::fs::read_to_string(output.path().join(name)).unwrap();
        assert_eq!(read("wav.scp"), "a a b.wav\nb b.wav\n");
        assert_eq!(read("spk2utt"), "s a b\n");
        assert!(
            DataDir::create([("wav.scp", wav)], &output).unwrap_err().to_string().contains("overwritten")
        );
    }
}
