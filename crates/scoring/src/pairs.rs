//! Pairs that a trial list has more than once, found in bounded memory.

use ffsvc_hashing::mix64;
use ffsvc_kaldi_io::NameList;
use rayon::prelude::*;

/// Trials of a list with labels that are remembered, 8 bytes each. Their scores, 4 bytes each, are remembered too.
const LABELLED: usize = 1 << 26;

/// Trials of a list without labels that are remembered. The memory is taken at once.
const UNLABELLED: usize = 1 << 20;

/// The pairs of a trial list of any length, in bounded memory. Beyond a limit, every second pair is dropped, chosen by
/// its hash. So equal pairs are kept or dropped together. At the next limit, every second one of the rest is dropped,
/// and so on.
#[derive(Debug)]
pub(crate) struct PairCheck {
    /// The lesser number and the greater one (31 bits each), whether they are swapped, the label.
    keys: Vec<u64>,
    limit: usize,
    /// Pairs are remembered whose hash has as many zeros at its end.
    zeros: u32,
    /// Whether the numbers of both sides are of one list of utterances.
    one_list: bool,
}

/// What a [`PairCheck`] found. Pairs are in the order of their numbers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Repeats {
    /// Trials whose pair occurs before, in the same order.
    pub(crate) repeated: NameList,
    /// Pairs that are target and non-target, whichever of the two is the enrolment.
    pub(crate) contradictory: NameList,
    /// One pair in so many was looked at.
    pub(crate) one_in: u64,
}

impl PairCheck {
    /// `one_list` says that a number is the same utterance on both sides.
    pub(crate) fn new(has_labels: bool, one_list: bool) -> Self {
        match has_labels {
            true => Self::with_limit(LABELLED, Vec::new(), one_list),
            false => Self::with_limit(UNLABELLED, Vec::with_capacity(UNLABELLED), one_list),
        }
    }

    fn with_limit(limit: usize, keys: Vec<u64>, one_list: bool) -> Self {
        Self { keys, limit, zeros: 0, one_list }
    }

    /// Adds trials, whose labels are `labels` or, if it is empty, unknown. Numbers are below 2^31.
    pub(crate) fn extend(&mut self, pairs: &[(u32, u32)], labels: &[bool]) {
        let label = |place: usize| u64::from(labels.get(place).copied().unwrap_or(false));
        for (place, &(a, b)) in pairs.iter().enumerate() {
            let swapped = self.one_list && a > b;
            let (low, high) = if swapped { (b, a) } else { (a, b) };
            let key = u64::from(low) << 33 | u64::from(high) << 2 | u64::from(swapped) << 1 | label(place);
            if self.zeros > 0 && !self.is_kept(key) {
                continue;
            }
            if self.keys.len() == self.limit {
                self.forget_half();
                if !self.is_kept(key) {
                    continue;
                }
            }
            self.keys.push(key);
        }
    }

    fn is_kept(&self, key: u64) -> bool {
        mix64(key >> 2).trailing_zeros() >= self.zeros
    }

    fn forget_half(&mut self) {
        // Copies of one pair cannot be halved: the list may be nothing else. Two are as good as many.
        self.keys.par_sort_unstable();
        let (mut copies, mut last) = (0, None);
        self.keys.retain(|&key| {
            copies = if last == Some(key) { copies + 1 } else { 0 };
            last = Some(key);
            copies < 2
        });
        while self.keys.len() > self.limit / 2 {
            self.zeros += 1;
            let mut keys = std::mem::take(&mut self.keys);
            keys.retain(|&key| self.is_kept(key));
            self.keys = keys;
        }
    }

    /// Looks for repeated pairs; `name` says what a pair is called.
    pub(crate) fn finish(self, name: impl Fn((u32, u32)) -> String) -> Repeats {
        let Self { mut keys, zeros, .. } = self;
        keys.par_sort_unstable();
        let (mut repeated, mut contradictory) = (NameList::default(), NameList::default());
        for trials in keys.chunk_by(|a, b| a >> 2 == b >> 2).filter(|trials| trials.len() > 1) {
            let (low, high) = ((trials[0] >> 33) as u32, (trials[0] >> 2) as u32 & (u32::MAX >> 1));
            if trials.iter().any(|key| key & 1 == 0) && trials.iter().any(|key| key & 1 == 1) {
                contradictory.push(|| name((low, high)));
            }
            for two in trials.windows(2).filter(|two| two[0] >> 1 == two[1] >> 1) {
                repeated.push(|| name(if two[0] & 2 == 0 { (low, high) } else { (high, low) }));
            }
        }
        Repeats { repeated, contradictory, one_in: 1 << zeros }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn found(pairs: &[((u32, u32), bool)], limit: usize) -> Repeats {
        let mut check = PairCheck::with_limit(limit, Vec::new(), true);
        for block in pairs.chunks(7) {
            let (pairs, labels): (Vec<_>, Vec<_>) = block.iter().copied().unzip();
            check.extend(&pairs, &labels);
        }
        check.finish(name)
    }

    fn name((a, b): (u32, u32)) -> String {
        format!("{a} {b}")
    }

    proptest! {
        #[test]
        fn as_counted(trials in prop::collection::vec(((0_u32..9, 0_u32..9), any::<bool>()), 0..200)) {
            let (mut seen, mut labels) = (BTreeMap::new(), BTreeMap::<_, BTreeSet<bool>>::new());
            let mut expected = Vec::new();
            for &((a, b), label) in &trials {
                labels.entry((a.min(b), a.max(b))).or_default().insert(label);
                if seen.insert((a, b), label).is_some() {
                    expected.push((a, b));
                }
            }
            let repeats = found(&trials, 1000);
            prop_assert_eq!(repeats.repeated.total(), expected.len());
            let expected: BTreeSet<String> = expected.into_iter().map(name).collect();
            prop_assert!(repeats.repeated.first().iter().all(|found| expected.contains(found)));
            let both = labels.iter().filter(|(_, labels)| labels.len() == 2).map(|(&pair, _)| name(pair));
            prop_assert_eq!(repeats.contradictory, both.collect::<NameList>());
            prop_assert_eq!(repeats.one_in, 1);
        }

        #[test]
        fn in_bounded_memory_a_sample_is_found(count in 1000_usize..3000, limit in 64_usize..200) {
            // Every pair twice, far apart.
            let once = (0..count as u32).map(|n| ((n, n / 3), true));
            let trials: Vec<_> = once.clone().chain(once).collect();
            let repeats = found(&trials, limit);
            let repeated = repeats.repeated.total();
            prop_assert!(repeats.one_in > 1 && repeated <= limit);
            let about = repeated * repeats.one_in as usize;
            prop_assert!((about as f64 / count as f64).ln().abs() < 1.5, "{about} {count}");
        }
    }

    #[test]
    fn copies_of_one_pair_need_no_memory() {
        let pair = (3, (1 << 31) - 1);
        let repeats = found(&vec![(pair, false); 5000], 64);
        assert!(!repeats.repeated.is_empty());
        assert!(repeats.repeated.first().iter().all(|found| *found == name(pair)));
        assert!(repeats.contradictory.is_empty() && repeats.one_in == 1);
    }

    #[test]
    fn of_two_lists_equal_numbers_are_different_utterances() {
        let mut check = PairCheck::new(true, false);
        check.extend(&[(1, 2), (2, 1)], &[true, false]);
        let repeats = check.finish(name);
        assert!(repeats.repeated.is_empty() && repeats.contradictory.is_empty());
    }
}
