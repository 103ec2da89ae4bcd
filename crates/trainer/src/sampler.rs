//! Which utterances make up each batch of an epoch.

use rand::seq::SliceRandom;

use crate::random::{Purpose, stream};

/// Plain sampling: every utterance once an epoch, in an order that depends on (seed, epoch) only.
///
/// The last batch of an epoch is dropped when it is smaller than the others, unless it is the only one:
/// BatchNorm statistics of a few utterances would be noise (`drop_last` of the baseline's train_dist.py).
#[derive(Debug, Clone)]
pub struct EpochPlan {
    order: Vec<u32>,
    batch_size: usize,
}

impl EpochPlan {
    /// The plan of `epoch` (from 0) over `num_utterances` utterances.
    pub fn new(num_utterances: usize, batch_size: usize, seed: u64, epoch: usize) -> Self {
        let mut order: Vec<u32> = (0..num_utterances as u32).collect();
        order.shuffle(&mut stream(seed, Purpose::Shuffle, epoch, ""));
        Self { order, batch_size: batch_size.min(num_utterances.max(1)) }
    }

    /// Batches in the epoch.
    pub fn num_batches(&self) -> usize {
        self.order.len() / self.batch_size
    }

    /// The utterances of batch `index`.
    pub fn batch(&self, index: usize) -> &[u32] {
        &self.order[index * self.batch_size..(index + 1) * self.batch_size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_epoch_uses_no_utterance_twice(n in 1usize..300, batch in 1usize..50, seed: u64, epoch in 0usize..5) {
            let plan = EpochPlan::new(n, batch, seed, epoch);
            let mut seen: Vec<u32> = (0..plan.num_batches()).flat_map(|i| plan.batch(i).to_vec()).collect();
            let used = seen.len();
            prop_assert_eq!(used, if batch <= n { n / batch * batch } else { n });
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), used);
        }
    }

    #[test]
    fn epochs_differ_and_repeat() {
        let order = |epoch| EpochPlan::new(100, 10, 7, epoch).order;
        assert_eq!(order(3), order(3));
        assert_ne!(order(3), order(4));
    }
}
