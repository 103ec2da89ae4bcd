//! Sums in double precision whose order is fixed and does not form one long chain of additions.

const LANES: usize = 16;

/// `sum of term(x)` over the values.
#[inline(always)]
pub(crate) fn sum_by<T: Copy>(values: &[T], term: impl Fn(T) -> f64) -> f64 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0f64; LANES];
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += term(value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += term(value);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Mean of the values; 0 of none.
#[inline(always)]
pub(crate) fn mean(values: &[f32]) -> f64 {
    sum_by(values, f64::from) / values.len().max(1) as f64
}

/// Sum of squared differences from `mean`.
#[inline(always)]
pub(crate) fn squared_deviations(values: &[f32], mean: f64) -> f64 {
    sum_by(values, |x| {
        let d = f64::from(x) - mean;
        d * d
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_plain_sum_at_every_length() {
        let values: Vec<f32> = (0..100).map(|i| (i * i % 37) as f32 - 11.0).collect();
        for n in 0..=values.len() {
            let plain: f64 = values[..n].iter().map(|&x| f64::from(x)).sum();
            assert_eq!(sum_by(&values[..n], f64::from), plain); // whole numbers: exact in any order
        }
        assert_eq!(mean(&[]), 0.0);
        assert_eq!(squared_deviations(&[1.0, 3.0], 2.0), 2.0);
    }
}
