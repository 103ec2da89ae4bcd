//! Which pairs of utterances are compared.

use std::collections::BTreeSet;

use rand::seq::index;
use rand::{Rng, RngExt};

use crate::config::SynthConfig;
use crate::random::{Purpose, stream};
use crate::vowel::Sex;

/// A comparison of two utterances, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Trial {
    pub(crate) enrol: usize,
    pub(crate) test: usize,
    pub(crate) target: bool,
}

/// Draws the trials among utterances that come speaker by speaker, `config.dev_utterances` each; `sexes`
/// has one entry a speaker. The result is ordered by enrolment and test.
///
/// Nontarget trials are half within and half across the sexes, as far as there are pairs.
pub(crate) fn draw(config: &SynthConfig, sexes: &[Sex]) -> Vec<Trial> {
    let rng = &mut stream(config.seed, Purpose::Trials, 0, 0);
    let each = config.dev_utterances as usize;
    let mut trials = targets(sexes.len(), each, config.max_target_trials as usize, rng);
    let across = config.nontarget_trials as usize / 2;
    for (wanted, same_sex) in [(config.nontarget_trials as usize - across, true), (across, false)] {
        trials.extend(nontargets(sexes, each, wanted, same_sex, rng));
    }
    trials.sort();
    trials
}

fn targets(speakers: usize, each: usize, most: usize, rng: &mut impl Rng) -> Vec<Trial> {
    let pairs = each * (each - 1) / 2;
    let chosen = index::sample(rng, speakers * pairs, most.min(speakers * pairs));
    let trial = |number: usize| {
        let (speaker, mut pair) = (number / pairs, number % pairs);
        // Pairs are counted row by row: row `first` has `each - 1 - first` of them.
        let mut first = 0;
        while pair >= each - 1 - first {
            pair -= each - 1 - first;
            first += 1;
        }
        let start = speaker * each;
        Trial { enrol: start + first, test: start + first + 1 + pair, target: true }
    };
    chosen.into_iter().map(trial).collect()
}

fn nontargets(
    sexes: &[Sex],
    each: usize,
    wanted: usize,
    same_sex: bool,
    rng: &mut impl Rng,
) -> BTreeSet<Trial> {
    let mut trials = BTreeSet::new();
    // Draws that do not fit are thrown away; the limit ends the search where there are too few pairs.
    for _ in 0..wanted.saturating_mul(100) {
        if trials.len() == wanted {
            break;
        }
        let (a, b) = (rng.random_range(0..sexes.len()), rng.random_range(0..sexes.len()));
        if a != b && (sexes[a] == sexes[b]) == same_sex {
            let (a, b) = (a.min(b), a.max(b));
            let (enrol, test) = (a * each + rng.random_range(0..each), b * each + rng.random_range(0..each));
            trials.insert(Trial { enrol, test, target: false });
        }
    }
    trials
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dev_utterances: u32, max_target_trials: u32, nontarget_trials: u32) -> SynthConfig {
        SynthConfig { dev_utterances, max_target_trials, nontarget_trials, ..SynthConfig::default() }
    }

    #[test]
    fn all_target_pairs_or_a_sample_of_them() {
        let sexes = [Sex::Female, Sex::Male, Sex::Female];
        let targets = |most| {
            let trials = draw(&config(4, most, 0), &sexes);
            let distinct: BTreeSet<_> = trials.iter().map(|t| (t.enrol, t.test)).collect();
            assert_eq!(distinct.len(), trials.len());
            assert!(trials.iter().all(|t| t.target && t.enrol < t.test && t.enrol / 4 == t.test / 4));
            trials.len()
        };
        assert_eq!((targets(1_000), targets(7), targets(0)), (18, 7, 0));
    }

    #[test]
    fn nontargets_are_half_within_a_sex() {
        let sexes: Vec<_> = (0..10).map(|n| if n % 2 == 0 { Sex::Female } else { Sex::Male }).collect();
        let trials = draw(&config(5, 0, 101), &sexes);
        assert!(trials.iter().all(|t| !t.target && t.enrol / 5 != t.test / 5));
        let within = trials.iter().filter(|t| sexes[t.enrol / 5] == sexes[t.test / 5]).count();
        assert_eq!((trials.len(), within), (101, 51));
        // Two speakers of different sexes have 4 pairs, all across.
        assert_eq!(draw(&config(2, 0, 100), &sexes[..2]).len(), 4);
    }
}
