//! The network of Silero VAD 6 at 16 kHz: a short-time Fourier transform by convolution, four convolutions, an LSTM.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use ffsvc_kernels::{Conv2d, Epilogue, Lstm, LstmState};
use ffsvc_onnx::ElementType;
use safetensors::{Dtype, SafeTensors};

use crate::waveform::check_samples;
use crate::{Error, Result};

/// The rate of the network, Hz.
pub(super) const RATE: u32 = 16_000;
/// Samples of a probability.
pub(super) const CHUNK: usize = 512;
/// Samples before a chunk that the network sees with it.
const CONTEXT: usize = 64;
/// Samples at the end of a chunk that are appended to it in reverse.
const REFLECTED: usize = 64;
const SEEN: usize = CONTEXT + CHUNK + REFLECTED;
/// Samples of a transform, and from one to the next.
const TRANSFORM: usize = 256;
const HOP: usize = 128;
/// Bins of a transform.
const BINS: usize = TRANSFORM / 2 + 1;
/// Transforms of a chunk.
const POSITIONS: usize = (SEEN - TRANSFORM) / HOP + 1;
/// Units of the LSTM.
const HIDDEN: usize = 128;
/// Chunks that go through the convolutions together.
const BLOCK: usize = 128;
/// The file has 1.2 MB.
const MOST_BYTES: u64 = 16 << 20;

/// Probabilities of speech by the network of Silero VAD.
///
/// ```no_run
/// use ffsvc_features::SileroNetwork;
/// let network = SileroNetwork::open("silero_vad_16k_op15.onnx")?;
/// // Two seconds at 16 kHz: a probability for each 32 ms.
/// assert_eq!(network.probabilities(&[0.0; 32_000])?.len(), 63);
/// # Ok::<(), ffsvc_features::Error>(())
/// ```
#[derive(Clone)]
pub struct SileroNetwork(Arc<Weights>);

impl std::fmt::Debug for SileroNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SileroNetwork").finish_non_exhaustive()
    }
}

struct Weights {
    /// The windowed cosines and sines, `[2 * BINS, 1, TRANSFORM]`.
    transform: Vec<f32>,
    convolutions: Vec<Convolution>,
    lstm: [Vec<f32>; 4],
    last_weight: Vec<f32>,
    last_bias: f32,
}

struct Convolution {
    weight: Vec<f32>,
    bias: Vec<f32>,
    /// Channels in and out.
    channels: [usize; 2],
    stride: usize,
}

/// Channels in and out and the stride of the convolutions, whose kernels have three taps.
const CONVOLUTIONS: [([usize; 2], usize); 4] =
    [([BINS, 128], 1), ([128, 64], 2), ([64, 64], 2), ([64, HIDDEN], 1)];

impl SileroNetwork {
    /// Reads the weights from a file of the Python package `silero-vad` 6: `silero_vad_16k_op15.onnx`, or
    /// `silero_vad_16k.safetensors`.
    ///
    /// In the package 6.2.3 the two are different networks of one form. The ONNX file has the weights that the package itself
    /// runs.
    ///
    /// # Errors
    /// The file cannot be read or has other tensors.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let fault = |reason: String| Error::Model { path: path.display().to_string(), reason };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| fault(error.to_string()))?;
        Self::from_bytes(bytes).map_err(|reason| {
            fault(format!(
                "{reason}; expected silero_vad_16k_op15.onnx or silero_vad_16k.safetensors of the Python package silero-vad 6"
            ))
        })
    }

    /// As [`open`](Self::open), from the bytes of the file; the error says what was found.
    fn from_bytes(bytes: Vec<u8>) -> std::result::Result<Self, String> {
        if bytes.len() as u64 > MOST_BYTES {
            return Err(format!("found more than {MOST_BYTES} bytes"));
        }
        // A safetensors file begins with the length of its JSON.
        if bytes.get(8) == Some(&b'{') {
            let file =
                SafeTensors::deserialize(&bytes).map_err(|error| format!("no safetensors file: {error}"))?;
            Self::from_tensors(|[name, _], shape| {
                let view = file.tensor(name).map_err(|_| format!("no tensor {name}"))?;
                let found = format!("{:?} {:?}", view.dtype(), view.shape());
                let fits = view.dtype() == Dtype::F32 && view.shape() == shape;
                numbers(name, shape, fits, &found, view.data())
            })
        } else {
            let model = ffsvc_onnx::read(bytes.into())
                .map_err(|error| format!("no safetensors file, and no ONNX file: {error}"))?;
            let graph = model.graph.ok_or("the ONNX file has no graph")?;
            let tensors: HashMap<&str, _> =
                graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
            Self::from_tensors(|[_, name], shape| {
                let tensor = tensors.get(name).ok_or_else(|| format!("no tensor {name}"))?;
                let found = format!("of type {} {:?}", tensor.data_type, tensor.dims);
                let fits = tensor.data_type == i32::from(ElementType::Float)
                    && tensor.shape().as_deref() == Some(shape);
                numbers(name, shape, fits, &found, &tensor.raw_data)
            })
        }
    }

    /// Of what `read` gives for a tensor's names in the two kinds of file and its shape.
    fn from_tensors(
        read: impl Fn([&str; 2], &[usize]) -> std::result::Result<Vec<f32>, String>,
    ) -> std::result::Result<Self, String> {
        let mut convolutions = Vec::with_capacity(CONVOLUTIONS.len());
        for (number, ([channels_in, channels_out], stride)) in CONVOLUTIONS.into_iter().enumerate() {
            let read = |part: &str, shape: &[usize]| {
                let safetensors = format!("conv{}.{part}", number + 1);
                read([&safetensors, &format!("model.encoder.{number}.reparam_conv.{part}")], shape)
            };
            let weight = read("weight", &[channels_out, channels_in, 3])?;
            let bias = read("bias", &[channels_out])?;
            convolutions.push(Convolution { weight, bias, channels: [channels_in, channels_out], stride });
        }
        let of_lstm = |part: &str, shape: &[usize]| {
            read([&format!("lstm_cell.{part}"), &format!("model.decoder.rnn.{part}")], shape)
        };
        let transform = ["stft_conv.weight", "model.stft.forward_basis_buffer"];
        Ok(Self(Arc::new(Weights {
            transform: read(transform, &[2 * BINS, 1, TRANSFORM])?,
            convolutions,
            lstm: [
                of_lstm("weight_ih", &[4 * HIDDEN, HIDDEN])?,
                of_lstm("weight_hh", &[4 * HIDDEN, HIDDEN])?,
                of_lstm("bias_ih", &[4 * HIDDEN])?,
                of_lstm("bias_hh", &[4 * HIDDEN])?,
            ],
            last_weight: read(["final_conv.weight", "model.decoder.decoder.2.weight"], &[1, HIDDEN, 1])?,
            last_bias: read(["final_conv.bias", "model.decoder.decoder.2.bias"], &[1])?[0],
        })))
    }

    /// The probability of speech in each 512 of `samples` (16 kHz, full scale 1.0). The last ones are filled up with zeros.
    ///
    /// # Errors
    /// A sample is not finite or beyond all measure.
    pub fn probabilities(&self, samples: &[f32]) -> Result<Vec<f32>> {
        check_samples(samples)?;
        let weights = &*self.0;
        let [input_weights, hidden_weights, input_bias, hidden_bias] = &weights.lstm;
        let lstm = Lstm { input_weights, hidden_weights, input_bias, hidden_bias };
        let mut state = LstmState::zeros(HIDDEN);
        let num_chunks = samples.len().div_ceil(CHUNK);
        let mut probabilities = Vec::with_capacity(num_chunks);
        for first in (0..num_chunks).step_by(BLOCK) {
            let chunks = BLOCK.min(num_chunks - first);
            let features = weights.features(&seen(samples, first, chunks), chunks);
            let mut hidden = vec![0.0; chunks * HIDDEN];
            lstm.forward(&features, &mut state, &mut hidden);
            probabilities.extend(hidden.chunks_exact(HIDDEN).map(|hidden| weights.probability(hidden)));
        }
        Ok(probabilities)
    }
}

/// What the network sees of some chunks, `[chunks, SEEN]`: the samples before a chunk, the chunk, and its end in reverse.
fn seen(samples: &[f32], first: usize, chunks: usize) -> Vec<f32> {
    let mut seen = vec![0.0; chunks * SEEN];
    for (chunk, seen) in (first..).zip(seen.chunks_exact_mut(SEEN)) {
        let start = chunk * CHUNK;
        let before = CONTEXT.min(start);
        let own = &samples[start - before..samples.len().min(start + CHUNK)];
        seen[CONTEXT - before..][..own.len()].copy_from_slice(own);
        let (heard, reflected) = seen.split_at_mut(CONTEXT + CHUNK);
        // The last sample is the mirror.
        for (place, sample) in reflected.iter_mut().zip(heard.iter().rev().skip(1)) {
            *place = *sample;
        }
    }
    seen
}

impl Weights {
    /// The inputs of the LSTM, `[chunks, HIDDEN]`.
    fn features(&self, seen: &[f32], chunks: usize) -> Vec<f32> {
        let transform = Conv2d {
            batch: chunks,
            channels_in: 1,
            channels_out: 2 * BINS,
            size: [1, SEEN],
            kernel: [1, TRANSFORM],
            stride: [1, HOP],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
        };
        let mut spectra = vec![0.0; transform.output_len()];
        transform.forward(seen, &self.transform, &mut spectra);
        let mut values: Vec<f32> = spectra
            .chunks_exact(2 * BINS * POSITIONS)
            .flat_map(|spectrum| {
                let (real, imaginary) = spectrum.split_at(BINS * POSITIONS);
                real.iter().zip(imaginary).map(|(re, im)| (re * re + im * im).sqrt())
            })
            .collect();
        let mut width = POSITIONS;
        for Convolution { weight, bias, channels: [channels_in, channels_out], stride } in &self.convolutions
        {
            let convolution = Conv2d {
                batch: chunks,
                channels_in: *channels_in,
                channels_out: *channels_out,
                size: [1, width],
                kernel: [1, 3],
                stride: [1, *stride],
                padding: [0, 1],
                dilation: [1, 1],
                groups: 1,
            };
            let mut output = vec![0.0; convolution.output_len()];
            let epilogue = Epilogue { bias: Some(bias), relu: true, ..Epilogue::default() };
            convolution.forward_and(&values, weight, &epilogue, &mut output);
            width = convolution.output_size()[1];
            values = output;
        }
        values
    }

    fn probability(&self, hidden: &[f32]) -> f32 {
        let sum: f32 = hidden.iter().zip(&self.last_weight).map(|(x, weight)| x.max(0.0) * weight).sum();
        1.0 / (1.0 + (-(sum + self.last_bias)).exp())
    }
}

/// The numbers of a tensor whose form `fits`; the error says what was `found`.
fn numbers(
    name: &str,
    shape: &[usize],
    fits: bool,
    found: &str,
    bytes: &[u8],
) -> std::result::Result<Vec<f32>, String> {
    let (values, _) = bytes.as_chunks::<4>();
    if !fits || values.len() != shape.iter().product::<usize>() {
        return Err(format!("the tensor {name} is {found} in {} bytes, expected F32 {shape:?}", bytes.len()));
    }
    let values: Vec<f32> = values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(format!("the tensor {name} holds {value}")),
        None => Ok(values),
    }
}
