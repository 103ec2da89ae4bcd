//! Batch normalisation with PyTorch's running statistics.
//! [Ioffe and Szegedy 2015](https://arxiv.org/abs/1502.03167).

use burn::module::{Flag, Initializer, Module, Param, RunningState};
use burn::tensor::activation::relu;
use burn::tensor::module::batch_norm_train;
use burn::tensor::{Device, Tensor, TensorData};

use crate::cpu;

/// Added to the variance before the square root (PyTorch's default).
pub(crate) const EPSILON: f64 = 1e-5;

/// Batch normalisation over every dimension but the second.
///
/// Burn's own layer keeps the *biased* variance of the batches. PyTorch normalises by the biased one and keeps the
/// unbiased one. This layer does the same, so an evaluation after training agrees with PyTorch's. Its parameters carry
/// PyTorch's names.
///
/// It trains (normalises by the batch, updates the running statistics) when its input is on an autodiff device and it
/// has not been frozen, like Burn's modules. The running statistics are up to date as soon as `forward` returns. They
/// are shared by clones of the module; [`Module::valid`] takes a copy. One thread at a time may train a module.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Scale, `[channels]`.
    pub weight: Param<Tensor<1>>,
    /// Shift, `[channels]`.
    pub bias: Param<Tensor<1>>,
    /// Mean of the training batches, exponentially weighted, `[channels]`.
    pub running_mean: RunningState<Tensor<1>>,
    /// Unbiased variance of the training batches, exponentially weighted, `[channels]`.
    pub running_var: RunningState<Tensor<1>>,
    training: Param<Flag>,
    epsilon: f64,
}

impl BatchNorm {
    /// Weight of the newest batch in the running statistics (PyTorch's default).
    pub const MOMENTUM: f64 = 0.1;

    /// A layer with scale 1, shift 0, mean 0 and variance 1.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self {
            weight: Initializer::Ones.init([channels], device),
            bias: Initializer::Zeros.init([channels], device),
            running_mean: RunningState::new(Tensor::zeros([channels], device)),
            running_var: RunningState::new(Tensor::ones([channels], device)),
            training: Param::from_bool(true),
            epsilon: EPSILON,
        }
    }

    /// The layer with another number added to the variance before the square root than PyTorch's default of 1e-5.
    pub(crate) fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// Normalises each channel.
    ///
    /// # Shapes
    /// - input: `[batch, channels, ...]`
    /// - output: as the input
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        self.alone().forward(input)
    }

    /// `bn(x)`.
    pub(crate) fn alone<const D: usize>(&self) -> Normalisation<'_, D> {
        Normalisation { bn: self, relu_first: false, residual: None, relu: false }
    }

    /// `bn(relu(x))`.
    pub(crate) fn after_relu<const D: usize>(&self) -> Normalisation<'_, D> {
        Normalisation { relu_first: true, ..self.alone() }
    }

    /// `relu(bn(x))`.
    pub(crate) fn then_relu<const D: usize>(&self) -> Normalisation<'_, D> {
        Normalisation { relu: true, ..self.alone() }
    }

    /// `relu(bn(x) + residual)`.
    pub(crate) fn then_add_relu<'a, const D: usize>(
        &'a self,
        residual: &'a Tensor<D>,
    ) -> Normalisation<'a, D> {
        Normalisation { residual: Some(residual), ..self.then_relu() }
    }

    fn normalise_by_batch<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let shape = input.dims();
        let batch = batch_norm_train(input, self.weight.val(), self.bias.val(), self.epsilon);
        self.update(batch.mean, batch.variance, &shape);
        batch.output
    }

    /// Takes the mean and biased variance of a batch of `shape` into the running ones.
    fn update(&self, mean: Tensor<1>, variance: Tensor<1>, shape: &[usize]) {
        let count = shape.iter().product::<usize>() / shape[1].max(1);
        // PyTorch refuses a single value per channel; its variance is 0 here.
        let unbiased = count as f64 / count.saturating_sub(1).max(1) as f64;
        update(&self.running_mean, mean, 1.0);
        update(&self.running_var, variance, unbiased);
    }

    /// Two passes over the input (`x * scale + shift`) instead of the four of the textbook form.
    fn normalise_by_running_statistics<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let (scale, offset) = self.scale_and_offset();
        let mut per_channel = [1; D];
        per_channel[1] = scale.dims()[0];
        input * scale.reshape(per_channel) + offset.reshape(per_channel)
    }

    /// What the layer is by its running statistics: a factor and an addend for each channel, `[channels]` each.
    pub(crate) fn scale_and_offset(&self) -> (Tensor<1>, Tensor<1>) {
        let scale = self.weight.val() / (self.running_var.value() + self.epsilon).sqrt();
        let offset = self.bias.val() - self.running_mean.value() * scale.clone();
        (scale, offset)
    }
}

/// A normalisation with what is around it: `relu(bn(relu(x)) + residual)`, all but the normalisation optional. One operation on
/// CPUs; outside training a convolution before it takes it along ([`conv2d_then`](crate::convolution::conv2d_then)).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Normalisation<'a, const D: usize> {
    bn: &'a BatchNorm,
    relu_first: bool,
    residual: Option<&'a Tensor<D>>,
    relu: bool,
}

impl<const D: usize> Normalisation<'_, D> {
    /// The output for `input`.
    pub(crate) fn forward(self, input: Tensor<D>) -> Tensor<D> {
        let Self { bn, relu_first, residual, relu: relu_last } = self;
        let with_gradients = input.device().is_autodiff();
        let training = bn.training.is_enabled() && with_gradients;
        let around = cpu::Around { relu_first, residual, relu: relu_last };
        let parameters = [&bn.weight.val(), &bn.bias.val()];
        let fused = if training {
            let batch = cpu::batch_norm_train(&input, around, parameters, bn.epsilon);
            batch.map(|(output, batch)| {
                let device = input.device();
                let vector = |floats: Vec<f32>| {
                    let channels = floats.len();
                    Tensor::<1>::from_data(TensorData::new(floats, [channels]), &device)
                };
                bn.update(vector(batch.mean), vector(batch.variance), &input.dims());
                output
            })
        } else if with_gradients {
            let statistics = [&bn.running_mean.value(), &bn.running_var.value()];
            cpu::batch_norm_fixed(&input, statistics, around, parameters, bn.epsilon)
        } else {
            self.epilogue().and_then(|epilogue| cpu::normalise(&input, &epilogue))
        };
        if let Some(output) = fused {
            return output;
        }
        let input = if relu_first { relu(input) } else { input };
        let normalised =
            if training { bn.normalise_by_batch(input) } else { bn.normalise_by_running_statistics(input) };
        let sum = match residual {
            Some(residual) => normalised + residual.clone(),
            None => normalised,
        };
        if relu_last { relu(sum) } else { sum }
    }

    /// The same by running statistics, on CPUs without gradients.
    pub(crate) fn epilogue(&self) -> Option<cpu::Epilogue> {
        let bn = self.bn;
        let statistics = [&bn.running_mean.value(), &bn.running_var.value()];
        let around = cpu::Around { relu_first: self.relu_first, residual: self.residual, relu: self.relu };
        cpu::Epilogue::new(statistics, [&bn.weight.val(), &bn.bias.val()], bn.epsilon, around)
    }
}

/// Batch normalisation without scale and offset (PyTorch's `affine = False`), otherwise as [`BatchNorm`].
#[derive(Module, Debug)]
pub(crate) struct PlainBatchNorm {
    /// Mean of the training batches, exponentially weighted, `[channels]`.
    pub running_mean: RunningState<Tensor<1>>,
    /// Unbiased variance of the training batches, exponentially weighted, `[channels]`.
    pub running_var: RunningState<Tensor<1>>,
    training: Param<Flag>,
}

impl PlainBatchNorm {
    /// A layer with mean 0 and variance 1.
    pub(crate) fn new(channels: usize, device: &Device) -> Self {
        let BatchNorm { running_mean, running_var, training, .. } = BatchNorm::new(channels, device);
        Self { running_mean, running_var, training }
    }

    /// Normalises each channel.
    ///
    /// # Shapes
    /// - input: `[batch, channels, ...]`
    /// - output: as the input
    pub(crate) fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let (channels, device) = (input.dims()[1], input.device());
        // The running statistics are shared with this copy: a training pass updates them.
        let with_unit_scale = BatchNorm {
            weight: Initializer::Ones.init([channels], &device),
            bias: Initializer::Zeros.init([channels], &device),
            running_mean: self.running_mean.clone(),
            running_var: self.running_var.clone(),
            training: self.training.clone(),
            epsilon: EPSILON,
        };
        with_unit_scale.forward(input)
    }
}

fn update(running: &RunningState<Tensor<1>>, batch: Tensor<1>, factor: f64) {
    let updated =
        running.value() * (1.0 - BatchNorm::MOMENTUM) + batch.detach() * (factor * BatchNorm::MOMENTUM);
    running.update(updated.detach());
    // An update waits in a queue until the next access that synchronises; module visitors do not.
    running.value_sync();
}
