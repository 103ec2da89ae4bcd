//! Scores in ascending order.

use rayon::prelude::*;

/// Bits of a key that one pass sorts by: counts of as many values stay in the first-level cache.
const BITS: u32 = 11;

/// The scores ascending, `-0.0` as `0.0`; none is NaN. Equal values are indistinguishable, so nothing depends on how they
/// are sorted nor on the number of threads.
///
/// Scores are nearly always `f32` values, as this crate's are: these are sorted by their bits, in three passes.
pub(super) fn ascending<T: Copy + Into<f64> + Sync>(scores: &[T]) -> Vec<f64> {
    match single_keys(scores) {
        Some(keys) => by_bits(keys).into_iter().map(|key| f64::from(value(key))).collect(),
        None => {
            let mut sorted: Vec<f64> = scores.iter().map(|&score| score.into() + 0.0).collect();
            sorted.par_sort_unstable_by(f64::total_cmp);
            sorted
        }
    }
}

/// For each score a number of the same order; `None` unless all are `f32` values.
fn single_keys<T: Copy + Into<f64>>(scores: &[T]) -> Option<Vec<u32>> {
    let mut keys = Vec::with_capacity(scores.len());
    for &score in scores {
        let score = score.into() + 0.0;
        let single = score as f32;
        if f64::from(single) != score {
            return None;
        }
        keys.push(key(single));
    }
    Some(keys)
}

/// Negative values have all bits turned, for the largest has the smallest magnitude; the others the sign, to come after them.
fn key(score: f32) -> u32 {
    let bits = score.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn value(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key })
}

/// Sorts by the lowest bits, then, keeping that order among equals, by those above them, and so on.
fn by_bits(mut keys: Vec<u32>) -> Vec<u32> {
    let digit = |key: u32, shift: u32| (key >> shift) as usize & ((1 << BITS) - 1);
    let shifts = (0..u32::BITS).step_by(BITS as usize);
    let mut counts = vec![[0_usize; 1 << BITS]; shifts.len()];
    for &key in &keys {
        for (counts, shift) in counts.iter_mut().zip(shifts.clone()) {
            counts[digit(key, shift)] += 1;
        }
    }
    let mut sorted = vec![0; keys.len()];
    for (counts, shift) in counts.iter_mut().zip(shifts) {
        let mut next = 0;
        for count in counts.iter_mut() {
            next += std::mem::replace(count, next);
        }
        for &key in &keys {
            let place = &mut counts[digit(key, shift)];
            sorted[*place] = key;
            *place += 1;
        }
        std::mem::swap(&mut keys, &mut sorted);
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plainly(mut scores: Vec<f64>) -> Vec<f64> {
        scores.iter_mut().for_each(|score| *score += 0.0);
        scores.sort_by(f64::total_cmp);
        scores
    }

    #[test]
    fn extremes() {
        let scores =
            [0.0, -0.0, f32::INFINITY, f32::MIN_POSITIVE, -1e-45, f32::NEG_INFINITY, f32::MAX, f32::MIN];
        let expected = plainly(scores.iter().map(|&score| score.into()).collect());
        let found = ascending(&scores);
        assert_eq!(found, expected);
        assert!(found.iter().all(|score| *score != 0.0 || score.is_sign_positive()));
        assert!(ascending::<f32>(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn as_a_plain_sort(bits in prop::collection::vec(any::<u32>(), 0..300), double in any::<bool>()) {
            let scores: Vec<f64> = bits
                .iter()
                .map(|&bits| f64::from(f32::from_bits(bits)))
                .filter(|score| !score.is_nan())
                .chain(double.then_some(0.1))
                .collect();
            prop_assert_eq!(ascending(&scores), plainly(scores));
        }
    }
}
