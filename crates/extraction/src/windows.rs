//! Recordings that a network sees in windows.

use burn::tensor::{Device, Tensor, TensorData};
use ffsvc_features::Features;
use ffsvc_models::Windows;

/// At most so many windows go through the network together.
pub(crate) const WINDOWS_TOGETHER: usize = 64;

/// The embedding of each recording: the mean of those of its windows, with a length of 1. `batch` has the frames that the windows
/// reach over; `network` makes embeddings of windows.
pub(crate) fn embeddings(
    windows: Windows,
    batch: &[&Features],
    device: &Device,
    network: impl Fn(Tensor<3>) -> Tensor<2> + Sync,
) -> Vec<Vec<f32>> {
    let count = |features: &Features| windows.count_within(features.num_frames);
    let all: Vec<(&Features, usize)> = batch
        .iter()
        .flat_map(|features| (0..count(features)).map(|window| (*features, window * windows.shift)))
        .collect();
    let mut of_windows = all.chunks(WINDOWS_TOGETHER).flat_map(|together| {
        let num_mels = together[0].0.num_mels;
        let mut data = Vec::with_capacity(together.len() * num_mels * windows.frames);
        for (features, start) in together {
            for row in features.data.chunks_exact(features.num_frames) {
                data.extend_from_slice(&row[*start..start + windows.frames]);
            }
        }
        let shape = [together.len(), num_mels, windows.frames];
        let input = Tensor::<3>::from_data(TensorData::new(data, shape), device);
        rows(rayon::scope(|_| network(input)))
    });
    batch.iter().map(|features| mean_direction(of_windows.by_ref().take(count(features)))).collect()
}

/// The rows of a matrix.
pub(crate) fn rows(matrix: Tensor<2>) -> Vec<Vec<f32>> {
    let size = matrix.dims()[1];
    let values: Vec<f32> = matrix.into_data().iter::<f32>().collect();
    values.chunks_exact(size).map(<[f32]>::to_vec).collect()
}

/// The sum of vectors, divided by its length. Zeros stay zeros.
fn mean_direction(vectors: impl Iterator<Item = Vec<f32>>) -> Vec<f32> {
    let mut sum: Vec<f64> = Vec::new();
    for vector in vectors {
        sum.resize(vector.len(), 0.0);
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += f64::from(value));
    }
    let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
    let scale = if length == 0.0 { 0.0 } else { 1.0 / length };
    sum.iter().map(|value| (value * scale) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_direction_has_a_length_of_one() {
        let mean = mean_direction([vec![3.0, 0.0], vec![0.0, 4.0]].into_iter());
        assert_eq!(mean, [0.6, 0.8]);
        assert_eq!(mean_direction([vec![0.0; 2]].into_iter()), [0.0; 2]);
        let not_a_number = mean_direction([vec![f32::NAN, 1.0]].into_iter());
        assert!(not_a_number.iter().all(|value| value.is_nan()));
    }
}
