//! Several data directories into one.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;

use super::companions::{Keys, read_all};
use super::draft::Draft;
use super::{DataDir, Output, Segment};
use crate::{Error, Result, Table};

/// One of the directories to combine.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The directory.
    pub dir: &'a DataDir,
    /// Put before the names of its utterances, recordings and speakers, as it is; empty to leave them alone.
    pub prefix: &'a str,
}

/// How directories are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CombineOptions {
    /// Whether a speaker's name in two directories means one person. Speakers then get no prefix. Otherwise such a name
    /// is an error: clusters of two pseudo-labelled sets are often both called `0`, `1`, ...
    pub shared_speakers: bool,
}

/// What [`DataDir::combine`] wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Combined {
    /// Number of utterances.
    pub utterances: usize,
    /// Number of speakers; 0 if they are unknown.
    pub speakers: usize,
    /// Tables that some of the directories lack, so that the combined one has none of them.
    pub left_out: Vec<String>,
}

impl DataDir {
    /// Writes the utterances of all the directories as one, in byte order. Tables that all of them have follow as in
    /// [`subset`](Self::subset). If one of them has `segments`, the utterances of the others become segments, each of its
    /// whole recording.
    ///
    /// # Errors
    /// - There is no directory.
    /// - An utterance or, without `shared_speakers`, a speaker is in two of them. Use a prefix then.
    /// - With `segments`, a recording's entry in `wav.scp` differs between two.
    /// - A speaker's entry in a `spk2*` table differs between two.
    /// - Some know their speakers and others do not.
    /// - A prefix contains white space.
    /// - `output` has a data directory.
    /// - A file cannot be read or written.
    pub fn combine(sources: &[Source<'_>], options: CombineOptions, output: &Output) -> Result<Combined> {
        let Some(first) = sources.first() else {
            return Err(Error::invalid(output.path(), "no directory to combine"));
        };
        output.check()?;
        for source in sources {
            if source.prefix.contains(char::is_whitespace) {
                let found = format!("the prefix {:?}", source.prefix);
                return Err(Error::parse(source.dir.path(), found, "a prefix without white space"));
            }
            if source.dir.has_speakers() != first.dir.has_speakers() {
                let (with, without) =
                    if first.dir.has_speakers() { (first, source) } else { (source, first) };
                let message = format!("has no utt2spk, and {} has one", with.dir.path().display());
                return Err(Error::invalid(without.dir.path(), message));
            }
        }
        let companions: Vec<_> =
            sources.iter().map(|source| read_all(source.dir.path())).collect::<Result<_>>()?;
        let mut draft = Draft::default();
        let mut speakers = Owners::new("speaker");
        let mut utterances = Owners::new("utterance");
        let mut recordings = Recordings::default();
        let with_segments = sources.iter().any(|source| source.dir.has_segments());
        for (at, source) in sources.iter().enumerate() {
            for utterance in source.dir.utterances() {
                let id = prefixed(source.prefix, utterance.id);
                utterances.claim(id.clone(), sources, at, false)?;
                if let Some(speaker) = utterance.speaker {
                    let speaker = speaker_name(*source, options, speaker);
                    speakers.claim(speaker.clone(), sources, at, options.shared_speakers)?;
                    draft.extend("utt2spk", [(id.clone(), speaker)]);
                }
                let recording = prefixed(source.prefix, utterance.recording);
                if with_segments {
                    let whole = Segment { start_s: 0.0, end_s: None };
                    let line = utterance.segment.unwrap_or(whole).line_of(&recording);
                    draft.extend("segments", [(id, Cow::Owned(line))]);
                }
                if recordings.add(recording.clone(), utterance.wav, sources, at)? {
                    draft.extend("wav.scp", [(recording, Cow::Borrowed(utterance.wav))]);
                }
            }
        }
        let left_out = add_companions(&mut draft, sources, options, &companions, &speakers, &recordings)?;
        let (utterances, speakers) = (utterances.owner.len(), speakers.owner.len());
        draft.write(output)?;
        Ok(Combined { utterances, speakers, left_out })
    }
}

/// Adds the tables that all sources have and returns the names of the others.
fn add_companions<'a>(
    draft: &mut Draft<'a>,
    sources: &[Source<'a>],
    options: CombineOptions,
    companions: &'a [Vec<(String, Keys, Table)>],
    speakers: &Owners<'a>,
    recordings: &Recordings<'a>,
) -> Result<Vec<String>> {
    let mut names: Vec<(&str, Keys)> =
        companions.iter().flatten().map(|(name, keys, _)| (name.as_str(), *keys)).collect();
    names.sort_unstable();
    names.dedup();
    let mut left_out = Vec::new();
    for (name, keys) in names {
        let tables: Vec<&Table> = companions
            .iter()
            .filter_map(|tables| tables.iter().find(|(other, ..)| other == name).map(|(.., table)| table))
            .collect();
        if tables.len() < sources.len() {
            left_out.push(name.to_owned());
            continue;
        }
        let mut values: HashMap<Cow<'a, str>, &'a str> = HashMap::new();
        for (source, table) in sources.iter().zip(tables) {
            for (position, (key, value)) in table.iter().enumerate() {
                let is_known = match keys {
                    Keys::Utterances => source.dir.position(key).is_some(),
                    Keys::Recordings => recordings.known.contains_key(&prefixed(source.prefix, key)),
                    Keys::Speakers => speakers.owner.contains_key(&speaker_name(*source, options, key)),
                };
                if !is_known {
                    continue;
                }
                let key = match keys {
                    Keys::Utterances | Keys::Recordings => prefixed(source.prefix, key),
                    Keys::Speakers => speaker_name(*source, options, key),
                };
                let other = *values.entry(key.clone()).or_insert(value);
                if other != value {
                    let message =
                        format!("{key} has the value {value} here and {other} in another directory");
                    return Err(Error::invalid(table.path(), message).at_line(table.line(position)));
                }
            }
        }
        draft.extend(name, values.into_iter().map(|(key, value)| (key, Cow::Borrowed(value))));
    }
    Ok(left_out)
}

fn prefixed<'a>(prefix: &str, name: &'a str) -> Cow<'a, str> {
    if prefix.is_empty() { Cow::Borrowed(name) } else { Cow::Owned(format!("{prefix}{name}")) }
}

fn speaker_name<'a>(source: Source<'_>, options: CombineOptions, name: &'a str) -> Cow<'a, str> {
    prefixed(if options.shared_speakers { "" } else { source.prefix }, name)
}

/// The recordings so far: which source the first mention of each is from, and its entry of `wav.scp`.
#[derive(Default)]
struct Recordings<'a> {
    known: HashMap<Cow<'a, str>, (usize, &'a str)>,
}

impl<'a> Recordings<'a> {
    /// Notes the recording of an utterance; whether it is a new one. Two parts of a corpus may share recordings, but a name
    /// stands for one recording.
    fn add(
        &mut self,
        name: Cow<'a, str>,
        wav: &'a str,
        sources: &[Source<'_>],
        source: usize,
    ) -> Result<bool> {
        match self.known.get(&name) {
            None => {
                self.known.insert(name, (source, wav));
                Ok(true)
            }
            Some((_, known)) if *known == wav => Ok(false),
            Some((owner, known)) => {
                let message = format!(
                    "the recording {name} is {wav} here and {known} in {}; give each directory a prefix",
                    sources[*owner].dir.path().display()
                );
                Err(Error::invalid(sources[source].dir.path(), message))
            }
        }
    }
}

/// Which source each name comes from.
struct Owners<'a> {
    kind: &'static str,
    owner: HashMap<Cow<'a, str>, usize>,
}

impl<'a> Owners<'a> {
    fn new(kind: &'static str) -> Self {
        Self { kind, owner: HashMap::new() }
    }

    /// Notes that a name is in a source. A speaker claims the name once for every utterance, so only another
    /// source's claim is a clash.
    fn claim(
        &mut self,
        name: Cow<'a, str>,
        sources: &[Source<'_>],
        source: usize,
        shared: bool,
    ) -> Result<()> {
        let owner = *self.owner.entry(name.clone()).or_insert(source);
        if owner == source || shared {
            return Ok(());
        }
        let kind = self.kind;
        let same_person = match kind {
            "speaker" => "; or let speakers be shared if it is the same person",
            _ => "",
        };
        let message = format!(
            "the {kind} {name} is also in {}; give each directory a prefix{same_person}",
            sources[owner].dir.path().display()
        );
        Err(Error::invalid(sources[source].dir.path(), message))
    }
}
