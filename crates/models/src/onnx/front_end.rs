//! Front ends of [`ffsvc_features`] in front of a network. A frame is transformed by one convolution with the windowed cosines
//! and sines: what Kaldi does to a frame before is linear, and part of its kernels.

use std::f64::consts::TAU;

use ffsvc_features::{
    Cmn, FbankOptions, FrontEndConfig, Kind, LogMelOptions, MelBanks, NemoMel, NemoMelOptions,
    SpeechBrainFbankOptions, Symmetry, WaveformNorm, WindowType, upper_edge_hz,
};
use ffsvc_onnx::Value;

use super::layers::NetworkGraph;
use crate::error::{Error, Result};

/// Least standard deviation of a waveform, as [`WaveformNorm::MeanStd`] has it.
const STD_FLOOR: f64 = 1e-6;
/// Least variance of a band, as [`Cmn::Utterance`] has it.
const VARIANCE_FLOOR: f64 = 1e-20;
/// Full scale of 16-bit samples.
const INT16_FULL_SCALE: f64 = 32768.0;
/// Least energy of a band, and decibels per neper of power, as [`Kind::SpeechBrainFbank`] has them.
const LEAST_ENERGY: f64 = 1e-10;
const DB: f64 = 10.0 / std::f64::consts::LN_10;

/// Frames of a signal, and what is taken of each.
struct Transform {
    /// Samples from one frame to the next.
    shift: usize,
    n_fft: usize,
    /// What the samples of a frame are multiplied with.
    window: Vec<f64>,
    banks: MelBanks,
}

/// Fails if a graph cannot compute the front end.
pub(super) fn check(front_end: &FrontEndConfig) -> Result<()> {
    Err(refusal(match &front_end.kind {
        Kind::Fbank(options) if options.dither > 0.0 => "one with dither, which is drawn at random",
        Kind::Fbank(options) if options.use_energy => "one with a row for the energy",
        Kind::LibrosaMel(_) => OF_WINDOWS,
        _ if matches!(front_end.waveform_norm, WaveformNorm::RaiseToDbfs(_)) => RAISED,
        _ if matches!(front_end.cmn, Cmn::Sliding(_)) => "one with a sliding mean",
        _ => return Ok(()),
    }))
}

const OF_WINDOWS: &str = "librosa's mel spectrogram, of a network that sees windows of a recording";
const RAISED: &str = "one that raises the level of quiet recordings";

fn refusal(found: &str) -> Error {
    Error::Config {
        field: "front_end",
        found: found.to_owned(),
        expected: "one that an ONNX graph can compute; leave out --with-front-end and compute the features outside",
    }
}

/// `[batch, mel, frames]` of samples `[batch, samples]`, and the least number of samples for `min_frames` frames.
pub(super) fn features(
    g: &mut NetworkGraph<'_>,
    front_end: &FrontEndConfig,
    samples: &Value,
    min_frames: usize,
) -> Result<(Value, usize)> {
    check(front_end)?;
    let rate = front_end.sample_rate;
    let waveform = match front_end.waveform_norm {
        WaveformNorm::MeanStd => mean_std(g, samples),
        WaveformNorm::None => samples.clone(),
        WaveformNorm::RaiseToDbfs(_) => return Err(refusal(RAISED)),
    };
    let waveform = g.unsqueeze(&waveform, &[1]);
    let invalid = |error: ffsvc_features::Error| Error::Config {
        field: "front_end",
        found: error.to_string(),
        expected: "options of a usable front end",
    };
    let (features, min_samples) = match &front_end.kind {
        Kind::LogMel(options) => log_mel(g, rate, options, &waveform, min_frames),
        Kind::Fbank(options) => fbank(g, rate, options, &waveform, min_frames),
        Kind::SpeechBrainFbank(options) => speechbrain_fbank(g, rate, options, &waveform, min_frames),
        Kind::NemoMel(options) => nemo_mel(g, rate, options, &waveform, min_frames),
        Kind::LibrosaMel(_) => return Err(refusal(OF_WINDOWS)),
    }
    .map_err(invalid)?;
    Ok((cmn(g, &front_end.cmn, &features), min_samples))
}

fn mean_std(g: &mut NetworkGraph<'_>, samples: &Value) -> Value {
    let mean = g.mean(samples, &[1]);
    let centred = g.sub(samples, &mean);
    let squares = g.mul(&centred, &centred);
    let squares = g.sum(&squares, 1);
    let others = g.degrees_of_freedom(samples, 1);
    let variance = g.div(&squares, &others);
    let std = g.sqrt(&variance);
    let std = g.at_least(&std, STD_FLOOR);
    g.div(&centred, &std)
}

fn cmn(g: &mut NetworkGraph<'_>, cmn: &Cmn, features: &Value) -> Value {
    if matches!(cmn, Cmn::None {} | Cmn::Sliding(_)) {
        return features.clone();
    }
    let mean = g.mean(features, &[2]);
    let centred = g.sub(features, &mean);
    let std = match cmn {
        Cmn::Utterance(options) if options.normalize_variance => {
            let squares = g.mul(&centred, &centred);
            let variance = g.mean(&squares, &[2]);
            let variance = g.at_least(&variance, VARIANCE_FLOOR);
            g.sqrt(&variance)
        }
        Cmn::PerFeature {} => {
            let squares = g.mul(&centred, &centred);
            let squares = g.sum(&squares, 2);
            let others = g.degrees_of_freedom(features, 2);
            let variance = g.div(&squares, &others);
            let std = g.sqrt(&variance);
            g.add_number(&std, Cmn::DEVIATION_OFFSET)
        }
        _ => return centred,
    };
    g.div(&centred, &std)
}

type Computed = std::result::Result<(Value, usize), ffsvc_features::Error>;

/// torchaudio's: centred frames, the ends reflected.
fn log_mel(
    g: &mut NetworkGraph<'_>,
    rate: u32,
    o: &LogMelOptions,
    waveform: &Value,
    min_frames: usize,
) -> Computed {
    let banks = MelBanks::htk(
        o.num_mels,
        o.n_fft,
        rate,
        o.low_frequency_hz,
        upper_edge_hz(o.high_frequency_hz, rate),
    )?;
    let mut waveform = waveform.clone();
    if o.preemphasis > 0.0 {
        // The sample before the first one is the second one.
        let before = g.reflect(&waveform, (1, 0));
        let kernel = g.graph.floats("front_end.preemphasis", &[1, 1, 2], &[-o.preemphasis as f32, 1.0]);
        waveform = g.op("Conv", &[&before, &kernel], &[]);
    }
    let window = o.window.values(o.window_length, Symmetry::Periodic);
    let before = o.n_fft / 2 - (o.n_fft - o.window_length) / 2;
    let padded = g.reflect(&waveform, (before, o.window_length - before));
    let transform = Transform { shift: o.hop_length, n_fft: o.n_fft, window, banks };
    let power = transform.power(g, &padded, |_| {});
    let bands = transform.bands(g, &power);
    let bands = g.add_number(&bands, f64::from(o.log_offset));
    let min_samples = (o.n_fft / 2 + 1).max((min_frames - 1) * o.hop_length);
    Ok((g.op("Log", &[&bands], &[]), min_samples))
}

/// Kaldi's.
fn fbank(
    g: &mut NetworkGraph<'_>,
    rate: u32,
    o: &FbankOptions,
    waveform: &Value,
    min_frames: usize,
) -> Computed {
    let in_samples = |ms: f64| (f64::from(rate) * 0.001 * ms) as usize;
    let (length, shift) = (in_samples(o.frame_length_ms), in_samples(o.frame_shift_ms));
    let n_fft = length.next_power_of_two();
    let banks = MelBanks::kaldi(
        o.num_mels,
        n_fft,
        rate,
        o.low_frequency_hz,
        upper_edge_hz(o.high_frequency_hz, rate),
    )?;
    let (frames, min_samples) = if o.snip_edges {
        (waveform.clone(), length + (min_frames - 1) * shift)
    } else {
        let least = (min_frames * shift).saturating_sub(shift / 2);
        let (mirrored, edges) = mirror(g, waveform, length, shift)?;
        (mirrored, least.max(edges))
    };
    let window = o.window.values(length, Symmetry::Symmetric);
    let transform = Transform { shift, n_fft, window, banks };
    let mut values = transform.power(g, &frames, |kernel| of_samples(kernel, o));
    if !o.use_power {
        values = g.sqrt(&values);
    }
    let mut bands = transform.bands(g, &values);
    if o.use_log {
        bands = g.at_least(&bands, f64::from(f32::EPSILON));
        bands = g.op("Log", &[&bands], &[]);
    }
    Ok((bands, min_samples))
}

/// Of a kernel for processed samples the one for samples as they are: scale, less the mean, less a share of the one before.
fn of_samples(kernel: &mut [f64], o: &FbankOptions) {
    let share = o.preemphasis;
    let before = kernel[0];
    for place in 0..kernel.len() {
        let next = kernel.get(place + 1).copied().unwrap_or(0.0);
        kernel[place] -= share * next;
    }
    // The first sample has itself as predecessor.
    kernel[0] -= share * before;
    if o.remove_dc_offset {
        let mean = kernel.iter().sum::<f64>() / kernel.len() as f64;
        kernel.iter_mut().for_each(|value| *value -= mean);
    }
    if o.int16_scale {
        kernel.iter_mut().for_each(|value| *value *= INT16_FULL_SCALE);
    }
}

/// The waveform with so many mirrored samples at both ends that there is a frame for each shift, and how many samples that needs.
fn mirror(
    g: &mut NetworkGraph<'_>,
    waveform: &Value,
    length: usize,
    shift: usize,
) -> std::result::Result<(Value, usize), ffsvc_features::Error> {
    let both = (length + shift / 2).checked_sub(shift);
    let Some((before, both)) = (length / 2).checked_sub(shift / 2).zip(both) else {
        return Err(ffsvc_features::Error::Option {
            option: "frame_shift_ms",
            found: format!("{shift} samples"),
            expected: format!("at most the frame length, {length} samples, without snip_edges"),
        });
    };
    let behind = both - before;
    let (axes, back) = (g.graph.integers(&[2]), g.graph.integers(&[-1]));
    let reversed = |g: &mut NetworkGraph<'_>, start: i64, end: i64| {
        let (start, end) = (g.graph.integers(&[start]), g.graph.integers(&[end]));
        g.op("Slice", &[waveform, &start, &end, &axes, &back], &[])
    };
    let front = (before > 0).then(|| reversed(g, before as i64 - 1, i64::from(i32::MIN)));
    let end = (behind > 0).then(|| reversed(g, -1, -1 - behind as i64));
    let parts: Vec<&Value> = front.iter().chain([waveform]).chain(&end).collect();
    Ok((g.concatenate(&parts, 2), before.max(behind)))
}

/// SpeechBrain's: centred frames, zeros at both ends, decibels with a floor below the loudest band.
fn speechbrain_fbank(
    g: &mut NetworkGraph<'_>,
    rate: u32,
    o: &SpeechBrainFbankOptions,
    waveform: &Value,
    min_frames: usize,
) -> Computed {
    let in_samples = |ms: f64| (f64::from(rate) / 1000.0 * ms).round() as usize;
    let (n_fft, shift) = (in_samples(25.0), in_samples(10.0));
    let banks = MelBanks::speechbrain(o.num_mels, n_fft, rate)?;
    let (before, behind) = ((n_fft / 2) as i64, (n_fft - n_fft / 2) as i64);
    let pads = g.graph.integers(&[0, 0, before, 0, 0, behind]);
    let padded = g.op("Pad", &[waveform, &pads], &[("mode", "constant".into())]);
    let window = WindowType::Hamming.values(n_fft, Symmetry::Periodic);
    let transform = Transform { shift, n_fft, window, banks };
    let power = transform.power(g, &padded, |_| {});
    let bands = transform.bands(g, &power);
    let bands = g.at_least(&bands, LEAST_ENERGY);
    let bands = g.op("Log", &[&bands], &[]);
    let bands = g.times(&bands, DB);
    let loudest = g.op("ReduceMax", &[&bands], &[("axes", (&[1, 2][..]).into()), ("keepdims", 1.into())]);
    let floor = g.add_number(&loudest, -f64::from(o.top_db));
    Ok((g.op("Max", &[&bands, &floor], &[]), 1.max((min_frames - 1) * shift)))
}

/// NeMo's: pre-emphasis, centred frames, zeros at both ends, without the last frame.
fn nemo_mel(
    g: &mut NetworkGraph<'_>,
    rate: u32,
    o: &NemoMelOptions,
    waveform: &Value,
    min_frames: usize,
) -> Computed {
    let banks = MelBanks::slaney(o.num_mels, o.n_fft, rate)?;
    let zeros = |g: &mut NetworkGraph<'_>, waveform: &Value, before: usize, behind: i64| {
        let pads = g.graph.integers(&[0, 0, before as i64, 0, 0, behind]);
        g.op("Pad", &[waveform, &pads], &[("mode", "constant".into())])
    };
    let padded = zeros(g, waveform, 1, 0);
    let kernel = g.graph.floats("front_end.preemphasis", &[1, 1, 2], &[-NemoMel::PREEMPHASIS, 1.0]);
    let emphasised = g.op("Conv", &[&padded, &kernel], &[]);
    let before = o.n_fft / 2 - (o.n_fft - o.window_length) / 2;
    // Less than nothing where the shift is long: the last samples are in no frame then.
    let behind = o.window_length as i64 - before as i64 - o.hop_length as i64;
    let padded = zeros(g, &emphasised, before, behind);
    let window = WindowType::Hann.values(o.window_length, Symmetry::Symmetric);
    let transform = Transform { shift: o.hop_length, n_fft: o.n_fft, window, banks };
    let power = transform.power(g, &padded, |_| {});
    let bands = transform.bands(g, &power);
    let bands = g.add_number(&bands, f64::from(NemoMel::LOG_OFFSET));
    Ok((g.op("Log", &[&bands], &[]), min_frames * o.hop_length))
}

impl Transform {
    /// The power spectra `[batch, bins, frames]` of a waveform `[batch, 1, samples]`. `adjust` changes the kernel of a cosine or sine.
    fn power(&self, g: &mut NetworkGraph<'_>, waveform: &Value, adjust: impl Fn(&mut [f64])) -> Value {
        let (bins, length) = (self.banks.num_bins(), self.window.len());
        let mut kernels = Vec::with_capacity(2 * bins * length);
        for wave in [f64::cos, f64::sin] {
            for bin in 0..bins {
                let angle = |place: usize| TAU * ((bin * place) % self.n_fft) as f64 / self.n_fft as f64;
                let mut kernel: Vec<f64> = self
                    .window
                    .iter()
                    .enumerate()
                    .map(|(place, window)| window * wave(angle(place)))
                    .collect();
                adjust(&mut kernel);
                kernels.extend(kernel.iter().map(|&value| value as f32));
            }
        }
        let kernels = g.graph.floats("front_end.transform", &[2 * bins, 1, length], &kernels);
        let strides = vec![self.shift as i64];
        let spectra = g.op("Conv", &[waveform, &kernels], &[("strides", strides.as_slice().into())]);
        let squares = g.mul(&spectra, &spectra);
        let parts = g.split(&squares, bins, 2, 1);
        g.op("Sum", &Vec::from_iter(&parts), &[])
    }

    /// `[batch, mel, frames]` of spectra `[batch, bins, frames]`.
    fn bands(&self, g: &mut NetworkGraph<'_>, spectra: &Value) -> Value {
        let shape = [self.banks.num_mels(), self.banks.num_bins()];
        let mel = g.graph.floats("front_end.mel", &shape, &self.banks.to_dense());
        g.op("MatMul", &[&mel, spectra], &[])
    }
}
