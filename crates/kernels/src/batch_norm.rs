use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::epilogue::{OfChannel, planes_together, rectified};

/// Batch normalisation of `[batch, channels, positions]`, with gradients, by the batch itself or by fixed statistics, optionally with a rectification before it, an addition
/// and a rectification after it: `output = relu(scale * (relu(input) - mean) / sqrt(variance + epsilon) + offset + residual)`.
/// By running statistics and without gradients it is an [`Epilogue`](crate::Epilogue).
///
/// Results do not depend on the number of threads. Sums over a batch are formed in double precision from sums over
/// single planes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNorm {
    /// Number of channels.
    pub channels: usize,
    /// Values of one channel of one image.
    pub positions: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// Negative inputs count as 0, in the statistics too.
    pub relu_first: bool,
    /// Negative outputs become 0.
    pub relu: bool,
    /// The statistics are given ones, not those of the input: gradients take them as constants.
    pub fixed: bool,
}

/// Mean and biased variance of each channel over a batch, of what is normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchStatistics {
    /// `[channels]`
    pub mean: Vec<f32>,
    /// `[channels]`, divided by the number of values.
    pub variance: Vec<f32>,
}

impl BatchNorm {
    /// Mean and variance of each channel of `input`, rectified where that is wanted.
    ///
    /// # Panics
    /// `input` is not a whole number of images.
    pub fn statistics(&self, input: &[f32]) -> BatchStatistics {
        self.check(input.len());
        let mut planes = vec![(0.0f64, 0.0f64); input.len() / self.positions.max(1)];
        planes
            .par_iter_mut()
            .with_min_len(self.planes_together())
            .zip(input.par_chunks(self.positions.max(1)))
            .for_each(|(moments, plane)| {
                *moments = pulp::Arch::new().dispatch(Moments { plane, relu: self.relu_first });
            });
        let batch = planes.len() / self.channels.max(1);
        let count = self.positions as f64;
        let (mut mean, mut variance) = (Vec::new(), Vec::new());
        for channel in 0..self.channels {
            let moments = || planes[channel..].iter().step_by(self.channels);
            let whole = moments().map(|(mean, _)| mean).sum::<f64>() / batch as f64;
            // Within the images and between them.
            let squares: f64 =
                moments().map(|(mean, squares)| squares + count * (mean - whole) * (mean - whole)).sum();
            mean.push(whole as f32);
            variance.push((squares / (count * batch as f64)) as f32);
        }
        BatchStatistics { mean, variance }
    }

    /// The output, with the batch's mean and variance.
    ///
    /// # Panics
    /// A slice of a wrong length.
    pub fn forward(
        &self,
        input: &[f32],
        residual: Option<&[f32]>,
        statistics: &BatchStatistics,
        scale: &[f32],
        offset: &[f32],
        output: &mut [f32],
    ) {
        self.check(input.len());
        assert_eq!(output.len(), input.len(), "floats of the output");
        assert!(residual.is_none_or(|residual| residual.len() == input.len()), "floats of the residual");
        let positions = self.positions.max(1);
        output.par_chunks_mut(positions).with_min_len(self.planes_together()).enumerate().for_each(
            |(plane, output)| {
                let channel = plane % self.channels;
                let factor = scale[channel] * self.inverse_deviation(statistics, channel);
                let range = plane * positions..(plane + 1) * positions;
                OfChannel {
                    bias: 0.0,
                    relu_first: self.relu_first,
                    mean: statistics.mean[channel],
                    scale: factor,
                    offset: offset[channel],
                    relu: self.relu,
                }
                .run(
                    Some(&input[range.clone()]),
                    residual.map(|residual| &residual[range]),
                    output,
                );
            },
        );
    }

    /// Gradients of the loss from `output_gradient`. The statistics are those of `input` itself, unless they are
    /// [`fixed`](Self::fixed). `output` is what
    /// [`forward`](Self::forward) returned; it is looked at where there is a rectification.
    ///
    /// Writes the gradient with respect to the input and, where wanted, to the residual; returns those with respect to scale and
    /// offset, `[channels]` each.
    ///
    /// # Panics
    /// A slice of a wrong length.
    #[expect(clippy::too_many_arguments, reason = "one for each tensor of the formula")]
    pub fn backward(
        &self,
        input: &[f32],
        output: &[f32],
        output_gradient: &[f32],
        statistics: &BatchStatistics,
        scale: &[f32],
        input_gradient: &mut [f32],
        residual_gradient: Option<&mut [f32]>,
    ) -> (Vec<f32>, Vec<f32>) {
        self.check(input.len());
        let lengths = [output.len(), output_gradient.len(), input_gradient.len()];
        assert_eq!(lengths, [input.len(); 3], "floats of output, its gradient and the input's gradient");
        let positions = self.positions.max(1);
        let mut planes = vec![(0.0f64, 0.0f64); input.len() / positions];
        planes.par_iter_mut().with_min_len(self.planes_together()).enumerate().for_each(|(plane, sums)| {
            let range = plane * positions..(plane + 1) * positions;
            *sums = pulp::Arch::new().dispatch(GradientSums {
                input: &input[range.clone()],
                output: self.relu.then(|| &output[range.clone()]),
                gradient: &output_gradient[range],
                relu_first: self.relu_first,
                mean: statistics.mean[plane % self.channels],
            });
        });
        let (mut scale_gradient, mut offset_gradient) = (Vec::new(), Vec::new());
        for channel in 0..self.channels {
            let sums = || planes[channel..].iter().step_by(self.channels);
            offset_gradient.push(sums().map(|(gradient, _)| gradient).sum::<f64>());
            let products = sums().map(|(_, product)| product).sum::<f64>();
            scale_gradient.push(products * f64::from(self.inverse_deviation(statistics, channel)));
        }
        let count = (input.len() / self.channels.max(1)) as f64;
        // gradient = factor (g - mean(g) - normalised mean(g normalised)), g after the rectification. By fixed statistics it
        // is factor g.
        let terms = |channel: usize| {
            let deviation = self.inverse_deviation(statistics, channel);
            if self.fixed {
                return (scale[channel] * deviation, 0.0, 0.0);
            }
            let slope = -scale_gradient[channel] / count * f64::from(deviation);
            let level = -offset_gradient[channel] / count;
            (scale[channel] * deviation, level as f32, slope as f32)
        };
        let work = |plane: usize, input_gradient: &mut [f32], residual_gradient: Option<&mut [f32]>| {
            let range = plane * positions..(plane + 1) * positions;
            let (factor, level, slope) = terms(plane % self.channels);
            pulp::Arch::new().dispatch(Gradient {
                input: &input[range.clone()],
                output: self.relu.then(|| &output[range.clone()]),
                gradient: &output_gradient[range],
                relu_first: self.relu_first,
                mean: statistics.mean[plane % self.channels],
                factor,
                level,
                slope,
                input_gradient,
                residual_gradient,
            });
        };
        let together = self.planes_together();
        let planes = input_gradient.par_chunks_mut(positions).with_min_len(together);
        match residual_gradient {
            Some(residual_gradient) => {
                assert_eq!(residual_gradient.len(), input.len(), "floats of the residual's gradient");
                planes
                    .zip(residual_gradient.par_chunks_mut(positions))
                    .enumerate()
                    .for_each(|(plane, (input, residual))| work(plane, input, Some(residual)));
            }
            None => planes.enumerate().for_each(|(plane, input)| work(plane, input, None)),
        }
        let single = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        (single(scale_gradient), single(offset_gradient))
    }

    fn inverse_deviation(&self, statistics: &BatchStatistics, channel: usize) -> f32 {
        1.0 / (statistics.variance[channel] + self.epsilon).sqrt()
    }

    fn planes_together(&self) -> usize {
        planes_together(self.positions)
    }

    fn check(&self, floats: usize) {
        let image = self.channels * self.positions;
        assert!(
            floats == 0 || (image > 0 && floats.is_multiple_of(image)),
            "{floats} floats are no whole number of images of {self:?}"
        );
    }
}

/// [`rectified`], of one value.
#[inline(always)]
fn rectified_one(x: f32, wanted: bool) -> f32 {
    if wanted && x < 0.0 { 0.0 } else { x }
}

/// Mean and sum of squared deviations of a plane.
struct Moments<'a> {
    plane: &'a [f32],
    relu: bool,
}

impl WithSimd for Moments<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f64, f64) {
        let Self { plane, relu } = self;
        let sum = total(
            simd,
            plane,
            |sum, x| simd.add_f32s(sum, rectified(simd, x, relu)),
            |sum, x| sum + rectified_one(x, relu),
        );
        let mean = sum / plane.len() as f64;
        let near = mean as f32;
        let centre = simd.splat_f32s(near);
        let squares = total(
            simd,
            plane,
            |sum, x| {
                let x = simd.sub_f32s(rectified(simd, x, relu), centre);
                simd.mul_add_e_f32s(x, x, sum)
            },
            |sum, x| sum + (rectified_one(x, relu) - near).powi(2),
        );
        let missed = mean - f64::from(near);
        (mean, (squares - plane.len() as f64 * missed * missed).max(0.0))
    }
}

/// A sum in four vectors of partial sums, added up in double precision now and then.
#[inline(always)]
fn total<S: Simd>(
    simd: S,
    values: &[f32],
    vector: impl Fn(S::f32s, S::f32s) -> S::f32s,
    scalar: impl Fn(f32, f32) -> f32,
) -> f64 {
    let mut sum = 0.0f64;
    for values in values.chunks(4096) {
        let (body, tail) = S::as_simd_f32s(values);
        let mut sums = [simd.splat_f32s(0.0); 4];
        let (quads, rest) = body.as_chunks::<4>();
        for quad in quads {
            for (sum, x) in sums.iter_mut().zip(quad) {
                *sum = vector(*sum, *x);
            }
        }
        for x in rest {
            sums[0] = vector(sums[0], *x);
        }
        let [a, b, c, d] = sums;
        let lanes = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
        sum += f64::from(tail.iter().fold(simd.reduce_sum_f32s(lanes), |sum, x| scalar(sum, *x)));
    }
    sum
}

/// Sums of a plane: of the gradient after the rectification, and of its product with the centred input.
struct GradientSums<'a> {
    input: &'a [f32],
    output: Option<&'a [f32]>,
    gradient: &'a [f32],
    relu_first: bool,
    mean: f32,
}

impl WithSimd for GradientSums<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f64, f64) {
        const SEGMENT: usize = 4096;
        let (mut gradients, mut products) = (0.0f64, 0.0f64);
        let mean = simd.splat_f32s(self.mean);
        let zero = simd.splat_f32s(0.0);
        for (segment, (input, gradient)) in
            self.input.chunks(SEGMENT).zip(self.gradient.chunks(SEGMENT)).enumerate()
        {
            let output = self.output.map(|output| &output[segment * SEGMENT..][..input.len()]);
            let (inputs, input_tail) = S::as_simd_f32s(input);
            let (grads, gradient_tail) = S::as_simd_f32s(gradient);
            // Without a rectification every output counts as positive.
            let (outputs, output_tail) = S::as_simd_f32s(output.unwrap_or(gradient));
            let always = output.is_none();
            let (mut sum, mut product) = ([zero; 2], [zero; 2]);
            let mut step = |i: usize, x: S::f32s, g: S::f32s, y: S::f32s| {
                let g = if always { g } else { simd.select_f32s(simd.greater_than_f32s(y, zero), g, zero) };
                sum[i] = simd.add_f32s(sum[i], g);
                let x = rectified(simd, x, self.relu_first);
                product[i] = simd.mul_add_e_f32s(g, simd.sub_f32s(x, mean), product[i]);
            };
            for (i, ((x, g), y)) in inputs.iter().zip(grads).zip(outputs).enumerate() {
                step(i % 2, *x, *g, *y);
            }
            let mut rest = (0.0, 0.0);
            for ((x, g), y) in input_tail.iter().zip(gradient_tail).zip(output_tail) {
                if always || *y > 0.0 {
                    rest.0 += g;
                    rest.1 += g * (rectified_one(*x, self.relu_first) - self.mean);
                }
            }
            gradients += f64::from(simd.reduce_sum_f32s(simd.add_f32s(sum[0], sum[1])) + rest.0);
            products += f64::from(simd.reduce_sum_f32s(simd.add_f32s(product[0], product[1])) + rest.1);
        }
        (gradients, products)
    }
}

struct Gradient<'a> {
    input: &'a [f32],
    output: Option<&'a [f32]>,
    gradient: &'a [f32],
    relu_first: bool,
    mean: f32,
    factor: f32,
    level: f32,
    slope: f32,
    input_gradient: &'a mut [f32],
    residual_gradient: Option<&'a mut [f32]>,
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let formula = GradientFormula {
            simd,
            mean: simd.splat_f32s(self.mean),
            factor: simd.splat_f32s(self.factor),
            level: simd.splat_f32s(self.level),
            slope: simd.splat_f32s(self.slope),
            relu_first: self.relu_first,
            relu: self.output.is_some(),
        };
        let (inputs, input_tail) = S::as_simd_f32s(self.input);
        let (gradients, gradient_tail) = S::as_simd_f32s(self.gradient);
        // Not looked at where there is no rectification.
        let (outputs, output_tail) = S::as_simd_f32s(self.output.unwrap_or(self.gradient));
        let (results, result_tail) = S::as_mut_simd_f32s(self.input_gradient);
        let tail = formula.of_sum(simd.partial_load_f32s(gradient_tail), simd.partial_load_f32s(output_tail));
        simd.partial_store_f32s(result_tail, formula.of_input(tail, simd.partial_load_f32s(input_tail)));
        let tensors = inputs.iter().zip(gradients).zip(outputs).zip(results);
        match self.residual_gradient {
            Some(residual) => {
                let (residuals, residual_tail) = S::as_mut_simd_f32s(residual);
                simd.partial_store_f32s(residual_tail, tail);
                for ((((x, g), y), out), r) in tensors.zip(residuals) {
                    let g = formula.of_sum(*g, *y);
                    *r = g;
                    *out = formula.of_input(g, *x);
                }
            }
            None => {
                for (((x, g), y), out) in tensors {
                    *out = formula.of_input(formula.of_sum(*g, *y), *x);
                }
            }
        }
    }
}

/// The gradients of one vector of values. Methods, and not closures: those are not always inlined, and then every operation on
/// vectors is a call.
#[derive(Clone, Copy)]
struct GradientFormula<S: Simd> {
    simd: S,
    mean: S::f32s,
    factor: S::f32s,
    level: S::f32s,
    slope: S::f32s,
    relu_first: bool,
    relu: bool,
}

impl<S: Simd> GradientFormula<S> {
    /// With respect to what is rectified last, from the output's gradient `g` and the output `y`.
    #[inline(always)]
    fn of_sum(&self, g: S::f32s, y: S::f32s) -> S::f32s {
        let Self { simd, .. } = *self;
        let zero = simd.splat_f32s(0.0);
        if self.relu { simd.select_f32s(simd.greater_than_f32s(y, zero), g, zero) } else { g }
    }

    /// With respect to the input `x`, from [`Self::of_sum`].
    #[inline(always)]
    fn of_input(&self, g: S::f32s, x: S::f32s) -> S::f32s {
        let Self { simd, .. } = *self;
        let centred = simd.sub_f32s(rectified(simd, x, self.relu_first), self.mean);
        let levelled = simd.add_f32s(simd.mul_add_e_f32s(centred, self.slope, g), self.level);
        let gradient = simd.mul_f32s(self.factor, levelled);
        if self.relu_first {
            let zero = simd.splat_f32s(0.0);
            simd.select_f32s(simd.greater_than_f32s(x, zero), gradient, zero)
        } else {
            gradient
        }
    }
}
