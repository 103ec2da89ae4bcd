//! Running statistics of BatchNorm for weights that were not trained as they are.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use ffsvc_dataset::{BatchRange, DataLoader, Purpose, stream_seed};
use ffsvc_models::{BatchNorm, NamedTensor, SpeakerModel, load_named, named_tensors};

use crate::config::ExperimentConfig;
use crate::error::{Error, Result};
use crate::setup::Setup;

/// `model` with the running statistics of its BatchNorm layers replaced by the mean over batches of the data directory
/// `data` (PyTorch's `torch.optim.swa_utils.update_bn`), and the number of batches. An average of weights needs it, because
/// the mean of running statistics is not the statistics of the mean.
///
/// The batches are the first of a run of `config` on those data, `most_batches` at most, with its crops and augmentation, but
/// without its shuffle buffer: they are of all archives, and the data may have none.
/// `device` is a plain one.
///
/// # Errors
/// Anything wrong in the configuration or the data; no batch at all; values that are not finite.
pub fn reestimate_batch_norm(
    model: SpeakerModel,
    config: &ExperimentConfig,
    data: &Path,
    most_batches: usize,
    device: &Device,
) -> Result<(SpeakerModel, usize)> {
    let mut config = config.clone();
    config.data.train = data.to_path_buf().into();
    config.train.overfit_steps = 0;
    config.train.accumulate = 1;
    config.sampler.shuffle_buffer = 0;
    let Setup { maker, sampler, .. } = Setup::new(&config, None)?;
    let count = sampler.num_batches().min(most_batches);
    let range =
        BatchRange { first: 0, last: count, per_epoch: sampler.num_batches(), first_epoch_only: true };
    let (workers, prefetch) = (config.train.workers, config.train.prefetch);
    let mut loader = DataLoader::start(Arc::clone(&maker), sampler, range, workers, prefetch)?;

    let training = device.clone().autodiff();
    let copy = config.model.init(maker.num_mels(), &training)?;
    let copy = load_named(copy, named_tensors(&model))?;
    let batches = (0..count).map(|index| {
        let batch = loader.next_batch()?;
        let shape = [batch.labels.len(), batch.num_mels, batch.num_frames];
        training.seed(stream_seed(config.train.seed, Purpose::Dropout, index as u32, ""));
        Ok(Tensor::<3>::from_data(TensorData::new(batch.features, shape), &training))
    });
    Ok((load_named(model, mean_statistics(copy, batches)?)?, count))
}

/// The tensors of `model`, which is on a device with gradients, with the mean statistics of `batches`.
fn mean_statistics(
    mut model: SpeakerModel,
    batches: impl Iterator<Item = Result<Tensor<3>>>,
) -> Result<Vec<NamedTensor>> {
    let is_statistic = |tensor: &NamedTensor| tensor.name.contains(".running_");
    let mut blank = named_tensors(&model);
    blank.iter_mut().filter(|tensor| is_statistic(tensor)).for_each(|tensor| tensor.data.fill(0.0));
    let mut sums: Vec<Vec<f64>> = blank.iter().map(|tensor| vec![0.0; tensor.data.len()]).collect();
    let mut count = 0;
    for batch in batches {
        // From nothing, the running statistics after a batch are its own, times the momentum.
        model = load_named(model, blank.clone())?;
        model.forward(batch?);
        for (sum, tensor) in sums.iter_mut().zip(named_tensors(&model)) {
            for (sum, value) in sum.iter_mut().zip(tensor.data) {
                *sum += f64::from(value) / BatchNorm::MOMENTUM;
            }
        }
        count += 1;
    }
    for (tensor, sum) in blank.iter_mut().zip(sums).filter(|(tensor, _)| is_statistic(tensor)) {
        tensor.data = sum.iter().map(|sum| (sum / f64::from(count)) as f32).collect();
        if tensor.data.iter().any(|value| !value.is_finite()) {
            return Err(Error::DataSet {
                what: format!("statistics {} over {count} batches", tensor.name),
                found: "values that are not finite".into(),
                expected: "usable weights and at least one batch".into(),
            });
        }
    }
    Ok(blank)
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::Distribution;
    use ffsvc_models::ModelConfig;

    use super::*;

    fn model(device: &Device) -> SpeakerModel {
        let config: ModelConfig = toml::from_str(
            "architecture = 'resnet'\nin_planes = 4\ndepth = 18\nembedding_size = 8\ndropout = 0.0",
        )
        .unwrap();
        config.init(16, device).unwrap()
    }

    /// A model with these tensors. Tests run side by side and share the device's generator: weights are drawn once.
    fn with(tensors: &[NamedTensor], device: &Device) -> SpeakerModel {
        load_named(model(device), tensors.to_vec()).unwrap()
    }

    fn distance(a: &Tensor<2>, b: &Tensor<2>) -> f32 {
        let length = |t: Tensor<2>| t.square().sum().sqrt().into_scalar::<f32>();
        length(a.clone() - b.clone()) / length(b.clone())
    }

    /// With the statistics of one batch, an evaluation of this batch is what training made of it, but for the variances
    /// being unbiased: by a factor of up to 1 / (1 - 1 / (6 * 2 * 13)).
    #[test]
    fn evaluation_agrees_with_training_on_the_batch_of_the_statistics() {
        let device = Device::flex().autodiff();
        let batch = Tensor::<3>::random([6, 16, 100], Distribution::Normal(1.0, 3.0), &device);
        let fresh = named_tensors(&model(&device));
        let trained = with(&fresh, &device).forward(batch.clone()).inner();
        let evaluated = |model: SpeakerModel| model.valid().forward(batch.clone().inner());
        assert!(distance(&evaluated(with(&fresh, &device)), &trained) > 0.2);
        let tensors = mean_statistics(with(&fresh, &device), [Ok(batch.clone())].into_iter()).unwrap();
        let found = distance(&evaluated(with(&tensors, &device)), &trained);
        assert!(found < 0.02, "{found}");
    }

    #[test]
    fn every_batch_counts_the_same() {
        let device = Device::flex().autodiff();
        let batches: Vec<Tensor<3>> = (0..3)
            .map(|i| Tensor::random([4, 16, 40], Distribution::Normal(f64::from(i), 1.0), &device))
            .collect();
        let weights = named_tensors(&model(&device));
        let of = |batches: &[Tensor<3>]| {
            mean_statistics(with(&weights, &device), batches.iter().cloned().map(Ok)).unwrap()
        };
        let (all, alone) = (of(&batches), batches.iter().map(|b| of(std::slice::from_ref(b))));
        let alone: Vec<Vec<NamedTensor>> = alone.collect();
        for (index, tensor) in all.iter().enumerate() {
            for (position, value) in tensor.data.iter().enumerate() {
                let expected = if tensor.name.contains(".running_") {
                    alone.iter().map(|one| one[index].data[position]).sum::<f32>() / 3.0
                } else {
                    weights[index].data[position]
                };
                let error = (value - expected).abs();
                assert!(error <= 1e-5 * (1.0 + expected.abs()), "{}: {value} and {expected}", tensor.name);
            }
        }
        assert!(mean_statistics(model(&device), std::iter::empty()).is_err());
    }
}
