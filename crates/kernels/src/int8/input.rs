//! Images in 8 bits.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::QUAD;
use crate::conv2d::Layout;
use crate::correlation::SLACK;
use crate::memory::with_buffer;

/// Adding it to a number up to 2^22 in size leaves the nearest whole number in the lowest bits.
const ROUNDING: f32 = 12_582_912.0;

/// The largest 8-bit number.
const LARGEST: f32 = 255.0;

/// `value = scale * (number - zero)`, with numbers from 0 to 255. The value 0 is exact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quantisation {
    pub(super) scale: f32,
    pub(super) zero: i32,
}

impl Quantisation {
    /// From the smallest value of `image` to its largest, or to 0; `None` where one is not finite.
    pub(super) fn of(image: &[f32]) -> Option<Self> {
        let [low, high] = pulp::Arch::new().dispatch(Extremes(image));
        if !low.is_finite() || !high.is_finite() {
            return None;
        }
        // Halves, because the whole may be more than the largest float.
        let scale = 2.0 * (high / (2.0 * LARGEST) - low / (2.0 * LARGEST));
        if scale < f32::MIN_POSITIVE {
            // Nothing is larger than 255 of the smallest normal numbers.
            return Some(Self { scale: 0.0, zero: 0 });
        }
        Some(Self { scale, zero: (-low / scale).round() as i32 })
    }

    /// Writes `image` as `lanes`, `[quads of channels, planes of the layout]`, four channels in each, and the slack.
    pub(super) fn lay_out(self, image: &[f32], layout: &Layout, lanes: &mut [u32]) {
        let plane = layout.channel_size();
        let of_channel = layout.rows.source * layout.columns.source;
        let (lanes, slack) = lanes.split_at_mut(lanes.len() - SLACK);
        slack.fill(0);
        let quads = lanes.par_chunks_mut(plane).with_min_len((8 * 1024 / plane).max(1));
        quads.zip(image.par_chunks(QUAD * of_channel)).for_each(|(lanes, channels)| {
            if layout.is_plain() && channels.len() == QUAD * plane {
                pulp::Arch::new().dispatch(Combine { of: self, planes: channels, lanes });
                return;
            }
            with_buffer(QUAD * plane, |planes| {
                let (known, missing) = planes.split_at_mut(channels.len() / of_channel * plane);
                missing.fill(0.0);
                for (channel, planes) in channels.chunks_exact(of_channel).zip(known.chunks_exact_mut(plane))
                {
                    layout.lay_out(channel, planes);
                }
                pulp::Arch::new().dispatch(Combine { of: self, planes, lanes });
            });
        });
    }
}

/// The smallest and the largest value, and 0. What is not finite is larger or smaller than all others.
struct Extremes<'a>(&'a [f32]);

impl WithSimd for Extremes<'_> {
    type Output = [f32; 2];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> [f32; 2] {
        // As whole numbers, bits of positive floats are in the order of their values. Those of negative ones are above them
        // without a sign, in the order of their sizes.
        let (mut high, mut low) = ([0i32; 16], [0u32; 16]);
        let (chunks, rest) = self.0.as_chunks::<16>();
        let mut last = [0.0; 16];
        last[..rest.len()].copy_from_slice(rest);
        for chunk in chunks.iter().chain([&last]) {
            for ((value, high), low) in chunk.iter().zip(&mut high).zip(&mut low) {
                let bits = value.to_bits();
                *high = (*high).max(bits.cast_signed());
                *low = (*low).max(bits);
            }
        }
        let high = high.into_iter().fold(0, i32::max).cast_unsigned();
        let low = low.into_iter().fold(0, u32::max);
        let low = if low >> 31 == 1 { f32::from_bits(low) } else { 0.0 };
        [low, f32::from_bits(high)]
    }
}

/// Four planes as bytes of one.
struct Combine<'a> {
    of: Quantisation,
    planes: &'a [f32],
    lanes: &'a mut [u32],
}

impl WithSimd for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { of: Quantisation { scale, zero }, planes, lanes } = self;
        let steps = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let addend = ROUNDING + zero as f32;
        let (first, rest) = planes.split_at(lanes.len());
        let (second, rest) = rest.split_at(lanes.len());
        let (third, fourth) = rest.split_at(lanes.len());
        let values = first.iter().zip(second).zip(third.iter().zip(fourth));
        for (lane, ((a, b), (c, d))) in lanes.iter_mut().zip(values) {
            let [a, b, c, d] = [
                byte(*a, steps, addend),
                byte(*b, steps, addend),
                byte(*c, steps, addend),
                byte(*d, steps, addend),
            ];
            *lane = a | b << 8 | c << 16 | d << 24;
        }
    }
}

#[inline(always)]
fn byte(value: f32, steps: f32, addend: f32) -> u32 {
    let number = value * steps + addend;
    let number = if number > ROUNDING { number } else { ROUNDING };
    let number = if number < ROUNDING + LARGEST { number } else { ROUNDING + LARGEST };
    number.to_bits() & 0xff
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The number of a value alone.
    fn number(of: Quantisation, value: f32) -> i32 {
        let planes = [value, 0.0, 0.0, 0.0];
        let mut lanes = [0];
        pulp::Arch::new().dispatch(Combine { of, planes: &planes, lanes: &mut lanes });
        (lanes[0] & 0xff) as i32
    }

    proptest! {
        #[test]
        fn values_come_back_to_half_a_step(
            values in prop::collection::vec(-1e3f32..1e3, 1..100), size in -20i32..20, signed: bool,
        ) {
            let scaled = |value: &f32| if signed { *value } else { value.abs() } * 2f32.powi(size);
            let values: Vec<f32> = values.iter().map(scaled).collect();
            let of = Quantisation::of(&values).unwrap();
            prop_assert_eq!(number(of, 0.0), of.zero);
            let range = values.iter().fold([0.0f32; 2], |[low, high], value| [low.min(*value), high.max(*value)]);
            prop_assert!((of.scale * 255.0 - (range[1] - range[0])).abs() <= 1e-5 * of.scale * 255.0);
            for value in values {
                let back = of.scale * (number(of, value) - of.zero) as f32;
                // The ends may be cut by half a step, because the zero point is a whole number.
                prop_assert!((back - value).abs() <= 1.001 * of.scale, "{value} came back as {back}, {of:?}");
            }
        }
    }

    #[test]
    fn extremes_of_all_kinds() {
        assert_eq!(Quantisation::of(&[]), Some(Quantisation { scale: 0.0, zero: 0 }));
        assert_eq!(Quantisation::of(&[0.0, -0.0]), Some(Quantisation { scale: 0.0, zero: 0 }));
        assert_eq!(Quantisation::of(&[51.0, 255.0]), Some(Quantisation { scale: 1.0, zero: 0 }));
        assert_eq!(Quantisation::of(&[-510.0]), Some(Quantisation { scale: 2.0, zero: 255 }));
        assert_eq!(Quantisation::of(&[-100.0, 155.0]), Some(Quantisation { scale: 1.0, zero: 100 }));
        let widest = Quantisation::of(&[f32::MAX, f32::MIN]).unwrap();
        assert!(widest.scale.is_finite() && (127..=128).contains(&widest.zero), "{widest:?}");
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(Quantisation::of(&[1.0, bad, -3.0]), None);
            let far = [vec![0.5; 40], vec![bad]].concat();
            assert_eq!(Quantisation::of(&far), None);
        }
    }
}
