//! VOiCES: LibriSpeech played in rooms, recorded from afar.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ffsvc_kaldi_io::{DataDir, Output};

use crate::files::{Recordings, wav_stem};
use crate::{Prepared, Result};

/// What the name of a recording of VOiCES says.
///
/// ```
/// use ffsvc_corpora::VoicesName;
///
/// let far = "Lab41-SRI-VOiCES-rm1-musi-sp0032-ch004137-sg0005-mc05-stu-far-dg080";
/// let name = VoicesName::parse(far).unwrap();
/// assert_eq!((name.speaker, name.room, name.distractor, name.location), ("sp0032", "rm1", "musi", "far"));
/// // What was played.
/// assert_eq!(VoicesName::parse("Lab41-SRI-VOiCES-src-sp0032-ch004137-sg0005").unwrap().room, "src");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoicesName<'a> {
    /// `rm1`, `rm2`, ..., or `src` for the speech that was played.
    pub room: &'a str,
    /// `none`, `musi`, `tele`, `babb`; empty for `src`.
    pub distractor: &'a str,
    /// The speaker of LibriSpeech: `sp0032`.
    pub speaker: &'a str,
    /// The chapter: `ch004137`.
    pub chapter: &'a str,
    /// The segment of the chapter: `sg0005`.
    pub segment: &'a str,
    /// The microphone, `mc01` to `mc12`; empty for `src`.
    pub microphone: &'a str,
    /// `stu` (studio) or `lav` (lavalier); empty for `src`.
    pub kind: &'a str,
    /// Where the microphone is: `clo`, `mid`, `far`, `beh`, `cec`, `ceo`, `tbo`, `wal`; empty for `src`.
    pub location: &'a str,
}

impl<'a> VoicesName<'a> {
    /// Reads the name of a recording of speech, without its ending. `None` for other files: room responses, distractors.
    pub fn parse(stem: &'a str) -> Option<Self> {
        let parts: Vec<&str> = stem.strip_prefix("Lab41-SRI-VOiCES-")?.split('-').collect();
        let numbered = |part: &str, letters: &str| {
            part.strip_prefix(letters)
                .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let letters =
            |part: &str, len: usize| part.len() == len && part.bytes().all(|b| b.is_ascii_lowercase());
        let [room, distractor, speaker, chapter, segment, microphone, kind, location] = match parts[..] {
            ["src", speaker, chapter, segment] => ["src", "", speaker, chapter, segment, "", "", ""],
            [room, distractor, speaker, chapter, segment, microphone, kind, location, degrees]
                if numbered(room, "rm")
                    && letters(distractor, 4)
                    && numbered(microphone, "mc")
                    && letters(kind, 3)
                    && letters(location, 3)
                    && numbered(degrees, "dg") =>
            {
                [room, distractor, speaker, chapter, segment, microphone, kind, location]
            }
            _ => return None,
        };
        // The page has `seg` in the pattern of the names and `sg` in the files.
        let is_speech = numbered(speaker, "sp")
            && numbered(chapter, "ch")
            && (numbered(segment, "sg") || numbered(segment, "seg"));
        is_speech.then_some(Self { room, distractor, speaker, chapter, segment, microphone, kind, location })
    }
}

/// What to prepare of VOiCES: the distant recordings, the speech that was played (`source-16k`), or both.
///
/// Recordings are known by their names ([`VoicesName`]), in whatever folders they lie. An utterance has the name of its file,
/// without `Lab41-SRI-VOiCES-` and the ending.
#[derive(Debug)]
pub struct Voices<'a> {
    /// Folders of the corpus, for example `distant-16k/speech`.
    pub sources: &'a [PathBuf],
}

impl Voices<'_> {
    /// Writes `wav.scp`, `utt2spk`, `spk2utt`, and tables of what the names say:
    ///
    /// | table | value |
    /// | --- | --- |
    /// | `utt2room` | `rm1`, `rm2`, ..., or `src` |
    /// | `utt2noise` | the distractor: `none`, `musi`, `tele`, `babb`; no line for `src` |
    /// | `utt2mic`, `utt2device`, `utt2location` | `mc05`, `stu`, `far`; no line for `src` |
    /// | `utt2group` | the same for all recordings of one utterance: speaker, chapter, segment |
    ///
    /// # Errors
    /// There is no recording of the corpus, or one is there twice; `output` has a data directory; a file cannot be written.
    pub fn prepare(&self, output: &Output) -> Result<Prepared> {
        output.check()?;
        let utterance = |path: &Path| {
            let stem = wav_stem(path)?;
            VoicesName::parse(stem).map(|_| stem[PREFIX.len()..].to_owned())
        };
        let found = Recordings::find(self.sources, utterance)?;
        let example = "Lab41-SRI-VOiCES-rm1-musi-sp0032-ch004137-sg0005-mc05-stu-far-dg080.wav";
        let found = found.expect_some("VOiCES", example, self.sources)?;
        let stems: Vec<String> = found.files.keys().map(|utterance| format!("{PREFIX}{utterance}")).collect();
        let names = || {
            let named = found.files.keys().zip(&stems);
            named.filter_map(|(utterance, stem)| Some((utterance, VoicesName::parse(stem)?)))
        };
        let table = |value: &dyn Fn(&VoicesName<'_>) -> String| -> Vec<(String, String)> {
            let rows = names().map(|(utterance, name)| (utterance.clone(), value(&name)));
            rows.filter(|(_, value)| !value.is_empty()).collect()
        };
        let tables = [
            ("wav.scp", found.wav_scp()?),
            ("utt2spk", table(&|name| name.speaker.to_owned())),
            ("utt2room", table(&|name| name.room.to_owned())),
            ("utt2noise", table(&|name| name.distractor.to_owned())),
            ("utt2mic", table(&|name| name.microphone.to_owned())),
            ("utt2device", table(&|name| name.kind.to_owned())),
            ("utt2location", table(&|name| name.location.to_owned())),
            ("utt2group", table(&|name| format!("{}-{}-{}", name.speaker, name.chapter, name.segment))),
        ];
        let mut prepared = Prepared { surplus: found.surplus.clone(), ..Prepared::default() };
        prepared.speakers = Some(names().map(|(_, name)| name.speaker).collect::<BTreeSet<_>>().len());
        // A table without a line is left out.
        DataDir::create(tables.into_iter().filter(|(_, rows)| !rows.is_empty()), output)?;
        prepared.wrote(output.path(), found.files.len(), "utterances");
        Ok(prepared)
    }
}

const PREFIX: &str = "Lab41-SRI-VOiCES-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_of_the_corpus_are_no_speech() {
        for stem in [
            "Lab41-SRI-VOiCES-rm1-impulse-mc01-stu-clo",
            "Lab41-SRI-VOiCES-musi-mc01-stu-clo",
            "Lab41-SRI-VOiCES-rm1-musi-sp0032-ch004137-sg0005-mc05-stu-far",
            "Lab41-SRI-VOiCES-rm1-musi-sp-ch004137-sg0005-mc05-stu-far-dg080",
            "Lab41-SRI-VOiCES-src-sp0032-ch004137",
            "rm1-musi-sp0032-ch004137-sg0005-mc05-stu-far-dg080",
        ] {
            assert_eq!(VoicesName::parse(stem), None, "{stem}");
        }
        let with_seg = "Lab41-SRI-VOiCES-rm2-none-sp0032-ch004137-seg0005-mc12-lav-wal-dg000";
        assert_eq!(VoicesName::parse(with_seg).unwrap().segment, "seg0005");
    }
}
