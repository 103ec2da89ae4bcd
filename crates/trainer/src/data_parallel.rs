//! The batches of an optimiser step on several devices.
//!
//! Each device has a copy of the network and learns from its share of the step's batches; gradients and running statistics
//! are brought together in the order of the batches, so that the step is the one that a single device would do with all of
//! them, to rounding. What a batch is, and so what BatchNorm normalises by, does not depend on the devices.
//!
//! Burn's own strategy for several devices (`MultiDevicesTrainStep`) forks a module for each of them, but the running state
//! of BatchNorm is shared by all forks and would be moved from device to device under their feet.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use ffsvc_models::{BatchNorm, running_statistics, with_running_statistics};

use crate::error::{Error, Result};
use crate::network::Network;

/// Calls `learn` with each of `batches` and a copy of `network` on the device that the batch falls to. The results are in
/// the order of the batches, their gradients on the first device; `network` has the running statistics of all batches.
///
/// # Errors
/// The first that `learn` returns; a device that fails.
pub(crate) fn spread<B: Send, T: Send>(
    network: &Network,
    batches: Vec<B>,
    devices: &[Device],
    learn: impl Fn(usize, B, &Network, &Device) -> Result<(T, GradientsParams)> + Sync,
) -> Result<Vec<(T, GradientsParams)>> {
    let before = running_statistics(network);
    let share = batches.len().div_ceil(devices.len());
    let mut numbered = batches.into_iter().enumerate();
    let shares: Vec<Vec<(usize, B)>> =
        devices.iter().map(|_| numbered.by_ref().take(share).collect()).collect();
    let learn = &learn;
    let of_devices: Vec<Result<Share<T>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = devices
            .iter()
            .zip(shares)
            .map(|(device, share)| {
                // A copy with running statistics of its own; `fork` alone would share them.
                let copy = network.valid().train();
                scope.spawn(move || {
                    let work = || {
                        let copy = copy.fork(device);
                        let batches = share.len();
                        let learnt = share
                            .into_iter()
                            .map(|(index, batch)| learn(index, batch, &copy, device))
                            .collect::<Result<Vec<_>>>()?;
                        Ok(Share { learnt, batches, statistics: running_statistics(&copy) })
                    };
                    // Burn reports a lost connection or exhausted memory as a panic.
                    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
                        Err(Error::Device { device: format!("{device:?}"), cause: said(&*panic) })
                    })
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });

    let mut statistics: Vec<Vec<f64>> = before.iter().map(|values| widened(values)).collect();
    let mut all = Vec::new();
    for of_device in of_devices {
        let Share { learnt, batches, statistics: after } = of_device?;
        take_over(&mut statistics, &before, &after, batches);
        let on_first =
            learnt.into_iter().map(|(what, gradients)| (what, gradients.to_device(&devices[0], network)));
        all.extend(on_first);
    }
    let narrowed = statistics.iter().map(|values| values.iter().map(|&value| value as f32).collect());
    with_running_statistics(network.clone(), narrowed.collect());
    Ok(all)
}

/// What came of one device's batches.
struct Share<T> {
    learnt: Vec<(T, GradientsParams)>,
    batches: usize,
    statistics: Vec<Vec<f32>>,
}

/// Adds the batches of one device to `statistics`, as if they had come one after the other on one device. A running
/// statistic after `n` batches is `(1 - momentum)^n` times the one before, plus what the batches bring; `after` tells what
/// they brought to `before`.
fn take_over(statistics: &mut [Vec<f64>], before: &[Vec<f32>], after: &[Vec<f32>], batches: usize) {
    let kept = (1.0 - BatchNorm::MOMENTUM).powi(batches as i32);
    for (statistic, (before, after)) in statistics.iter_mut().zip(before.iter().zip(after)) {
        for (value, (before, after)) in statistic.iter_mut().zip(before.iter().zip(after)) {
            *value = kept * *value + (f64::from(*after) - kept * f64::from(*before));
        }
    }
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it failed without a word".into())
}

#[cfg(test)]
mod tests {
    use burn::optim::GradientsAccumulator;
    use burn::tensor::{Int, Tensor, TensorData};
    use ffsvc_models::{HeadConfig, ModelConfig, NamedTensor, load_named, named_tensors};

    use super::*;
    use crate::gradients;
    use crate::optimizer::OptimizerConfig;

    const BATCH: usize = 4;

    fn network(device: &Device) -> Network {
        let config = "architecture = 'resnet'\nin_planes = 2\ndepth = 18\nembedding_size = 4\ndropout = 0.0";
        let config: ModelConfig = toml::from_str(config).unwrap();
        Network { model: config.init(8, device).unwrap(), head: HeadConfig::default().init(4, 3, device) }
    }

    /// Utterances `from..to`: features and labels.
    fn batch(from: usize, to: usize, device: &Device) -> (Tensor<3>, Tensor<1, Int>) {
        let features: Vec<f32> =
            (from * 96..to * 96).map(|i| (i as f32 * 0.7).sin() + (i / 96) as f32 * 0.1).collect();
        let labels: Vec<i32> = (from..to).map(|i| (i % 3) as i32).collect();
        let features = Tensor::from_data(TensorData::new(features, [to - from, 8, 12]), device);
        (features, Tensor::from_data(TensorData::new(labels, [to - from]), device))
    }

    fn learn((from, to): (usize, usize), network: &Network, device: &Device) -> GradientsParams {
        let (features, labels) = batch(from, to, device);
        GradientsParams::from_grads(network.forward(features, labels).loss.backward(), network)
    }

    /// The network after ten steps of momentum, two batches each, whose gradients `both` makes.
    fn trained(
        start: &[NamedTensor],
        frozen: &[&str],
        both: impl Fn(&Network, [(usize, usize); 2]) -> Vec<GradientsParams>,
    ) -> Vec<NamedTensor> {
        let device = Device::flex().autodiff();
        let mut network = load_named(network(&device), start.to_vec()).unwrap().with_frozen(frozen);
        let config: OptimizerConfig = toml::from_str("kind = 'sgd'\nmomentum = 0.9").unwrap();
        let mut optimizer = config.init(&network).unwrap();
        for step in 0..10 {
            let first = step * 2 * BATCH;
            let batches = [(first, first + BATCH), (first + BATCH, first + 2 * BATCH)];
            let mut accumulator = GradientsAccumulator::new();
            let parts = both(&network, batches);
            let number = parts.len();
            parts.into_iter().for_each(|part| accumulator.accumulate(&network, part));
            let gradients = gradients::mean(&network, accumulator.grads(), number);
            network = optimizer.step(0.05, network, gradients);
        }
        named_tensors(&network)
    }

    fn on_two_devices(network: &Network, batches: [(usize, usize); 2]) -> Vec<GradientsParams> {
        let devices = [Device::flex().autodiff(), Device::flex().autodiff()];
        let learn = |_, batch, network: &Network, device: &Device| Ok(((), learn(batch, network, device)));
        let learnt = spread(network, batches.to_vec(), &devices, learn).unwrap();
        learnt.into_iter().map(|(_, gradients)| gradients).collect()
    }

    fn assert_close(found: &[NamedTensor], expected: &[NamedTensor], start: &[NamedTensor]) {
        let mut moved = 0.0f32;
        for ((found, expected), start) in found.iter().zip(expected).zip(start) {
            assert_eq!((&found.name, &found.shape), (&expected.name, &expected.shape));
            for ((found_value, value), before) in found.data.iter().zip(&expected.data).zip(&start.data) {
                let error = (found_value - value).abs();
                assert!(error < 1e-4 * (1.0 + value.abs()), "{}: {found_value} and {value}", found.name);
                moved = moved.max((value - before).abs());
            }
        }
        assert!(moved > 0.01, "{moved}");
    }

    /// Weights and running statistics.
    #[test]
    fn two_devices_do_what_one_does_with_the_same_batches() {
        let device = Device::flex().autodiff();
        let start = named_tensors(&network(&device));
        let one = trained(&start, &[], |network, batches| {
            batches.map(|batch| learn(batch, network, &device)).into()
        });
        assert_close(&trained(&start, &[], on_two_devices), &one, &start);
    }

    /// As long as no layer takes statistics of a batch.
    #[test]
    fn two_devices_do_what_one_does_with_twice_the_batch() {
        let device = Device::flex().autodiff();
        let start = named_tensors(&network(&device));
        let parts = start.iter().filter_map(|tensor| tensor.name.strip_suffix(".running_mean"));
        let layers: Vec<String> = parts.map(|name| name.trim_start_matches("model.").to_string()).collect();
        let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
        let one = trained(&start, &layers, |network, [(from, _), (_, to)]| {
            vec![learn((from, to), network, &device)]
        });
        assert_close(&trained(&start, &layers, on_two_devices), &one, &start);
    }

    #[test]
    fn a_device_that_fails_is_an_error() {
        let device = Device::flex().autodiff();
        let network = network(&device);
        let devices = [device.clone(), device];
        let fails = |_, (): (), _: &Network, _: &Device| -> Result<((), GradientsParams)> {
            panic!("connection lost")
        };
        let error = spread(&network, vec![(), ()], &devices, fails).err().unwrap().to_string();
        assert!(error.contains("connection lost") && error.contains("--resume"), "{error}");
    }
}
