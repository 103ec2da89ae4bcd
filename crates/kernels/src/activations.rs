//! Sigmoid and hyperbolic tangent of plain arithmetic, which compilers turn into vectors where they are inlined.

/// `e^x`, of which `x` beyond -87 and 88 is cut: to 1e-7 of the value. NaN stays NaN.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Added to a number, it leaves the nearest integer in the last bits: 1.5 times 2^23.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first of few bits: its multiples are exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Not minimum and maximum: they hide a NaN.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2[0]) - n * LN_2[1];
    // Moshier's polynomial of the Cephes library, for |r| up to ln 2 / 2.
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_66;
    let p = p * r + 0.5;
    let power_of_two = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    (p * (r * r) + r + 1.0) * power_of_two
}

/// `1 / (1 + e^-x)`
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    // Near 0 the difference below has few bits: the first terms of the series.
    let square = x * x;
    let series = x + x * square * (-1.0 / 3.0 + square * (2.0 / 15.0 - square * (17.0 / 315.0)));
    let far = 2.0 * sigmoid(2.0 * x) - 1.0;
    if square < 1.0 / 64.0 { series } else { far }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_standard_library() {
        for n in -400_000..=400_000 {
            let x = n as f32 * 2.5e-4;
            let wide = f64::from(x);
            let logistic = 1.0 / (1.0 + (-wide).exp());
            for (found, right) in [(sigmoid(x), logistic), (tanh(x), wide.tanh())] {
                let error = (f64::from(found) - right).abs();
                assert!(
                    error <= 3e-7 && error <= 1e-6 * right.abs() + 1e-37,
                    "{x}: {found} where {right} is right"
                );
            }
        }
        for x in [f32::MIN_POSITIVE, -1e-20, 0.0] {
            assert_eq!(tanh(x), x);
        }
        assert_eq!([f32::INFINITY, f32::NEG_INFINITY].map(tanh), [1.0, -1.0]);
        assert!(sigmoid(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
    }
}
