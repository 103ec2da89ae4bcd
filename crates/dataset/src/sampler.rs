//! Which utterances make up each batch of an epoch.

use ffsvc_hashing::Fnv1a;
use rand::Rng;
use rand::seq::SliceRandom;

use crate::archive_order::{ArchiveOrder, Drawn};
use crate::epoch_plan::{Draw, EpochPlan};
use crate::error::{Error, Result};
use crate::random::{Purpose, stream};
use crate::sampler_config::{Balance, SamplerConfig};
use crate::training_set::TrainingSet;

/// Distributes the utterances of a training set over the batches of every epoch. An epoch depends on (seed, epoch)
/// alone.
///
/// Where `data.train` names several directories, each batch has `share * batch_size` utterances of each of them
/// (rounded to whole utterances by largest remainder). A domain of few utterances is repeated more often.
///
/// With [`SamplerConfig::shuffle_buffer`], archives come in a random order, their recordings in the order of their places, and
/// each draw is a random one of those that wait in a buffer.
///
/// The last batch of an epoch is dropped when it is smaller than the others, unless it is the only one. BatchNorm
/// statistics of a few utterances would be noise. (`drop_last` of the baseline's train_dist.py.)
#[derive(Debug, Clone)]
pub struct Sampler {
    domains: Vec<Domain>,
    balance: Balance,
    batch_size: usize,
    num_batches: usize,
    seed: u64,
}

/// One data directory.
#[derive(Debug, Clone)]
struct Domain {
    /// Its utterances.
    utterances: Vec<u32>,
    /// With balance by class: its utterances by speaker.
    speakers: Vec<Vec<u32>>,
    /// With a shuffle buffer: its utterances by archive.
    archives: Option<ArchiveOrder>,
    /// Utterances in each batch.
    quota: usize,
}

impl Sampler {
    /// A sampler of `set` in batches of `batch_size`, `accumulate` of which make an optimiser step.
    ///
    /// # Errors
    /// Settings that do not agree with each other, an epoch is shorter than a step, a domain's share is less than one utterance,
    /// a shuffle buffer without an archive.
    pub fn new(
        config: &SamplerConfig,
        set: &TrainingSet,
        batch_size: usize,
        accumulate: usize,
        seed: u64,
    ) -> Result<Self> {
        config.check_consistency()?;
        let total = set.utterances.len();
        let length = if config.epoch_utterances > 0 { config.epoch_utterances } else { total };
        let batch_size = if config.epoch_steps > 0 { batch_size } else { batch_size.min(length.max(1)) };
        let accumulate = accumulate.max(1);
        let num_batches = if config.epoch_steps > 0 {
            config.epoch_steps * accumulate
        } else {
            length / batch_size / accumulate * accumulate
        };
        if num_batches == 0 {
            return Err(Error::Config {
                key: "train.accumulate",
                found: accumulate.to_string(),
                expected: format!("at most the {} batches of an epoch", length / batch_size),
            });
        }
        if config.shuffle_buffer > 0 {
            require_archives(set, config.shuffle_buffer)?;
        }
        let shares: Vec<f64> = set.domains.iter().map(|domain| domain.share).collect();
        let buffers = quotas(&shares, config.shuffle_buffer);
        let quotas = quotas(&shares, batch_size);
        let mut first = 0;
        let mut domains = Vec::with_capacity(quotas.len());
        for ((domain, quota), buffer) in set.domains.iter().zip(quotas).zip(buffers) {
            if quota == 0 {
                return Err(Error::Config {
                    key: "data.train",
                    found: format!("share {} of {}", domain.share, domain.path.display()),
                    expected: format!("at least one utterance of a batch of {batch_size}"),
                });
            }
            let own = first..first + domain.utterances as u32;
            first = own.end;
            let archives = (config.shuffle_buffer > 0).then(|| ArchiveOrder::new(set, own.clone(), buffer));
            let utterances: Vec<u32> = own.collect();
            let mut speakers = Vec::new();
            if config.balance == Balance::Class {
                speakers = vec![Vec::new(); set.speakers.len()];
                for &utterance in &utterances {
                    speakers[set.utterances[utterance as usize].label as usize].push(utterance);
                }
                speakers.retain(|utterances| !utterances.is_empty());
            }
            domains.push(Domain { utterances, speakers, archives, quota });
        }
        Ok(Self { domains, balance: config.balance, batch_size, num_batches, seed })
    }

    /// Batches of an epoch.
    pub fn num_batches(&self) -> usize {
        self.num_batches
    }

    /// Utterances of a batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Utterances of each data directory in a batch, in their order.
    pub fn quotas(&self) -> Vec<usize> {
        self.domains.iter().map(|domain| domain.quota).collect()
    }

    /// Utterances that wait in the shuffle buffers of all data directories; 0 without such buffers.
    pub fn shuffle_buffer(&self) -> usize {
        self.domains.iter().filter_map(|domain| domain.archives.as_ref()).map(ArchiveOrder::buffer).sum()
    }

    /// A number that changes when the order of an epoch may change, the seed aside: that of `set`, and with a shuffle buffer also
    /// that of its archives. A resumed run compares it.
    pub fn fingerprint(&self, set: &TrainingSet) -> String {
        if self.shuffle_buffer() == 0 {
            return set.fingerprint();
        }
        let mut hash = Fnv1a::new();
        hash.update(set.fingerprint().as_bytes());
        self.domains
            .iter()
            .filter_map(|domain| domain.archives.as_ref())
            .for_each(|of| of.hash_into(&mut hash));
        format!("{:016x}", hash.value())
    }

    /// The batches of `epoch`, from 0.
    pub fn plan(&self, epoch: u32) -> EpochPlan {
        let mut drawn = std::collections::HashMap::new();
        let orders: Vec<Vec<Drawn>> = self
            .domains
            .iter()
            .enumerate()
            .map(|(index, domain)| {
                let random = |pass: usize| {
                    // The first pass over the first directory has no name: that of a run with one directory.
                    let name =
                        if (index, pass) == (0, 0) { String::new() } else { format!("{index}/{pass}") };
                    stream(self.seed, Purpose::Shuffle, epoch, &name)
                };
                let needed = self.num_batches * domain.quota;
                let order = match (&domain.archives, self.balance) {
                    (Some(archives), _) => return archives.draws(needed, random),
                    (None, Balance::None) => domain.in_passes(needed, random),
                    (None, Balance::Class) => domain.speaker_by_speaker(needed, random),
                };
                order.into_iter().map(|utterance| Drawn { utterance, read_at: 0 }).collect()
            })
            .collect();
        let mut draws = Vec::with_capacity(self.num_batches * self.batch_size);
        let mut readings = Vec::with_capacity(draws.capacity());
        for batch in 0..self.num_batches {
            for (domain, order) in self.domains.iter().zip(&orders) {
                for &Drawn { utterance, read_at } in &order[batch * domain.quota..(batch + 1) * domain.quota]
                {
                    let times = drawn.entry(utterance).or_insert(0);
                    draws.push(Draw { utterance, repetition: *times });
                    readings.push(read_at);
                    *times += 1;
                }
            }
        }
        EpochPlan { draws, batch_size: self.batch_size, quotas: self.quotas(), read_at: readings }
    }
}

/// Refuses a shuffle buffer where no recording is in an archive.
fn require_archives(set: &TrainingSet, shuffle_buffer: usize) -> Result<()> {
    if set.utterances.iter().any(|utterance| utterance.source.wav.place().is_some()) {
        return Ok(());
    }
    Err(Error::Config {
        key: "sampler.shuffle_buffer",
        found: format!("{shuffle_buffer} for files that are no archives"),
        expected: "0, or recordings in tar files or Kaldi archives (`ffsvc-data to-shards` writes them)"
            .into(),
    })
}

impl Domain {
    /// Pass after pass over all utterances, each in a new order.
    fn in_passes<R: Rng>(&self, needed: usize, random: impl Fn(usize) -> R) -> Vec<u32> {
        let mut order = Vec::with_capacity(needed + self.utterances.len());
        let mut pass = 0;
        while order.len() < needed {
            let mut shuffled = self.utterances.clone();
            shuffled.shuffle(&mut random(pass));
            order.append(&mut shuffled);
            pass += 1;
        }
        order
    }

    /// Turn after turn over all speakers, each in a new order; a speaker gives an utterance a turn, and all of its own
    /// before one again.
    fn speaker_by_speaker<R: Rng>(&self, needed: usize, random: impl Fn(usize) -> R) -> Vec<u32> {
        let mut random = random(0);
        let mut waiting: Vec<Vec<u32>> = vec![Vec::new(); self.speakers.len()];
        let mut turn: Vec<usize> = (0..self.speakers.len()).collect();
        let mut order = Vec::with_capacity(needed + turn.len());
        while order.len() < needed {
            turn.shuffle(&mut random);
            for &speaker in &turn {
                let waiting = &mut waiting[speaker];
                if waiting.is_empty() {
                    waiting.extend(&self.speakers[speaker]);
                    waiting.shuffle(&mut random);
                }
                order.extend(waiting.pop());
            }
        }
        order
    }
}

/// Whole numbers that add up to `total` in the proportion of `shares`, by largest remainder.
fn quotas(shares: &[f64], total: usize) -> Vec<usize> {
    let sum: f64 = shares.iter().sum();
    let exact: Vec<f64> = shares.iter().map(|share| share / sum * total as f64).collect();
    let mut quotas: Vec<usize> = exact.iter().map(|exact| exact.floor() as usize).collect();
    let mut by_remainder: Vec<usize> = (0..shares.len()).collect();
    by_remainder.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()).then(a.cmp(&b)));
    let missing = total.saturating_sub(quotas.iter().sum());
    for &index in by_remainder.iter().cycle().take(missing) {
        quotas[index] += 1;
    }
    quotas
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::domains::TrainingDomain;
    use ffsvc_kaldi_io::WavSource;
    use proptest::prelude::*;

    /// Directories of `(share, utterances of each speaker)`.
    fn set(domains: &[(f64, Vec<usize>)]) -> TrainingSet {
        let mut utterances = Vec::new();
        let mut speakers = Vec::new();
        for (domain, (_, counts)) in domains.iter().enumerate() {
            for (speaker, &count) in counts.iter().enumerate() {
                for number in 0..count {
                    utterances.push(crate::TrainingUtterance {
                        id: format!("{domain}-{speaker}-{number}"),
                        source: WavSource::parse("a.wav").into(),
                        label: speakers.len() as u32,
                    });
                }
                speakers.push(format!("{domain}-{speaker}"));
            }
        }
        let domains = domains.iter().map(|(share, counts)| TrainingDomain {
            path: "data".into(),
            share: *share,
            utterances: counts.iter().sum(),
        });
        let (domains, read) = (domains.collect(), Default::default());
        TrainingSet { utterances, speakers, has_speakers: true, domains, read }
    }

    fn sampler(set: &TrainingSet, config: &str, batch_size: usize, seed: u64) -> Sampler {
        Sampler::new(&toml::from_str(config).unwrap(), set, batch_size, 1, seed).unwrap()
    }

    fn draws(plan: &EpochPlan) -> Vec<Draw> {
        (0..plan.num_batches()).flat_map(|batch| plan.batch(batch).to_vec()).collect()
    }

    fn counts<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> HashMap<K, usize> {
        let mut counts = HashMap::new();
        keys.for_each(|key| *counts.entry(key).or_insert(0) += 1);
        counts
    }

    proptest! {
        #[test]
        fn a_plain_epoch_uses_no_utterance_twice(
            n in 1usize..300, batch in 1usize..50, seed: u64, epoch in 0u32..5,
        ) {
            let plan = sampler(&set(&[(1.0, vec![n])]), "", batch, seed).plan(epoch);
            let draws = draws(&plan);
            prop_assert_eq!(draws.len(), if batch <= n { n / batch * batch } else { n });
            prop_assert!(draws.iter().all(|draw| draw.repetition == 0));
            prop_assert_eq!(counts(draws.iter().map(|draw| draw.utterance)).len(), draws.len());
        }

        /// Any mixture: batches have the same make-up, speakers differ by one turn at most, and an utterance comes round
        /// again only when all of its speaker have been.
        #[test]
        fn quotas_and_turns_are_exact(
            counts_a in prop::collection::vec(1usize..9, 1..6),
            counts_b in prop::collection::vec(1usize..9, 1..6),
            share in 0.2f64..0.8, batch in 5usize..20, steps in 1usize..12, seed: u64,
        ) {
            let set = set(&[(share, counts_a.clone()), (1.0 - share, counts_b.clone())]);
            let config = format!("balance = 'class'\nepoch_steps = {steps}");
            let sampler = sampler(&set, &config, batch, seed);
            let quotas = sampler.quotas();
            prop_assert_eq!(quotas.iter().sum::<usize>(), batch);
            prop_assert!((quotas[0] as f64 - share * batch as f64).abs() < 1.0);
            let plan = sampler.plan(2);
            prop_assert_eq!(plan.num_batches(), steps);
            let of_first = counts_a.iter().sum::<usize>() as u32;
            for index in 0..steps {
                let first = plan.batch(index).iter().filter(|draw| draw.utterance < of_first).count();
                prop_assert_eq!(first, quotas[0]);
            }
            let draws = draws(&plan);
            let by_speaker = counts(draws.iter().map(|draw| set.utterances[draw.utterance as usize].label));
            for (first, number) in [(0, counts_a.len()), (counts_a.len(), counts_b.len())] {
                let of = |speaker: usize| by_speaker.get(&(speaker as u32)).copied().unwrap_or(0);
                let times: Vec<usize> = (first..first + number).map(of).collect();
                prop_assert!(times.iter().max().unwrap() - times.iter().min().unwrap() <= 1);
            }
            for (index, draw) in draws.iter().enumerate() {
                let earlier = draws[..index].iter().filter(|other| other.utterance == draw.utterance).count();
                prop_assert_eq!(draw.repetition as usize, earlier);
                let label = set.utterances[draw.utterance as usize].label;
                let own = set.utterances.iter().filter(|utterance| utterance.label == label).count();
                let before =
                    draws[..index].iter().filter(|d| set.utterances[d.utterance as usize].label == label).count();
                prop_assert_eq!(draw.repetition as usize, before / own);
            }
        }
    }

    #[test]
    fn epochs_differ_and_repeat() {
        let sampler = sampler(&set(&[(1.0, vec![50, 50])]), "", 10, 7);
        let order = |epoch| draws(&sampler.plan(epoch));
        assert_eq!(order(3), order(3));
        assert_ne!(order(3), order(4));
    }

    /// The order of runs that exist: it must not change.
    #[test]
    fn orders_stay() {
        let order = draws(&sampler(&set(&[(1.0, vec![8])]), "", 8, 7).plan(3));
        let order: Vec<u32> = order.iter().map(|draw| draw.utterance).collect();
        assert_eq!(order, [4, 6, 2, 3, 5, 7, 1, 0]);
    }

    #[test]
    fn a_small_domain_comes_round_as_often_as_its_share_asks() {
        let set = set(&[(3.0, vec![90]), (1.0, vec![10])]);
        let sampler = sampler(&set, "", 20, 1);
        assert_eq!((sampler.quotas(), sampler.num_batches()), (vec![15, 5], 5));
        let draws = draws(&sampler.plan(0));
        // 25 draws from 10 utterances: each twice or three times, never three times before another has been drawn twice.
        let times = counts(draws.iter().filter(|draw| draw.utterance >= 90).map(|draw| draw.utterance));
        assert!(times.len() == 10 && times.values().all(|n| (2..=3).contains(n)), "{times:?}");
    }

    #[test]
    fn the_length_of_an_epoch_is_as_configured() {
        let set = set(&[(1.0, vec![30, 30])]);
        assert_eq!(sampler(&set, "epoch_utterances = 150", 20, 0).num_batches(), 7);
        assert_eq!(sampler(&set, "epoch_steps = 150", 20, 0).num_batches(), 150);
        let config = SamplerConfig::default();
        assert_eq!(Sampler::new(&config, &set, 20, 2, 0).unwrap().num_batches(), 2);
        let error = Sampler::new(&config, &set, 20, 4, 0).unwrap_err().to_string();
        assert!(error.contains("train.accumulate = 4"), "{error}");
        let both = SamplerConfig { epoch_utterances: 3, epoch_steps: 3, ..config };
        assert!(Sampler::new(&both, &set, 20, 1, 0).is_err());
    }

    #[test]
    fn a_share_of_nothing_is_refused() {
        let set = set(&[(0.999, vec![90]), (0.001, vec![10])]);
        let error = Sampler::new(&SamplerConfig::default(), &set, 20, 1, 0).unwrap_err().to_string();
        assert!(error.contains("share 0.001") && error.contains("batch of 20"), "{error}");
    }
}
