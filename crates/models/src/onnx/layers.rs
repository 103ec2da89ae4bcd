//! A graph that is made from a network's tensors, and the layers that networks are made of.

use std::collections::{HashMap, HashSet};

use ffsvc_onnx::{GraphBuilder, Setting, Value};

use crate::batch_norm::EPSILON;
use crate::error::{Error, Result, TensorMismatch};
use crate::layer_norm::EPSILON as LAYER_NORM_EPSILON;
use crate::parameters::NamedTensor;

/// How a convolution moves. Both axes have the same padding and dilation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    /// Of the frequencies and of the frames.
    pub(super) stride: (usize, usize),
    /// Zeros at both ends.
    pub(super) padding: usize,
    pub(super) dilation: usize,
    pub(super) groups: usize,
}

impl Steps {
    /// Every position, without padding.
    pub(super) const EACH: Self = Self { stride: (1, 1), padding: 0, dilation: 1, groups: 1 };

    /// Every position, with zeros at both ends.
    pub(super) fn padded(padding: usize) -> Self {
        Self { padding, ..Self::EACH }
    }

    /// The same with a stride along both axes.
    pub(super) fn every(self, stride: usize) -> Self {
        Self { stride: (stride, stride), ..self }
    }

    /// Dilated over time, with so many zeros that a kernel of 3 keeps the number of frames.
    pub(super) fn dilated(dilation: usize) -> Self {
        Self { dilation, padding: dilation, ..Self::EACH }
    }
}

/// A graph in the making. A tensor that the network does not have is noted and reported at the end.
pub(super) struct NetworkGraph<'a> {
    pub(super) graph: GraphBuilder,
    tensors: HashMap<&'a str, &'a NamedTensor>,
    used: HashSet<&'a str>,
    missing: Vec<String>,
    /// Whether layers stand as in the toolkits' definitions, and not as they are computed fastest.
    pub(super) as_defined: bool,
}

impl<'a> NetworkGraph<'a> {
    pub(super) fn new(name: &str, tensors: &'a [NamedTensor]) -> Self {
        Self {
            graph: GraphBuilder::new(name),
            tensors: tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect(),
            used: HashSet::new(),
            missing: Vec::new(),
            as_defined: false,
        }
    }

    /// The model.
    ///
    /// # Errors
    /// [`Error::Tensors`] if a tensor is missing or not used; [`Error::Onnx`] if the graph is not valid.
    pub(super) fn finish(self, metadata: &[(&str, String)]) -> Result<ffsvc_onnx::Model> {
        let unused = self.tensors.keys().filter(|name| !self.used.contains(*name));
        let mut surplus: Vec<String> = unused.map(|name| (*name).to_owned()).collect();
        surplus.sort();
        let mismatch = TensorMismatch { missing: self.missing, surplus, ill_shaped: Vec::new() };
        if !mismatch.is_empty() {
            return Err(Error::Tensors { mismatch });
        }
        Ok(self.graph.finish(metadata)?)
    }

    /// Whether the network has this tensor.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Its sizes, outermost first; zeros for a tensor that the network does not have.
    pub(super) fn shape<const D: usize>(&self, name: &str) -> [usize; D] {
        let shape = self.tensors.get(name).and_then(|tensor| tensor.shape.clone().try_into().ok());
        shape.unwrap_or([0; D])
    }

    /// The tensor as a constant of the graph.
    pub(super) fn tensor(&mut self, name: &str) -> Value {
        let Some((&name, tensor)) = self.tensors.get_key_value(name) else {
            self.missing.push(name.to_owned());
            return self.graph.number(0.0);
        };
        self.used.insert(name);
        self.graph.floats(name, &tensor.shape, &tensor.data)
    }

    /// Notes that the network has these tensors, which take no part in its result.
    pub(super) fn without_effect(&mut self, prefix: &str) {
        self.used.extend(self.tensors.keys().filter(|name| name.starts_with(prefix)));
    }

    pub(super) fn op(&mut self, operator: &str, inputs: &[&Value], settings: &[(&str, Setting)]) -> Value {
        self.graph.node(operator, inputs, settings)
    }

    pub(super) fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Add", &[a, b], &[])
    }

    pub(super) fn sub(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Sub", &[a, b], &[])
    }

    pub(super) fn mul(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Mul", &[a, b], &[])
    }

    pub(super) fn div(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Div", &[a, b], &[])
    }

    pub(super) fn add_number(&mut self, a: &Value, number: f64) -> Value {
        let number = self.graph.number(number as f32);
        self.add(a, &number)
    }

    pub(super) fn times(&mut self, a: &Value, number: f64) -> Value {
        let number = self.graph.number(number as f32);
        self.mul(a, &number)
    }

    pub(super) fn at_least(&mut self, a: &Value, number: f64) -> Value {
        let number = self.graph.number(number as f32);
        self.op("Max", &[a, &number], &[])
    }

    pub(super) fn sqrt(&mut self, a: &Value) -> Value {
        self.op("Sqrt", &[a], &[])
    }

    pub(super) fn relu(&mut self, a: &Value) -> Value {
        self.op("Relu", &[a], &[])
    }

    pub(super) fn sigmoid(&mut self, a: &Value) -> Value {
        self.op("Sigmoid", &[a], &[])
    }

    pub(super) fn tanh(&mut self, a: &Value) -> Value {
        self.op("Tanh", &[a], &[])
    }

    pub(super) fn softmax(&mut self, a: &Value, axis: i64) -> Value {
        self.op("Softmax", &[a], &[("axis", axis.into())])
    }

    /// `x / 2 (1 + erf(x / sqrt(2)))`: the operators have a GELU only from version 20 on.
    pub(super) fn gelu(&mut self, a: &Value) -> Value {
        let scaled = self.times(a, std::f64::consts::FRAC_1_SQRT_2);
        let erf = self.op("Erf", &[&scaled], &[]);
        self.half_gated(a, &erf)
    }

    /// `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
    pub(super) fn gelu_by_tanh(&mut self, a: &Value) -> Value {
        let square = self.mul(a, a);
        let cube = self.mul(&square, a);
        let cube = self.times(&cube, 0.044715);
        let sum = self.add(a, &cube);
        let scaled = self.times(&sum, (2.0 / std::f64::consts::PI).sqrt());
        let tanh = self.tanh(&scaled);
        self.half_gated(a, &tanh)
    }

    /// `x / 2 (1 + gate)`.
    fn half_gated(&mut self, a: &Value, gate: &Value) -> Value {
        let gate = self.add_number(gate, 1.0);
        let gated = self.mul(a, &gate);
        self.times(&gated, 0.5)
    }

    /// The mean over axes, which stay with size 1.
    pub(super) fn mean(&mut self, a: &Value, axes: &[i64]) -> Value {
        self.op("ReduceMean", &[a], &[("axes", axes.into()), ("keepdims", 1.into())])
    }

    /// The sum over an axis, which stays with size 1.
    pub(super) fn sum(&mut self, a: &Value, axis: i64) -> Value {
        let axes = self.graph.integers(&[axis]);
        self.op("ReduceSum", &[a, &axes], &[("keepdims", 1.into())])
    }

    pub(super) fn concatenate(&mut self, parts: &[&Value], axis: i64) -> Value {
        self.op("Concat", parts, &[("axis", axis.into())])
    }

    /// Parts of a size along an axis.
    pub(super) fn split(&mut self, a: &Value, size: usize, parts: usize, axis: i64) -> Vec<Value> {
        let sizes = self.graph.integers(&vec![size as i64; parts]);
        self.graph.node_with_outputs("Split", &[a, &sizes], &[("axis", axis.into())], parts)
    }

    pub(super) fn transpose(&mut self, a: &Value, axes: &[i64]) -> Value {
        self.op("Transpose", &[a], &[("perm", axes.into())])
    }

    /// 0 keeps the size at that place, -1 takes what is left.
    pub(super) fn reshape(&mut self, a: &Value, shape: &[i64]) -> Value {
        let shape = self.graph.integers(shape);
        self.op("Reshape", &[a, &shape], &[])
    }

    pub(super) fn unsqueeze(&mut self, a: &Value, axes: &[i64]) -> Value {
        let axes = self.graph.integers(axes);
        self.op("Unsqueeze", &[a, &axes], &[])
    }

    /// `[batch, size]` of `[batch, size, 1]`.
    pub(super) fn flatten(&mut self, a: &Value) -> Value {
        self.op("Flatten", &[a], &[("axis", 1.into())])
    }

    /// `[batch, channels, frames]` with frames before and behind, as in a mirror. The frame at the end is not repeated.
    pub(super) fn reflect(&mut self, a: &Value, (before, behind): (usize, usize)) -> Value {
        let pads = self.graph.integers(&[0, 0, before as i64, 0, 0, behind as i64]);
        self.op("Pad", &[a, &pads], &[("mode", "reflect".into())])
    }

    /// From `start` to `end` along an axis.
    pub(super) fn slice(&mut self, a: &Value, axis: i64, start: &Value, end: &Value) -> Value {
        let axes = self.graph.integers(&[axis]);
        self.op("Slice", &[a, start, end, &axes], &[])
    }

    /// The convolution `name` over time or over frequencies and time, by the shape of its weight.
    pub(super) fn conv(&mut self, name: &str, input: &Value, steps: Steps) -> Value {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let kernel: Vec<i64> = match self.tensors.get(weight.as_str()).map(|tensor| tensor.shape.as_slice()) {
            Some([_, _, kernel @ ..]) => kernel.iter().map(|&size| size as i64).collect(),
            _ => vec![1],
        };
        let axes = kernel.len();
        let (frequencies, frames) = steps.stride;
        let stride = if axes == 1 { vec![frames as i64] } else { vec![frequencies as i64, frames as i64] };
        let weight = self.tensor(&weight);
        let bias = self.has(&bias).then(|| self.tensor(&bias));
        let inputs: Vec<&Value> = [input, &weight].into_iter().chain(&bias).collect();
        let settings = [
            ("kernel_shape", kernel.as_slice().into()),
            ("strides", stride.as_slice().into()),
            ("pads", vec![steps.padding as i64; 2 * axes].as_slice().into()),
            ("dilations", vec![steps.dilation as i64; axes].as_slice().into()),
            ("group", (steps.groups as i64).into()),
        ];
        self.op("Conv", &inputs, &settings)
    }

    /// The batch normalisation `name`, of the second axis, by its running statistics.
    pub(super) fn batch_norm(&mut self, name: &str, input: &Value) -> Value {
        self.batch_norm_with(name, input, EPSILON)
    }

    /// The same with another number added to the variance.
    pub(super) fn batch_norm_with(&mut self, name: &str, input: &Value, epsilon: f64) -> Value {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let mean = self.tensor(&format!("{name}.running_mean"));
        let variance = self.tensor(&format!("{name}.running_var"));
        let (scale, shift) = if self.has(&weight) {
            (self.tensor(&weight), self.tensor(&bias))
        } else {
            // A layer without scale and shift.
            let [channels] = self.shape(&format!("{name}.running_mean"));
            let scale = self.graph.floats(&weight, &[channels], &vec![1.0; channels]);
            (scale, self.graph.floats(&bias, &[channels], &vec![0.0; channels]))
        };
        let settings = [("epsilon", (epsilon as f32).into())];
        self.op("BatchNormalization", &[input, &scale, &shift, &mean, &variance], &settings)
    }

    /// The linear layer `name`, with or without a bias.
    ///
    /// # Shapes
    /// - input: `[batch, in]`
    /// - output: `[batch, out]`
    pub(super) fn linear(&mut self, name: &str, input: &Value) -> Value {
        let (weight, bias) = (self.tensor(&format!("{name}.weight")), format!("{name}.bias"));
        let bias = self.has(&bias).then(|| self.tensor(&bias));
        let inputs: Vec<&Value> = [input, &weight].into_iter().chain(&bias).collect();
        self.op("Gemm", &inputs, &[("transB", 1.into())])
    }

    /// The linear layer `name` of every frame.
    ///
    /// # Shapes
    /// - input: `[batch, frames, in]`
    /// - output: `[batch, frames, out]`
    pub(super) fn linear_of_frames(&mut self, name: &str, input: &Value) -> Value {
        let (weight, bias) = (self.tensor(&format!("{name}.weight")), self.tensor(&format!("{name}.bias")));
        let weight = self.transpose(&weight, &[1, 0]);
        let product = self.op("MatMul", &[input, &weight], &[]);
        self.add(&product, &bias)
    }

    /// The layer normalisation `name` over the channels, which are axis `channels_at` of `axes`.
    pub(super) fn layer_norm(&mut self, name: &str, input: &Value, channels_at: i64, axes: i64) -> Value {
        let mean = self.mean(input, &[channels_at]);
        let centred = self.sub(input, &mean);
        let squares = self.mul(&centred, &centred);
        let variance = self.mean(&squares, &[channels_at]);
        let variance = self.add_number(&variance, LAYER_NORM_EPSILON);
        let std = self.sqrt(&variance);
        let normalised = self.div(&centred, &std);
        let behind: Vec<i64> = (1..axes - channels_at).collect();
        let [scale, shift] = ["weight", "bias"].map(|part| {
            let vector = self.tensor(&format!("{name}.{part}"));
            if behind.is_empty() { vector } else { self.unsqueeze(&vector, &behind) }
        });
        let scaled = self.mul(&normalised, &scale);
        self.add(&scaled, &shift)
    }

    /// The number of values along the last axes, from `axis` on, less 1 but at least 1: what an unbiased variance divides by.
    pub(super) fn degrees_of_freedom(&mut self, a: &Value, axis: i64) -> Value {
        let sizes = self.op("Shape", &[a], &[("start", axis.into())]);
        let sizes = self.op("Cast", &[&sizes], &[("to", 1.into())]);
        let count = self.op("ReduceProd", &[&sizes], &[("keepdims", 0.into())]);
        let others = self.add_number(&count, -1.0);
        self.at_least(&others, 1.0)
    }
}
