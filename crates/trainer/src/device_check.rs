//! Whether an accelerator computes what the processor does: loss and gradients of a batch, before the first step.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use ffsvc_dataset::Batch;
use ffsvc_models::{ModelConfig, NamedTensor, Precision, load_named, named_gradients, named_tensors};

use crate::error::{Error, Result};
use crate::learner::inputs;
use crate::network::Network;

/// Utterances that are computed on both: few, because the processor is slow.
pub(crate) const UTTERANCES: usize = 8;

/// How far an accelerator may be from the processor.
#[derive(Debug, Clone, Copy)]
struct Tolerance {
    /// The largest difference of the losses, as a share of the processor's.
    loss: f64,
    /// The largest length of the gradients' difference, as a share of the length of the processor's.
    gradients: f64,
}

impl Tolerance {
    /// Accelerators multiply with 10 bits after the point (TF32), and a margin head multiplies cosines by 32. In `bf16` there are
    /// 7: the gradients of a new ResNet34 then differ by 0.5 to 0.7 of their length, in PyTorch too. What is left to see there
    /// is a wrong scale or what is not a number.
    fn of(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self { loss: 0.02, gradients: 0.1 },
            Precision::Bf16 => Self { loss: 0.2, gradients: 1.5 },
        }
    }
}

/// Computes loss and gradients of `batch` on the processor and on each of `devices`, which come with their numbers in the run,
/// without dropout, and compares them; in `precision` too, where that is not `f32`. `network` and the devices have gradients.
///
/// # Errors
/// Loss or gradients that differ by more than rounding explains; a device that fails.
pub(crate) fn check<'a>(
    config: &ModelConfig,
    network: &Network,
    batch: &Batch,
    precision: Precision,
    mut devices: impl Iterator<Item = (usize, &'a Device)>,
) -> Result<()> {
    let compute = |device: &Device, precision| Computed::on(device, config, network, batch, precision);
    let expected = compute(&Device::flex().autodiff(), Precision::F32)?;
    devices.try_for_each(|(number, device)| {
        let compare_in =
            |precision| compare(&compute(device, precision)?, &expected, Tolerance::of(precision), number);
        compare_in(Precision::F32)?;
        if precision == Precision::F32 { Ok(()) } else { compare_in(precision) }
    })
}

/// What a device makes of a batch.
struct Computed {
    loss: f64,
    gradients: Vec<NamedTensor>,
}

impl Computed {
    fn on(
        device: &Device,
        config: &ModelConfig,
        network: &Network,
        batch: &Batch,
        precision: Precision,
    ) -> Result<Self> {
        let model = config.without_dropout().init(batch.num_mels, device)?;
        let model = load_named(model, named_tensors(&network.model))?;
        let head = network.head.valid().train().fork(device);
        let (features, labels) = inputs(batch.features.clone(), batch, device);
        let embeddings = precision.scope(|| model.forward(features));
        // Without classes there is no loss: any function of the embeddings does.
        let loss = if head.num_classes() > 0 {
            head.forward(embeddings, labels).loss
        } else {
            embeddings.square().mean()
        };
        let value = loss.clone().into_scalar::<f64>();
        let copy = Network { model, head };
        let gradients = GradientsParams::from_grads(loss.backward(), &copy);
        let of_head = named_gradients(&copy.head, &gradients);
        Ok(Self { loss: value, gradients: [named_gradients(&copy.model, &gradients), of_head].concat() })
    }
}

/// # Errors
/// [`Error::WrongDevice`].
fn compare(found: &Computed, expected: &Computed, tolerance: Tolerance, number: usize) -> Result<()> {
    let mut worst = (0.0, "");
    let (mut difference, mut length) = (0.0, 0.0);
    for (found, expected) in found.gradients.iter().zip(&expected.gradients) {
        let mut of_tensor = 0.0;
        for (&found, &expected) in found.data.iter().zip(&expected.data) {
            of_tensor += (f64::from(found) - f64::from(expected)).powi(2);
            length += f64::from(expected).powi(2);
        }
        difference += of_tensor;
        if of_tensor.is_nan() || of_tensor > worst.0 {
            worst = (of_tensor, expected.name.as_str());
        }
    }
    let gradients = (difference / length).sqrt();
    let loss = (found.loss - expected.loss).abs() / expected.loss.abs().max(1.0);
    // What is not a number is not within the tolerance.
    if loss <= tolerance.loss && gradients <= tolerance.gradients {
        return Ok(());
    }
    Err(Error::WrongDevice {
        number,
        found: found.loss,
        expected: expected.loss,
        gradients: 100.0 * gradients,
        layer: worst.1.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use ffsvc_models::HeadConfig;
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const NUM_MELS: usize = 16;
    const NUM_FRAMES: usize = 64;

    const CONFIG: &str =
        "architecture = 'resnet'\nin_planes = 2\ndepth = 18\nembedding_size = 4\ndropout = 0.5";

    /// Always the same one: how far bf16 is from f32 depends on the weights, and the generator of this process serves all tests.
    fn network(device: &Device) -> (ModelConfig, Network) {
        let config: ModelConfig = toml::from_str(CONFIG).unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let model = made_up(config.init(NUM_MELS, device).unwrap(), &mut random);
        let head = HeadConfig::default().init(4, UTTERANCES, device);
        (config, Network { model, head: made_up(head, &mut random) })
    }

    /// With weights of the size that training begins with.
    fn made_up<M: Module>(module: M, random: &mut impl Rng) -> M {
        let mut tensors = named_tensors(&module);
        for tensor in &mut tensors {
            // Of one dimension, BatchNorm's weights stay 1.
            if tensor.shape.len() > 1 {
                let inputs: usize = tensor.shape[1..].iter().product();
                let most = (3.0 / inputs as f32).sqrt();
                tensor.data.fill_with(|| random.random_range(-most..most));
            } else if tensor.name.ends_with("bias") {
                tensor.data.fill(0.0);
            }
        }
        load_named(module, tensors).unwrap()
    }

    /// Large enough for BatchNorm to have much to average in the deepest layers.
    fn batch() -> Batch {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let of_each = NUM_MELS * NUM_FRAMES;
        Batch {
            features: (0..UTTERANCES * of_each).map(|_| random.random_range(-1.0..1.0)).collect(),
            num_mels: NUM_MELS,
            num_frames: NUM_FRAMES,
            labels: (0..UTTERANCES as i64).collect(),
            members: (0..UTTERANCES as u32).collect(),
            further: Vec::new(),
        }
    }

    #[test]
    fn a_device_that_computes_what_the_processor_does_passes() {
        let device = Device::flex().autodiff();
        let (config, network) = network(&device);
        for precision in [Precision::F32, Precision::Bf16] {
            check(&config, &network, &batch(), precision, std::iter::once((1, &device))).unwrap();
        }
    }

    #[test]
    fn wrong_gradients_losses_and_nan_are_refused_by_layer() {
        let device = Device::flex().autodiff();
        let (config, network) = network(&device);
        let computed = || Computed::on(&device, &config, &network, &batch(), Precision::F32).unwrap();
        let right = computed();
        let spoil = |change: &dyn Fn(&mut Computed)| {
            let mut wrong = computed();
            change(&mut wrong);
            compare(&wrong, &right, Tolerance::of(Precision::F32), 1).unwrap_err().to_string()
        };
        let largest = |tensor: &NamedTensor| tensor.data.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        let place = (0..right.gradients.len())
            .max_by(|&a, &b| largest(&right.gradients[a]).total_cmp(&largest(&right.gradients[b])))
            .unwrap();
        let name = right.gradients[place].name.clone();
        for value in [1e9, f32::NAN] {
            let message = spoil(&|wrong| wrong.gradients[place].data[0] = value);
            assert!(message.contains(&name) && message.contains("train.check_device"), "{message}");
        }
        let message = spoil(&|wrong| wrong.loss = f64::NAN);
        assert!(message.contains("NaN"), "{message}");
        spoil(&|wrong| wrong.loss = 2.0 * wrong.loss + 1.0);
    }
}
