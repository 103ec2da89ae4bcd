//! The batches of an optimiser step on several devices.
//!
//! Each device has a copy of the network and computes the gradients of its share of the step's batches. Gradients and
//! running statistics are then added in the order of the devices. To rounding, the step is the one that a single device
//! would do with all batches. BatchNorm normalises by one batch, whatever the number of devices.
//!
//! Burn's own strategy for several devices (`MultiDevicesTrainStep`) is not used: it forks a module for each device, and all
//! forks share the running state of BatchNorm.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};
use ffsvc_models::{BatchNorm, running_statistics, with_running_statistics};

use crate::error::{Error, Result};
use crate::gradients;
use crate::network::Network;

/// Calls `forward_backward` with each of `batches` and a copy of `network` on the device that the batch falls to. Returns the
/// outputs in the order of the batches, and the sum of the gradients on the first device. Afterwards `network` has the running
/// statistics of all batches. Each device holds one sum of gradients.
///
/// # Errors
/// A device that fails.
pub(crate) fn scatter<B: Send, T: Send>(
    network: &Network,
    batches: Vec<B>,
    devices: &[Device],
    forward_backward: impl Fn(usize, B, &Network, &Device) -> (T, GradientsParams) + Sync,
) -> Result<(Vec<T>, GradientsParams)> {
    let before = running_statistics(network);
    let share = batches.len().div_ceil(devices.len());
    let mut numbered = batches.into_iter().enumerate();
    let shares: Vec<Vec<(usize, B)>> =
        devices.iter().map(|_| numbered.by_ref().take(share).collect()).collect();
    let forward_backward = &forward_backward;
    let of_devices: Vec<Result<DeviceOutput<T>>> = std::thread::scope(|scope| {
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
                        let (outputs, gradients) =
                            gradients::sum_over(&copy, share, |index, batch, network| {
                                forward_backward(index, batch, network, device)
                            });
                        DeviceOutput { outputs, gradients, batches, statistics: running_statistics(&copy) }
                    };
                    // Burn reports a lost connection or exhausted memory as a panic.
                    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Error::Device {
                        device: format!("{device:?}"),
                        cause: panic_message(&*panic),
                    })
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });

    let mut statistics = before.clone();
    let mut all = Vec::new();
    let mut sum = GradientsAccumulator::new();
    for of_device in of_devices {
        let DeviceOutput { outputs, gradients, batches, statistics: after } = of_device?;
        merge_statistics(&mut statistics, &before, after, batches);
        sum.accumulate(network, gradients.to_device(&devices[0], network));
        all.extend(outputs);
    }
    with_running_statistics(network.clone(), statistics);
    Ok((all, sum.grads()))
}

/// What came of one device's batches.
struct DeviceOutput<T> {
    outputs: Vec<T>,
    /// Their sum.
    gradients: GradientsParams,
    batches: usize,
    /// On the device.
    statistics: Vec<Tensor<1>>,
}

/// Adds the batches of one device to `statistics`, as if they had come one after the other on one device. A running
/// statistic after `n` batches is `(1 - momentum)^n` times the one before, plus what the batches bring; `after` tells what
/// they brought to `before`.
fn merge_statistics(
    statistics: &mut [Tensor<1>],
    before: &[Tensor<1>],
    after: Vec<Tensor<1>>,
    batches: usize,
) {
    let kept = (1.0 - BatchNorm::MOMENTUM).powi(batches as i32);
    for ((statistic, before), after) in statistics.iter_mut().zip(before).zip(after) {
        let brought = after.to_device(&before.device()) - before.clone() * kept;
        *statistic = statistic.clone() * kept + brought;
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown".into())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Int, TensorData};
    use ffsvc_models::{HeadConfig, ModelConfig, NamedTensor, load_named, named_tensors};

    use super::*;
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

    fn gradients_of((from, to): (usize, usize), network: &Network, device: &Device) -> GradientsParams {
        let (features, labels) = batch(from, to, device);
        GradientsParams::from_grads(network.forward(features, labels).loss.backward(), network)
    }

    /// The network after ten steps of momentum with the mean of gradients: `both` makes their sum over two batches, and their
    /// number.
    fn trained(
        start: &[NamedTensor],
        frozen: &[&str],
        both: impl Fn(&Network, [(usize, usize); 2]) -> (GradientsParams, usize),
    ) -> Vec<NamedTensor> {
        let device = Device::flex().autodiff();
        let mut network = load_named(network(&device), start.to_vec()).unwrap().with_frozen(frozen);
        let config: OptimizerConfig = toml::from_str("kind = 'sgd'\nmomentum = 0.9").unwrap();
        let mut optimizer = config.init(&network).unwrap();
        for step in 0..10 {
            let first = step * 2 * BATCH;
            let batches = [(first, first + BATCH), (first + BATCH, first + 2 * BATCH)];
            let (sum, number) = both(&network, batches);
            let gradients = gradients::mean(&network, sum, number);
            network = optimizer.step(0.05, network, gradients);
        }
        named_tensors(&network)
    }

    fn on_two_devices(network: &Network, batches: [(usize, usize); 2]) -> (GradientsParams, usize) {
        let devices = [Device::flex().autodiff(), Device::flex().autodiff()];
        let one = |_, batch, network: &Network, device: &Device| ((), gradients_of(batch, network, device));
        let (outputs, sum) = scatter(network, batches.to_vec(), &devices, one).unwrap();
        (sum, outputs.len())
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
            let one = |_, batch, network: &Network| ((), gradients_of(batch, network, &device));
            let (outputs, sum) = gradients::sum_over(network, batches.into_iter().enumerate(), one);
            (sum, outputs.len())
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
            (gradients_of((from, to), network, &device), 1)
        });
        assert_close(&trained(&start, &layers, on_two_devices), &one, &start);
    }

    #[test]
    fn a_device_that_fails_is_an_error() {
        let device = Device::flex().autodiff();
        let network = network(&device);
        let devices = [device.clone(), device];
        let fails =
            |_, (): (), _: &Network, _: &Device| -> ((), GradientsParams) { panic!("connection lost") };
        let error = scatter(&network, vec![(), ()], &devices, fails).err().unwrap().to_string();
        assert!(error.contains("connection lost") && error.contains("checkpoint is complete"), "{error}");
    }
}
