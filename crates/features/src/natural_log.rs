//! The natural logarithm, in a form that compilers turn into vector instructions.

/// `ln(x)` of a positive, normal, finite `x`; other values give no meaningful result.
///
/// The argument is `m * 2^e` with `m` in `[sqrt(1/2), sqrt(2))`, and `ln(m)` is the polynomial of the Cephes
/// library's `logf` (Moshier). Within 1 unit in the last place of the exact value (checked below), and
/// made of additions and multiplications only: the same bits on every machine.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
    // Moves sqrt(1/2) to a power of two, so that the exponent field changes there.
    let shifted = x.to_bits().wrapping_sub(SQRT_HALF_BITS);
    let exponent = (shifted as i32 >> 23) as f32;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(SQRT_HALF_BITS));

    let m = mantissa - 1.0;
    let square = m * m;
    let mut y = 7.037_683_6e-2;
    y = y * m - 1.151_461e-1;
    y = y * m + 1.167_699_9e-1;
    y = y * m - 1.242_014_1e-1;
    y = y * m + 1.424_932_3e-1;
    y = y * m - 1.666_805_8e-1;
    y = y * m + 2.000_071_5e-1;
    y = y * m - 2.499_999_4e-1;
    y = y * m + 3.333_333e-1;
    y = y * m * square;
    // ln(2) in two parts: the first has so few digits that its product with the exponent is exact.
    y += exponent * -2.121_944_4e-4;
    y -= 0.5 * square;
    (m + y) + exponent * 0.693_359_4
}

#[cfg(test)]
mod tests {
    use super::ln;

    /// Error in units in the last place of the result.
    fn ulps(x: f32) -> f64 {
        let exact = f64::from(x).ln();
        if exact == 0.0 {
            return f64::from(ln(x).abs()) / f64::from(f32::MIN_POSITIVE);
        }
        let ulp = 2f64.powi(exact.abs().log2().floor() as i32 - 23);
        (f64::from(ln(x)) - exact).abs() / ulp
    }

    #[test]
    fn within_one_unit_in_the_last_place() {
        // A prime stride visits every exponent and, over the range, every residue of the mantissa.
        let normals = (f32::MIN_POSITIVE.to_bits()..f32::INFINITY.to_bits()).step_by(1009);
        let around_one = 1f32.to_bits() - 200_000..1f32.to_bits() + 200_000;
        let worst = normals.chain(around_one).map(|bits| ulps(f32::from_bits(bits))).fold(0.0, f64::max);
        assert!(worst < 1.0, "{worst} ulp");
    }

    #[test]
    fn the_usual_floors_are_correctly_rounded() {
        for x in [f32::EPSILON, 1e-6, 1e-10, 1.0] {
            assert_eq!(ln(x), f64::from(x).ln() as f32);
        }
    }
}
