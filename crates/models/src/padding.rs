//! Utterances of different lengths in one batch.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Which frames of a batch are speech; behind them an utterance is padded with zeros to the length of the longest.
///
/// A convolution that pads with zeros sees the end of an utterance as it would alone, as long as everything behind the
/// end is zero. Batch normalisation changes these zeros, so they are restored before every convolution.
#[derive(Clone, Debug)]
pub(crate) struct Padding {
    frames: Vec<usize>,
    /// 1 for speech, 0 behind it, `[batch, frames]`.
    mask: Tensor<2>,
}

impl Padding {
    /// # Panics
    /// If an utterance is longer than the `longest`.
    pub(crate) fn new(frames: Vec<usize>, longest: usize, device: &Device) -> Self {
        assert!(frames.iter().all(|&frames| frames <= longest), "{frames:?} in {longest} frames");
        let row = |&frames: &usize| (0..longest).map(move |frame| f32::from(u8::from(frame < frames)));
        let mask: Vec<f32> = frames.iter().flat_map(row).collect();
        let mask = Tensor::from_data(TensorData::new(mask, [frames.len(), longest]), device);
        Self { frames, mask }
    }

    /// What is left of it behind a convolution that keeps every `stride`-th frame.
    pub(crate) fn strided(&self, stride: usize) -> Self {
        if stride == 1 {
            return self.clone();
        }
        let [_, longest] = self.mask.dims();
        let frames = self.frames.iter().map(|frames| frames.div_ceil(stride)).collect();
        Self::new(frames, longest.div_ceil(stride), &self.mask.device())
    }

    /// What is left of it behind layers without padding of their own, which lose so many frames in all.
    pub(crate) fn shortened(&self, by: usize) -> Self {
        let [_, longest] = self.mask.dims();
        let frames = self.frames.iter().map(|frames| frames.saturating_sub(by)).collect();
        Self::new(frames, longest - by, &self.mask.device())
    }

    /// `map` with zeros behind the utterances' ends.
    ///
    /// # Shapes
    /// - map and output: `[batch, channels, frequencies, frames]`
    pub(crate) fn clear(&self, map: Tensor<4>) -> Tensor<4> {
        let [batch, frames] = self.mask.dims();
        map * self.mask.clone().reshape([batch, 1, 1, frames])
    }

    /// Mean and unbiased variance of each row over the speech; `[batch, rows, 1]` each. The variance of one value is 0.
    ///
    /// `copies` is how often the frames of an utterance stand in a row (the frequencies, where a row is a channel).
    ///
    /// # Shapes
    /// - rows: `[batch, rows, copies * frames]`
    pub(crate) fn mean_and_variance(&self, rows: Tensor<3>, copies: usize) -> (Tensor<3>, Tensor<3>) {
        let [batch, frames] = self.mask.dims();
        let mask = self.mask.clone().reshape([batch, 1, frames]).repeat_dim(2, copies);
        let counts: Vec<i64> = self.frames.iter().map(|&frames| (copies * frames) as i64).collect();
        let counts = Tensor::<1, Int>::from_data(TensorData::new(counts, [batch]), &self.mask.device());
        let counts = counts.float().reshape([batch, 1, 1]);
        let mean = (rows.clone() * mask.clone()).sum_dim(2) / counts.clone();
        let centred = (rows - mean.clone()) * mask;
        let variance = centred.square().sum_dim(2) / (counts - 1.0).clamp_min(1.0);
        (mean, variance)
    }
}

/// The padding behind a convolution that keeps every `stride`-th frame, where there is any.
pub(crate) fn strided(padding: Option<Padding>, stride: usize) -> Option<Padding> {
    padding.map(|padding| padding.strided(stride))
}

/// `map` cleared by `padding`, where there is any.
pub(crate) fn clear(padding: Option<&Padding>, map: Tensor<4>) -> Tensor<4> {
    match padding {
        Some(padding) => padding.clear(map),
        None => map,
    }
}
