//! The highest of many scores, kept while they pass by.

/// The `count` highest of the scores offered so far, and some that may be among them.
#[derive(Debug)]
pub(super) struct Top {
    kept: Vec<f32>,
    count: usize,
    /// A score that does not exceed it is not among the highest, or is one of several equal ones: enough are kept.
    threshold: f32,
}

impl Top {
    pub(super) fn new(count: usize) -> Self {
        Self { kept: Vec::new(), count, threshold: f32::NEG_INFINITY }
    }

    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.threshold = f32::NEG_INFINITY;
    }

    /// Scores are finite.
    pub(super) fn offer(&mut self, scores: &[f32]) {
        // Without a branch for each score, which would often be mispredicted.
        let mut len = self.kept.len();
        self.kept.resize(len + scores.len(), 0.0);
        for &score in scores {
            self.kept[len] = score;
            len += usize::from(score > self.threshold);
        }
        self.kept.truncate(len);
        if len >= 2 * self.count {
            self.prune();
        }
    }

    fn prune(&mut self) {
        if self.kept.len() > self.count {
            let (_, lowest, _) = self.kept.select_nth_unstable_by(self.count - 1, |a, b| b.total_cmp(a));
            self.threshold = *lowest;
            self.kept.truncate(self.count);
        }
    }

    /// The highest scores, in an order that depends on nothing but the scores offered and how they were parted.
    pub(super) fn highest(&mut self) -> &[f32] {
        self.prune();
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_sorted(
            blocks in prop::collection::vec(prop::collection::vec(-20_i8..20, 0..40), 1..8),
            count in 1..50_usize,
        ) {
            let mut top = Top::new(count);
            top.offer(&[7.0]);
            top.clear();
            for block in &blocks {
                top.offer(&block.iter().map(|&score| f32::from(score) / 8.0).collect::<Vec<_>>());
            }
            let mut found = top.highest().to_vec();
            found.sort_by(f32::total_cmp);
            let mut sorted: Vec<f32> = blocks.iter().flatten().map(|&score| f32::from(score) / 8.0).collect();
            sorted.sort_by(f32::total_cmp);
            prop_assert_eq!(&found[..], &sorted[sorted.len().saturating_sub(count)..]);
        }
    }
}
