//! The order of a data directory whose archives are read from their beginning to their end.

use std::collections::HashMap;
use std::mem::replace;
use std::ops::Range;
use std::path::Path;

use ffsvc_hashing::Fnv1a;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use crate::training_set::TrainingSet;

/// The utterances of a data directory by their archives. A recording that is a file of its own is an archive of one.
#[derive(Debug, Clone)]
pub(crate) struct ArchiveOrder {
    /// One archive after the other, each in the order of its places.
    utterances: Vec<u32>,
    /// Where in `utterances` each archive begins.
    starts: Vec<usize>,
    /// Utterances that wait to be drawn.
    buffer: usize,
}

/// An utterance, and how many were read before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drawn {
    pub(crate) utterance: u32,
    pub(crate) read_at: u32,
}

impl ArchiveOrder {
    /// The order of these utterances of `set`, with a buffer of `buffer` utterances. Archives are in the order of their first
    /// utterances, so that it does not matter where they lie.
    pub(crate) fn new(set: &TrainingSet, utterances: Range<u32>, buffer: usize) -> Self {
        let mut known: HashMap<&Path, usize> = HashMap::new();
        let mut places = Vec::with_capacity(utterances.len());
        let mut archives = 0;
        for utterance in utterances {
            let mut new = || {
                archives += 1;
                archives
            };
            let (archive, offset) = match set.utterances[utterance as usize].source.wav.place() {
                Some((archive, offset)) => (*known.entry(archive).or_insert_with(new), offset),
                None => (new(), 0),
            };
            places.push((archive, offset, utterance));
        }
        places.sort_unstable();
        let starts = (0..places.len()).filter(|&at| at == 0 || places[at - 1].0 != places[at].0).collect();
        Self { utterances: places.iter().map(|place| place.2).collect(), starts, buffer: buffer.max(1) }
    }

    /// Utterances that wait to be drawn.
    pub(crate) fn buffer(&self) -> usize {
        self.buffer
    }

    /// Pass after pass over all archives, each in a new order, until `needed` utterances are drawn. A draw is one of the
    /// `buffer` utterances that were read and not drawn yet; the buffer is emptied at the end of a pass.
    pub(crate) fn draws<R: Rng>(&self, needed: usize, random: impl Fn(usize) -> R) -> Vec<Drawn> {
        let mut draws = Vec::with_capacity(needed + self.utterances.len());
        for pass in 0.. {
            if draws.len() >= needed || self.utterances.is_empty() {
                break;
            }
            let mut random = random(pass);
            let before = draws.len() as u32;
            let read = self.pass(&mut random).into_iter().zip(before..);
            let mut read = read.map(|(utterance, read_at)| Drawn { utterance, read_at });
            let mut buffer: Vec<Drawn> = read.by_ref().take(self.buffer).collect();
            for next in read {
                let place = random.random_range(0..buffer.len());
                draws.push(replace(&mut buffer[place], next));
            }
            buffer.shuffle(&mut random);
            draws.append(&mut buffer);
        }
        draws
    }

    /// All utterances, archive by archive.
    fn pass(&self, random: &mut impl Rng) -> Vec<u32> {
        let mut archives: Vec<usize> = (0..self.starts.len()).collect();
        archives.shuffle(random);
        let of = |archive: usize| {
            let end = self.starts.get(archive + 1).copied().unwrap_or(self.utterances.len());
            &self.utterances[self.starts[archive]..end]
        };
        archives.into_iter().flat_map(of).copied().collect()
    }

    /// Adds to `hash` what an order depends on beside the seed.
    pub(crate) fn hash_into(&self, hash: &mut Fnv1a) {
        self.utterances.iter().for_each(|utterance| hash.update(&utterance.to_le_bytes()));
        self.starts.iter().for_each(|start| hash.update(&(*start as u64).to_le_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ffsvc_kaldi_io::WavSource;
    use proptest::prelude::*;

    use super::*;
    use crate::domains::TrainingDomain;
    use crate::random::{Purpose, stream};

    /// Utterances in these archives, at rising places; `None` is a file.
    fn set(archives: &[Option<u8>]) -> TrainingSet {
        let utterance = |(number, archive): (usize, &Option<u8>)| {
            let source = match archive {
                Some(archive) => format!("{archive}.tar:{}", 512 * number),
                None => format!("{number}.wav"),
            };
            let (id, source) = (number.to_string(), WavSource::parse(&source).into());
            crate::TrainingUtterance { id, source, label: 0 }
        };
        let utterances: Vec<_> = archives.iter().enumerate().map(utterance).collect();
        let domains = vec![TrainingDomain { path: "d".into(), share: 1.0, utterances: utterances.len() }];
        TrainingSet {
            utterances,
            speakers: Vec::new(),
            has_speakers: false,
            domains,
            read: Default::default(),
        }
    }

    fn draws(set: &TrainingSet, buffer: usize, needed: usize, epoch: u32) -> Vec<Drawn> {
        let order = ArchiveOrder::new(set, 0..set.utterances.len() as u32, buffer);
        order.draws(needed, |pass| stream(3, Purpose::Shuffle, epoch, &pass.to_string()))
    }

    proptest! {
        #[test]
        fn archives_are_read_front_to_back_and_draws_come_from_the_buffer(
            archives in prop::collection::vec(prop::option::weighted(0.8, 0_u8..6), 1..80),
            buffer in 1_usize..100, passes in 1_usize..4, epoch in 0_u32..4,
        ) {
            let (set, total) = (set(&archives), archives.len());
            let draws = draws(&set, buffer, (passes - 1) * total + 1, epoch);
            prop_assert_eq!(draws.len(), passes * total);
            for (pass, draws) in draws.chunks(total).enumerate() {
                let first = (pass * total) as u32;
                for (number, draw) in (first..).zip(draws) {
                    prop_assert!(draw.read_at < number + buffer as u32);
                }
                let mut read: Vec<Drawn> = draws.to_vec();
                read.sort_unstable_by_key(|draw| draw.read_at);
                prop_assert!((first..).zip(&read).all(|(number, draw)| draw.read_at == number));
                let utterances: HashSet<u32> = read.iter().map(|draw| draw.utterance).collect();
                prop_assert_eq!(utterances.len(), total);
                // Each archive once, its utterances by their places, which rise with their numbers.
                let runs = read.chunk_by(|a, b| {
                    let [a, b] = [a, b].map(|draw| archives[draw.utterance as usize]);
                    a.is_some() && a == b
                });
                let runs: Vec<&[Drawn]> = runs.collect();
                let files = archives.iter().filter(|archive| archive.is_none()).count();
                let tars = archives.iter().flatten().collect::<HashSet<_>>().len();
                prop_assert_eq!(runs.len(), files + tars);
                prop_assert!(runs.iter().all(|run| run.is_sorted_by_key(|draw| draw.utterance)));
            }
        }
    }

    #[test]
    fn epochs_differ_and_repeat_and_a_buffer_of_one_reads_in_the_order_of_the_archives() {
        let archives: Vec<Option<u8>> = (0..60).map(|number| Some(number / 10)).collect();
        let set = set(&archives);
        assert_eq!(draws(&set, 20, 60, 1), draws(&set, 20, 60, 1));
        assert_ne!(draws(&set, 20, 60, 1), draws(&set, 20, 60, 2));
        let in_turn = draws(&set, 1, 60, 1);
        assert!(
            in_turn.chunks(10).all(|run| run[0].utterance % 10 == 0 && run.is_sorted_by_key(|d| d.utterance))
        );
        assert!(!in_turn.is_sorted_by_key(|draw| draw.utterance), "archives are shuffled");
    }

    /// The buffer mixes: of draws in a row, few are neighbours in the archive.
    #[test]
    fn neighbours_in_an_archive_are_drawn_apart() {
        let set = set(&vec![Some(0); 4000]);
        let draws = draws(&set, 500, 4000, 0);
        let near = draws.windows(2).filter(|pair| pair[0].utterance.abs_diff(pair[1].utterance) <= 5).count();
        assert!(near < 4000 / 25, "{near} of 4000");
    }
}
