//! Batch normalisation against its formulas, in double.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use ffsvc_models::BatchNorm;

use crate::goldens::{max_difference, values_of};

/// `[2 utterances, 2 channels, 3 frames]`
const INPUT: [f32; 12] = [1.0, 2.0, 4.0, -1.0, 0.5, 3.0, 7.0, -2.0, 0.0, 5.0, 2.5, -4.0];

fn channel(channel: usize) -> Vec<f64> {
    let frames = |utterance: usize| &INPUT[6 * utterance + 3 * channel..][..3];
    [frames(0), frames(1)].concat().into_iter().map(f64::from).collect()
}

fn input(device: &Device) -> Tensor<3> {
    Tensor::from_data(TensorData::new(INPUT.to_vec(), [2, 2, 3]), device)
}

fn statistics() -> ([f64; 2], [f64; 2]) {
    let mean = [0, 1].map(|c| channel(c).iter().sum::<f64>() / 6.0);
    let biased = [0, 1].map(|c| channel(c).iter().map(|x| (x - mean[c]).powi(2)).sum::<f64>() / 6.0);
    (mean, biased)
}

#[test]
fn normalises_by_the_biased_variance_and_keeps_the_unbiased_one() {
    let device = Device::default().autodiff();
    let bn = BatchNorm::new(2, &device);
    let (mean, biased) = statistics();

    let output = values_of(bn.forward(input(&device)));
    let expected: Vec<f64> = INPUT
        .iter()
        .enumerate()
        .map(|(i, x)| {
            let c = i / 3 % 2;
            (f64::from(*x) - mean[c]) / (biased[c] + 1e-5).sqrt()
        })
        .collect();
    assert!(max_difference(&output, &expected) < 1e-6);

    // Immediately, and after a second batch.
    let unbiased = biased.map(|v| v * 6.0 / 5.0);
    let check = |passes: i32| {
        let old = 0.9f64.powi(passes);
        let running_mean = mean.map(|m| (1.0 - old) * m);
        let running_var = unbiased.map(|v| old + (1.0 - old) * v);
        assert!(max_difference(&values_of(bn.running_mean.value()), &running_mean) < 1e-6);
        assert!(max_difference(&values_of(bn.running_var.value()), &running_var) < 1e-6);
    };
    check(1);
    bn.forward(input(&device));
    check(2);
}

#[test]
fn evaluates_by_the_running_statistics_and_leaves_them() {
    let plain = Device::default();
    let bn = BatchNorm::new(2, &plain.clone().autodiff());
    bn.forward(input(&plain.clone().autodiff()));
    let (mean, biased) = statistics();
    let bn = bn.valid();
    let output = values_of(bn.forward(input(&plain)));
    let again = values_of(bn.forward(input(&plain)));
    assert_eq!(output, again);
    let expected: Vec<f64> = INPUT
        .iter()
        .enumerate()
        .map(|(i, x)| {
            let c = i / 3 % 2;
            let variance = 0.9 + 0.1 * biased[c] * 1.2;
            (f64::from(*x) - 0.1 * mean[c]) / (variance + 1e-5).sqrt()
        })
        .collect();
    assert!(max_difference(&output, &expected) < 1e-6);
}

#[test]
fn frozen_layers_do_not_learn_statistics() {
    let device = Device::default().autodiff();
    let bn = BatchNorm::new(2, &device).freeze();
    let output = values_of(bn.forward(input(&device)));
    let expected: Vec<f64> = INPUT.iter().map(|x| f64::from(*x) / (1.0f64 + 1e-5).sqrt()).collect();
    assert!(max_difference(&output, &expected) < 1e-6);
    assert_eq!(values_of(bn.running_mean.value()), [0.0, 0.0]);
}

/// The gradient against central differences of the loss, which the batch statistics take part in.
#[test]
fn gradient_counts_the_batch_statistics() {
    let device = Device::default().autodiff();
    let loss = |input: Tensor<3>| {
        let weights: Vec<f32> = (0..12).map(|i| (i as f32 * 1.7).sin()).collect();
        let weights = Tensor::from_data(TensorData::new(weights, [2, 2, 3]), &device);
        (BatchNorm::new(2, &device).forward(input).square() * weights).sum()
    };
    let tracked = input(&device).require_grad();
    let gradients = loss(tracked.clone()).backward();
    let found = values_of(tracked.grad(&gradients).unwrap());
    for (i, found) in found.iter().enumerate() {
        let moved = |by: f32| {
            let mut values = INPUT.to_vec();
            values[i] += by;
            values_of(loss(Tensor::from_data(TensorData::new(values, [2, 2, 3]), &device)))[0]
        };
        let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
        assert!((found - expected).abs() < 2e-3, "{i}: {found} {expected}");
    }
}

/// The fused kernel with fixed statistics against Burn's own operations, gradients of input, scale and shift.
#[test]
fn gradients_by_running_statistics_are_those_of_the_formula() {
    let device = Device::default().autodiff();
    let bn = BatchNorm::new(2, &device);
    bn.forward(input(&device));
    let bn = ffsvc_models::keep_running_statistics(bn);
    let weights: Vec<f32> = (0..12).map(|i| (i as f32 * 1.7).sin()).collect();
    let weights = Tensor::<3>::from_data(TensorData::new(weights, [2, 2, 3]), &device);
    let tracked = input(&device).require_grad();
    let loss = (bn.forward(tracked.clone()).square() * weights.clone()).sum();
    let found = loss.clone().backward();

    let theirs = input(&device).require_grad();
    let per_channel = |vector: Tensor<1>| vector.reshape([1, 2, 1]);
    let deviation = (bn.running_var.value() + 1e-5).sqrt();
    let (scale, shift) = (bn.weight.val(), bn.bias.val());
    let centred = theirs.clone() - per_channel(bn.running_mean.value());
    let output = centred / per_channel(deviation) * per_channel(scale.clone()) + per_channel(shift.clone());
    let expected_loss = (output.square() * weights).sum();
    assert!(max_difference(&values_of(loss), &values_of(expected_loss.clone())) < 1e-4);
    let expected = expected_loss.backward();
    let near = |a: Vec<f64>, b: Vec<f64>| assert!(max_difference(&a, &b) < 1e-4, "{a:?} {b:?}");
    near(values_of(tracked.grad(&found).unwrap()), values_of(theirs.grad(&expected).unwrap()));
    for parameter in [&scale, &shift] {
        near(values_of(parameter.grad(&found).unwrap()), values_of(parameter.grad(&expected).unwrap()));
    }
}
