use super::QUAD;
use super::products::BLOCK;
use crate::conv2d::Conv2d;

/// The weights of a [`Conv2d`] in 8 bits: -127 to 127, with a scale for each output channel.
#[derive(Debug, Clone)]
pub struct Int8Weights {
    /// `[blocks, quads of input channels, taps, BLOCK]`, four input channels in each.
    packed: Vec<u32>,
    /// What a step of 1 stands for, `[blocks, BLOCK]`.
    scales: Vec<f32>,
    /// Sums of the weights in 8 bits, `[blocks, BLOCK]`.
    sums: Vec<i32>,
    /// Output channels, input channels, taps.
    shape: [usize; 3],
}

/// The weights of some output channels.
pub(super) struct Block<'a> {
    /// `[quads, taps, BLOCK]`
    pub(super) weights: &'a [[u32; BLOCK]],
    pub(super) scales: &'a [f32; BLOCK],
    pub(super) sums: &'a [i32; BLOCK],
}

impl Int8Weights {
    /// Of `weights`, `[channels out, channels in, kernel rows, kernel columns]`. The largest weight of a channel becomes 127.
    ///
    /// # Panics
    /// A slice whose length is not that of the tensor; channel groups.
    pub fn new(conv: &Conv2d, weights: &[f32]) -> Self {
        assert_eq!(conv.groups, 1, "8-bit weights of {conv:?}");
        assert_eq!(weights.len(), conv.weight_len(), "weights of {conv:?}");
        let (outputs, inputs, taps) = (conv.channels_out, conv.channels_in, conv.kernel[0] * conv.kernel[1]);
        let (blocks, quads) = (outputs.div_ceil(BLOCK), inputs.div_ceil(QUAD));
        let mut packed = vec![0; blocks * quads * taps * BLOCK];
        let (mut scales, mut sums) = (vec![0.0; blocks * BLOCK], vec![0; blocks * BLOCK]);
        let of_channel = (inputs * taps).max(1);
        for (o, weights) in weights.chunks_exact(of_channel).enumerate() {
            let largest = weights.iter().fold(0.0f32, |most, weight| most.max(weight.abs()));
            // What is not finite becomes NaN in every output.
            scales[o] =
                if weights.iter().all(|weight| weight.is_finite()) { largest / 127.0 } else { f32::NAN };
            let steps = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            for (place, weight) in weights.iter().enumerate() {
                let (i, tap) = (place / taps, place % taps);
                let step = (weight * steps).round() as i8;
                sums[o] += i32::from(step);
                let lane = ((o / BLOCK * quads + i / QUAD) * taps + tap) * BLOCK + o % BLOCK;
                packed[lane] |= u32::from(step.cast_unsigned()) << (8 * (i % QUAD));
            }
        }
        Self { packed, scales, sums, shape: [outputs, inputs, taps] }
    }

    /// Whether this processor has an instruction for them (AVX-512 VNNI). Without one they are slower than floats.
    pub fn are_fast_here() -> bool {
        super::products::has_instruction()
    }

    pub(super) fn check(&self, conv: &Conv2d) {
        let expected = [conv.channels_out, conv.channels_in, conv.kernel[0] * conv.kernel[1]];
        assert_eq!(self.shape, expected, "output channels, input channels and taps of {conv:?}");
    }

    /// Block number `b` of the output channels.
    pub(super) fn block(&self, b: usize) -> Block<'_> {
        let len = self.shape[1].div_ceil(QUAD) * self.shape[2];
        let (packed, _) = self.packed.as_chunks::<BLOCK>();
        let (scales, _) = self.scales.as_chunks::<BLOCK>();
        let (sums, _) = self.sums.as_chunks::<BLOCK>();
        Block { weights: &packed[b * len..][..len], scales: &scales[b], sums: &sums[b] }
    }
}
