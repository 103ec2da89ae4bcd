use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// What is done to each output of a layer while it is at hand:
/// `relu(scale * rectified(output + bias) + offset + residual)`, every part of it optional.
///
/// That is a bias, an activation, and batch normalisation by running statistics, in any of the orders in which speaker networks
/// have them, without passes of their own over memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// Added first, `[channels]`.
    pub bias: Option<&'a [f32]>,
    /// Negative values become 0 before scale and offset.
    pub relu_first: bool,
    /// Factor and addend of each channel, `[channels]` each.
    pub scale_and_offset: Option<[&'a [f32]; 2]>,
    /// Added last; as large as the output.
    pub residual: Option<&'a [f32]>,
    /// Negative values become 0 at the end.
    pub relu: bool,
}

/// Planes of a task are at least so many floats together.
const TASK: usize = 16 * 1024;

impl Epilogue<'_> {
    /// Does it to `input`, `[batch, channels, positions]`.
    ///
    /// # Panics
    /// A slice of a wrong length.
    pub fn forward(&self, channels: usize, positions: usize, input: &[f32], output: &mut [f32]) {
        self.check(channels, input.len());
        assert_eq!(output.len(), input.len(), "floats of the output");
        if input.is_empty() {
            return;
        }
        let together = (TASK / positions).max(1);
        output.par_chunks_mut(positions).with_min_len(together).enumerate().for_each(|(plane, output)| {
            let range = plane * positions..(plane + 1) * positions;
            pulp::Arch::new().dispatch(Copy {
                of: self.of(plane % channels),
                residual: self.residual_at(range.start, positions),
                values: &input[range],
                output,
            });
        });
    }

    /// Does it in place to `values`, `[batch, channels, positions]`.
    ///
    /// # Panics
    /// A slice of a wrong length.
    pub fn apply(&self, channels: usize, positions: usize, values: &mut [f32]) {
        self.check(channels, values.len());
        if self.is_nothing() || values.is_empty() {
            return;
        }
        let together = (TASK / positions).max(1);
        values.par_chunks_mut(positions).with_min_len(together).enumerate().for_each(|(plane, values)| {
            self.in_place(plane % channels, plane * positions, values);
        });
    }

    /// Does it to some outputs of one channel, which begin at `place` of the whole output.
    pub(crate) fn in_place(&self, channel: usize, place: usize, values: &mut [f32]) {
        if !self.is_nothing() {
            pulp::Arch::new().dispatch(InPlace {
                of: self.of(channel),
                residual: self.residual_at(place, values.len()),
                values,
            });
        }
    }

    /// That of one channel.
    #[inline(always)]
    pub(crate) fn of(&self, channel: usize) -> OfChannel {
        let [scale, offset] =
            self.scale_and_offset.map_or([1.0, 0.0], |[scale, offset]| [scale[channel], offset[channel]]);
        let bias = self.bias.map_or(0.0, |bias| bias[channel]);
        OfChannel { bias, relu_first: self.relu_first, scale, offset, relu: self.relu }
    }

    /// The residual of `len` outputs from `place` on.
    #[inline(always)]
    pub(crate) fn residual_at(&self, place: usize, len: usize) -> Option<&[f32]> {
        self.residual.map(|residual| &residual[place..place + len])
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.bias.is_none()
            && self.scale_and_offset.is_none()
            && self.residual.is_none()
            && !self.relu_first
            && !self.relu
    }

    pub(crate) fn check(&self, channels: usize, outputs: usize) {
        let [scale, offset] = self.scale_and_offset.map_or([None; 2], |pair| pair.map(Some));
        for vector in [self.bias, scale, offset].into_iter().flatten() {
            assert_eq!(vector.len(), channels, "a value for each channel");
        }
        if let Some(residual) = self.residual {
            assert_eq!(residual.len(), outputs, "floats of the residual");
        }
    }
}

/// An [`Epilogue`] of one channel; the residual comes with the values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfChannel {
    bias: f32,
    relu_first: bool,
    scale: f32,
    offset: f32,
    relu: bool,
}

impl OfChannel {
    /// The finished vector, of one of outputs and one of the residual.
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S) -> impl Fn(S::f32s, S::f32s) -> S::f32s {
        let zero = simd.splat_f32s(0.0);
        // Not a maximum: that hides a NaN.
        let rectified = move |x: S::f32s, wanted: bool| {
            if wanted { simd.select_f32s(simd.less_than_f32s(x, zero), zero, x) } else { x }
        };
        let (bias, scale, offset) =
            (simd.splat_f32s(self.bias), simd.splat_f32s(self.scale), simd.splat_f32s(self.offset));
        move |x, residual| {
            let x = rectified(simd.add_f32s(x, bias), self.relu_first);
            rectified(simd.add_f32s(simd.mul_add_e_f32s(x, scale, offset), residual), self.relu)
        }
    }

    /// `values` and their residual to `out`, all of one length.
    #[inline(always)]
    pub(crate) fn copy<S: Simd>(self, simd: S, values: &[f32], residual: Option<&[f32]>, out: &mut [f32]) {
        let finished = self.vector(simd);
        let zero = simd.splat_f32s(0.0);
        let (body, tail) = S::as_simd_f32s(values);
        let (out, out_tail) = S::as_mut_simd_f32s(out);
        if let Some(residual) = residual {
            let (residuals, residual_tail) = S::as_simd_f32s(residual);
            for ((out, x), r) in out.iter_mut().zip(body).zip(residuals) {
                *out = finished(*x, *r);
            }
            let last = finished(simd.partial_load_f32s(tail), simd.partial_load_f32s(residual_tail));
            simd.partial_store_f32s(out_tail, last);
        } else {
            for (out, x) in out.iter_mut().zip(body) {
                *out = finished(*x, zero);
            }
            simd.partial_store_f32s(out_tail, finished(simd.partial_load_f32s(tail), zero));
        }
    }
}

struct InPlace<'a> {
    of: OfChannel,
    residual: Option<&'a [f32]>,
    values: &'a mut [f32],
}

impl WithSimd for InPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let finished = self.of.vector(simd);
        let zero = simd.splat_f32s(0.0);
        let (body, tail) = S::as_mut_simd_f32s(self.values);
        if let Some(residual) = self.residual {
            let (residuals, residual_tail) = S::as_simd_f32s(residual);
            for (x, r) in body.iter_mut().zip(residuals) {
                *x = finished(*x, *r);
            }
            let last = finished(simd.partial_load_f32s(tail), simd.partial_load_f32s(residual_tail));
            simd.partial_store_f32s(tail, last);
        } else {
            for x in body {
                *x = finished(*x, zero);
            }
            let last = finished(simd.partial_load_f32s(tail), zero);
            simd.partial_store_f32s(tail, last);
        }
    }
}

struct Copy<'a> {
    of: OfChannel,
    residual: Option<&'a [f32]>,
    values: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for Copy<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.of.copy(simd, self.values, self.residual, self.output);
    }
}
