//! Poolings against their formulas, in double.

use burn::tensor::{Device, Tensor, TensorData};
use ffsvc_models::pooling::{AttentiveStatistics, statistics_over_all_positions, temporal_statistics};
use ffsvc_models::{NamedTensor, load_named};

use crate::goldens::{max_difference, values_of};

/// Values without a pattern.
fn wave(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 0.73).sin() + 0.3 * (i as f32 * 2.1).cos()).collect()
}

fn mean_and_std(values: &[f32], epsilon: f64) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance + epsilon).sqrt())
}

#[test]
fn statistics_are_means_then_unbiased_deviations() {
    let device = Device::default();
    let values = wave(2 * 3 * 4 * 5);
    let maps = Tensor::<4>::from_data(TensorData::new(values.clone(), [2, 3, 4, 5]), &device);

    let of_rows = |length: usize, rows: usize, epsilon: f64| -> Vec<f64> {
        let per_utterance = values.chunks(length * rows).flat_map(|utterance| {
            let (means, deviations): (Vec<f64>, Vec<f64>) =
                utterance.chunks(length).map(|row| mean_and_std(row, epsilon)).unzip();
            [means, deviations].concat()
        });
        per_utterance.collect()
    };
    let found = values_of(statistics_over_all_positions(maps.clone()));
    assert!(max_difference(&found, &of_rows(20, 3, 0.0)) < 1e-6);
    let found = values_of(temporal_statistics(maps.reshape([2, 12, 5])));
    assert!(max_difference(&found, &of_rows(5, 12, 1e-7)) < 1e-6);
}

#[test]
fn constant_and_single_frames_have_finite_gradients() {
    let device = Device::default().autodiff();
    for frames in [1, 4] {
        let maps = Tensor::<4>::ones([1, 2, 1, frames], &device).require_grad();
        let rows = maps.clone().reshape([1, 2, frames]);
        let attention = AttentiveStatistics::new(2, 4, &device);
        let pooled = statistics_over_all_positions(maps.clone()).sum()
            + temporal_statistics(rows.clone()).sum()
            + attention.forward(rows).sum();
        let gradient = values_of(maps.grad(&pooled.clone().backward()).unwrap());
        assert!(values_of(pooled)[0].is_finite());
        assert!(gradient.iter().all(|v| v.is_finite()), "{frames}: {gradient:?}");
    }
}

/// The formula with loops, as a check of the split of `W [h; mean; std]`.
#[test]
fn attention_sees_frame_and_context() {
    let device = Device::default();
    let (rows, hidden, frames) = (2, 3, 4);
    let (w1, b1) = (wave(hidden * 3 * rows), vec![0.1f32, -0.2, 0.3]);
    let (w2, b2) = (wave(rows * hidden), vec![0.5f32, -0.5]);
    let tensor = |name: &str, shape: &[usize], data: &[f32]| NamedTensor {
        name: name.into(),
        shape: shape.to_vec(),
        data: data.to_vec(),
    };
    let pooling = load_named(
        AttentiveStatistics::new(rows, hidden, &device),
        vec![
            tensor("linear1.weight", &[hidden, 3 * rows, 1], &w1),
            tensor("linear1.bias", &[hidden], &b1),
            tensor("linear2.weight", &[rows, hidden, 1], &w2),
            tensor("linear2.bias", &[rows], &b2),
        ],
    )
    .unwrap();
    let values = wave(rows * frames);
    let input = Tensor::from_data(TensorData::new(values.clone(), [1, rows, frames]), &device);
    let found = values_of(pooling.forward(input));

    let h = |row: usize, t: usize| f64::from(values[row * frames + t]);
    let context: Vec<(f64, f64)> = values.chunks(frames).map(|row| mean_and_std(row, 1e-7)).collect();
    let score = |row: usize, t: usize| -> f64 {
        let hidden_units = (0..hidden).map(|unit| {
            let w = |column: usize| f64::from(w1[unit * 3 * rows + column]);
            let sum: f64 = (0..rows)
                .map(|r| w(r) * h(r, t) + w(rows + r) * context[r].0 + w(2 * rows + r) * context[r].1)
                .sum();
            f64::from(w2[row * hidden + unit]) * (sum + f64::from(b1[unit])).tanh()
        });
        hidden_units.sum::<f64>() + f64::from(b2[row])
    };
    let mut expected = vec![0.0; 2 * rows];
    for row in 0..rows {
        let weights: Vec<f64> = (0..frames).map(|t| score(row, t).exp()).collect();
        let total: f64 = weights.iter().sum();
        let moment =
            |power: i32| -> f64 { (0..frames).map(|t| weights[t] / total * h(row, t).powi(power)).sum() };
        expected[row] = moment(1);
        expected[rows + row] = (moment(2) - moment(1).powi(2)).max(1e-7).sqrt();
    }
    assert!(max_difference(&found, &expected) < 1e-6, "{found:?} {expected:?}");
}
