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

/// Planes of a task: at least so many that they are some thousand floats together.
pub(crate) fn planes_together(positions: usize) -> usize {
    (16 * 1024 / positions.max(1)).max(1)
}

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
        let planes = output.par_chunks_mut(positions).with_min_len(planes_together(positions));
        planes.enumerate().for_each(|(plane, output)| {
            let range = plane * positions..(plane + 1) * positions;
            let residual = self.residual_at(range.start, positions);
            self.of(plane % channels).run(Some(&input[range]), residual, output);
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
        let planes = values.par_chunks_mut(positions).with_min_len(planes_together(positions));
        planes.enumerate().for_each(|(plane, values)| {
            self.in_place(plane % channels, plane * positions, values);
        });
    }

    /// Does it to some outputs of one channel, which begin at `place` of the whole output.
    pub(crate) fn in_place(&self, channel: usize, place: usize, values: &mut [f32]) {
        if !self.is_nothing() {
            self.of(channel).run(None, self.residual_at(place, values.len()), values);
        }
    }

    /// Does it to outputs of whole channels from `channel` on, of `of_channel` values each, which begin at `place` of the whole
    /// output.
    pub(crate) fn in_channels(&self, channel: usize, place: usize, of_channel: usize, values: &mut [f32]) {
        for (number, values) in values.chunks_mut(of_channel).enumerate() {
            self.in_place(channel + number, place + number * of_channel, values);
        }
    }

    /// That of one channel.
    #[inline(always)]
    pub(crate) fn of(&self, channel: usize) -> OfChannel {
        let [scale, offset] =
            self.scale_and_offset.map_or([1.0, 0.0], |[scale, offset]| [scale[channel], offset[channel]]);
        let bias = self.bias.map_or(0.0, |bias| bias[channel]);
        OfChannel { bias, relu_first: self.relu_first, mean: 0.0, scale, offset, relu: self.relu }
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

/// Negative values as 0, where that is wanted. Not a maximum: that hides a NaN.
#[inline(always)]
pub(crate) fn rectified<S: Simd>(simd: S, x: S::f32s, wanted: bool) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    if wanted { simd.select_f32s(simd.less_than_f32s(x, zero), zero, x) } else { x }
}

/// An [`Epilogue`] of one channel, and a mean that is subtracted before scale and offset; the residual comes with the values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfChannel {
    pub(crate) bias: f32,
    pub(crate) relu_first: bool,
    pub(crate) mean: f32,
    pub(crate) scale: f32,
    pub(crate) offset: f32,
    pub(crate) relu: bool,
}

impl OfChannel {
    /// `values`, or what `out` holds where there are none, and their residual to `out`, all of one length.
    pub(crate) fn run(self, values: Option<&[f32]>, residual: Option<&[f32]>, out: &mut [f32]) {
        pulp::Arch::new().dispatch(Run { of: self, values, residual, out });
    }

    /// [`run`](Self::run), within code that is dispatched already.
    #[inline(always)]
    pub(crate) fn run_with<S: Simd>(
        self,
        simd: S,
        values: Option<&[f32]>,
        residual: Option<&[f32]>,
        out: &mut [f32],
    ) {
        let of = Vectors {
            bias: simd.splat_f32s(self.bias),
            relu_first: self.relu_first,
            mean: simd.splat_f32s(self.mean),
            scale: simd.splat_f32s(self.scale),
            offset: simd.splat_f32s(self.offset),
            relu: self.relu,
        };
        let zero = simd.splat_f32s(0.0);
        let (out, out_tail) = S::as_mut_simd_f32s(out);
        let values = values.map(|values| S::as_simd_f32s(values));
        let residual = residual.map(|residual| S::as_simd_f32s(residual));
        for (at, out) in out.iter_mut().enumerate() {
            let x = if let Some((values, _)) = values { values[at] } else { *out };
            let residual = if let Some((residuals, _)) = residual { residuals[at] } else { zero };
            *out = of.finished(simd, x, residual);
        }
        let x_tail = simd.partial_load_f32s(if let Some((_, tail)) = values { tail } else { out_tail });
        let residual_tail = if let Some((_, tail)) = residual { simd.partial_load_f32s(tail) } else { zero };
        simd.partial_store_f32s(out_tail, of.finished(simd, x_tail, residual_tail));
    }
}

/// An [`OfChannel`] in vectors. Its formula is a method and no closure: closures are not always inlined, and what is not inlined into
/// dispatched code is compiled without vectors.
struct Vectors<S: Simd> {
    bias: S::f32s,
    relu_first: bool,
    mean: S::f32s,
    scale: S::f32s,
    offset: S::f32s,
    relu: bool,
}

impl<S: Simd> Vectors<S> {
    #[inline(always)]
    fn finished(&self, simd: S, x: S::f32s, residual: S::f32s) -> S::f32s {
        let x = simd.sub_f32s(rectified(simd, simd.add_f32s(x, self.bias), self.relu_first), self.mean);
        let y = simd.add_f32s(simd.mul_add_e_f32s(x, self.scale, self.offset), residual);
        rectified(simd, y, self.relu)
    }
}

struct Run<'a> {
    of: OfChannel,
    values: Option<&'a [f32]>,
    residual: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.of.run_with(simd, self.values, self.residual, self.out);
    }
}
