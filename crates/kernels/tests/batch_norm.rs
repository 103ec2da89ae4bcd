//! Batch normalisation against its definition in double precision, gradients included.

mod numbers;

use ffsvc_kernels::BatchNorm;
use numbers::numbers;
use proptest::prelude::*;

fn numbers_around(mean: f32, len: usize, seed: u32) -> Vec<f32> {
    numbers(len, seed).into_iter().map(|number| number + mean).collect()
}

fn near(found: &[f32], expected: &[f64], scale: f64, what: &str) {
    assert_eq!(found.len(), expected.len());
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(
            error <= 1e-5 * (scale + expected.abs()),
            "{what}[{place}]: {found} where {expected} is right"
        );
    }
}

fn check(norm: BatchNorm, batch: usize, with_residual: bool) {
    let len = batch * norm.channels * norm.positions;
    let (input, residual) = (numbers_around(0.7, len, 1), numbers(len, 2));
    let (scale, offset) = (numbers_around(1.5, norm.channels, 3), numbers(norm.channels, 4));
    let gradient = numbers_around(0.1, len, 5);
    let residual = with_residual.then_some(&residual[..]);
    let count = (batch * norm.positions) as f64;
    let channel = |place: usize| place / norm.positions % norm.channels;
    let per_channel = |value: &dyn Fn(usize) -> f64| {
        let mut sums = vec![0.0; norm.channels];
        (0..len).for_each(|place| sums[channel(place)] += value(place));
        sums
    };
    let x = |p: usize| f64::from(if norm.relu_first { input[p].max(0.0) } else { input[p] });
    let mean: Vec<f64> = per_channel(&x).iter().map(|sum| sum / count).collect();
    let variance: Vec<f64> =
        per_channel(&|p| (x(p) - mean[channel(p)]).powi(2)).iter().map(|sum| sum / count).collect();
    let mut statistics = norm.statistics(&input);
    near(&statistics.mean, &mean, 1.0, "mean");
    near(&statistics.variance, &variance, 1.0, "variance");
    let (mut mean, mut variance) = (mean, variance);
    if norm.fixed {
        statistics.mean = numbers(norm.channels, 6);
        statistics.variance = numbers_around(2.0, norm.channels, 7);
        mean = statistics.mean.iter().map(|mean| f64::from(*mean)).collect();
        variance = statistics.variance.iter().map(|variance| f64::from(*variance)).collect();
    }

    let deviation: Vec<f64> = variance.iter().map(|v| (v + f64::from(norm.epsilon)).sqrt()).collect();
    let normalised = |p: usize| (x(p) - mean[channel(p)]) / deviation[channel(p)];
    let before = |p: usize| {
        let c = channel(p);
        f64::from(scale[c]) * normalised(p) + f64::from(offset[c]) + residual.map_or(0.0, |r| f64::from(r[p]))
    };
    let mut output = vec![f32::NAN; len];
    norm.forward(&input, residual, &statistics, &scale, &offset, &mut output);
    let expected: Vec<f64> =
        (0..len).map(|p| if norm.relu { before(p).max(0.0) } else { before(p) }).collect();
    near(&output, &expected, 1.0, "output");

    // Where our output was rounded to the other side of 0, the definition's gradient would differ.
    let masked = |p: usize| if !norm.relu || output[p] > 0.0 { f64::from(gradient[p]) } else { 0.0 };
    let of_offset = per_channel(&masked);
    let of_scale = per_channel(&|p| masked(p) * normalised(p));
    let of_input: Vec<f64> = (0..len)
        .map(|p| {
            let c = channel(p);
            if norm.relu_first && input[p] <= 0.0 {
                return 0.0;
            }
            let through_statistics =
                if norm.fixed { 0.0 } else { (of_offset[c] + normalised(p) * of_scale[c]) / count };
            f64::from(scale[c]) / deviation[c] * (masked(p) - through_statistics)
        })
        .collect();
    let mut found = vec![f32::NAN; len];
    let mut found_residual = vec![f32::NAN; len];
    let (found_scale, found_offset) = norm.backward(
        &input,
        &output,
        &gradient,
        &statistics,
        &scale,
        &mut found,
        with_residual.then_some(&mut found_residual[..]),
    );
    near(&found_scale, &of_scale, count.sqrt(), "scale gradient");
    near(&found_offset, &of_offset, count.sqrt(), "offset gradient");
    let steepest = deviation.iter().fold(1.0, |steepest: f64, d| steepest.max(1.0 / d));
    near(&found, &of_input, steepest, "input gradient");
    if with_residual {
        near(&found_residual, &(0..len).map(masked).collect::<Vec<_>>(), 1.0, "residual gradient");
    }
}

proptest! {
    #[test]
    fn any_batch_is_normalised_as_defined(
        batch in 1usize..5, channels in 1usize..7, positions in 2usize..200, relu_first: bool, relu: bool,
        residual: bool, fixed: bool,
    ) {
        check(BatchNorm { channels, positions, epsilon: 1e-5, relu_first, relu, fixed }, batch, residual);
    }
}

#[test]
fn a_large_mean_does_not_spoil_the_variance() {
    let norm = BatchNorm {
        channels: 1,
        positions: 20_000,
        epsilon: 1e-5,
        relu_first: false,
        relu: false,
        fixed: false,
    };
    let input: Vec<f32> = (0..40_000).map(|i| 1000.0 + (i % 2) as f32).collect();
    let statistics = norm.statistics(&input);
    assert!((statistics.variance[0] - 0.25).abs() < 1e-6, "{}", statistics.variance[0]);
    assert!((statistics.mean[0] - 1000.5).abs() < 1e-4, "{}", statistics.mean[0]);
}

#[test]
fn a_nan_goes_through_the_rectification() {
    let norm =
        BatchNorm { channels: 1, positions: 3, epsilon: 1e-5, relu_first: true, relu: true, fixed: false };
    let statistics = ffsvc_kernels::BatchStatistics { mean: vec![0.0], variance: vec![1.0] };
    let mut output = [0.0; 3];
    norm.forward(&[f32::NAN, -1.0, 1.0], None, &statistics, &[1.0], &[0.0], &mut output);
    assert!(output[0].is_nan());
    assert_eq!(output[1], 0.0);
}
