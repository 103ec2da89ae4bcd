//! Long recordings in bounded memory: the parts of a network that see a few frames at a time go through time block by block.

use burn::nn::conv::{Conv1d, Conv2d};
use burn::nn::{PaddingConfig1d, PaddingConfig2d};
use burn::tensor::Tensor;

/// Frames of a block, 40 s. A multiple of every stride, and of CAM++'s segments. Shorter blocks would compute a larger share
/// of their frames twice; longer ones would fit no cache.
pub(crate) const BLOCK: usize = 4000;

/// The input frames that a part of a network sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReceptiveField {
    /// Before the frame that an output frame stands for, in input frames.
    before: usize,
    /// Behind it.
    after: usize,
    /// Input frames to an output frame.
    stride: usize,
}

impl ReceptiveField {
    /// That of nothing at all.
    pub(crate) const FRAME: Self = Self { before: 0, after: 0, stride: 1 };

    /// With a convolution over the last dimension behind it.
    pub(crate) fn conv2d(self, layer: &Conv2d) -> Self {
        let before = match layer.padding {
            PaddingConfig2d::Explicit(_, left, _, _) => left,
            PaddingConfig2d::Valid => 0,
            // Half of the kernel, to either side.
            _ => layer.dilation[1] * (layer.kernel_size[1] - 1) / 2,
        };
        self.behind(before, layer.dilation[1] * (layer.kernel_size[1] - 1), layer.stride[1])
    }

    /// With a convolution over time behind it.
    pub(crate) fn conv1d(self, layer: &Conv1d) -> Self {
        let before = match layer.padding {
            PaddingConfig1d::Explicit(left, _) => left,
            PaddingConfig1d::Valid => 0,
            _ => layer.dilation * (layer.kernel_size - 1) / 2,
        };
        self.behind(before, layer.dilation * (layer.kernel_size - 1), layer.stride)
    }

    fn behind(self, before: usize, width: usize, stride: usize) -> Self {
        Self {
            before: self.before + before * self.stride,
            after: self.after + width.saturating_sub(before) * self.stride,
            stride: self.stride * stride,
        }
    }
}

/// What `part` makes of `features`, `[batch, mel, frames]`, in pieces along its last dimension: of blocks of [`BLOCK`] frames
/// with the margin that they need, where there are two or more of them and nothing is to be trained. Frame by frame the pieces are
/// those of the whole but for rounding.
pub(crate) fn in_blocks<'a, const D: usize>(
    features: Tensor<3>,
    field: ReceptiveField,
    part: impl Fn(Tensor<3>) -> Tensor<D> + 'a,
) -> impl Iterator<Item = Tensor<D>> + 'a {
    let frames = features.dims()[2];
    // BatchNorm normalises by all frames of a batch in training.
    let blocks = if features.device().is_autodiff() { 1 } else { (frames / BLOCK).max(1) };
    let margin = field.before.next_multiple_of(field.stride);
    (0..blocks).map(move |block| {
        if blocks == 1 {
            return part(features.clone());
        }
        let is_last = block + 1 == blocks;
        let (first, end) = (block * BLOCK, if is_last { frames } else { (block + 1) * BLOCK });
        let start = first.saturating_sub(margin);
        let stop = (end + field.after).min(frames);
        let output = part(features.clone().narrow(2, start, stop - start));
        let margin = (first - start) / field.stride;
        let made = output.dims()[D - 1];
        let kept = if is_last { made - margin } else { BLOCK / field.stride };
        output.narrow(D - 1, margin, kept)
    })
}

/// A sequence, `[batch, channels, frames]`, in pieces along time: the blocks of [`in_blocks`]. In training there is one.
pub(crate) type Pieces = Vec<Tensor<3>>;

/// `features`, `[batch, mel, frames]`, in pieces.
pub(crate) fn pieces(features: Tensor<3>) -> Pieces {
    in_blocks(features, ReceptiveField::FRAME, |block| block).collect()
}

/// The mean of all frames, `[batch, channels, 1]`.
pub(crate) fn mean_over_time(pieces: &[Tensor<3>]) -> Tensor<3> {
    if let [whole] = pieces {
        return whole.clone().mean_dim(2);
    }
    let frames: usize = pieces.iter().map(|piece| piece.dims()[2]).sum();
    let sums = pieces.iter().map(|piece| piece.clone().sum_dim(2)).collect();
    Tensor::cat(sums, 2).sum_dim(2) / frames as f64
}

/// What `part` makes of each of `pieces`. It keeps the number of frames and sees `reach` more to either side, which the pieces
/// beside have. Where there are none it pads.
pub(crate) fn in_pieces<'a>(
    pieces: &'a [Tensor<3>],
    reach: usize,
    part: impl Fn(Tensor<3>) -> Tensor<3> + 'a,
) -> impl Iterator<Item = Tensor<3>> + 'a {
    pieces.iter().enumerate().map(move |(place, piece)| {
        if pieces.len() == 1 || reach == 0 {
            return part(piece.clone());
        }
        let before = place.checked_sub(1).map(|place| &pieces[place]);
        let before = before.map(|piece| piece.clone().narrow(2, piece.dims()[2] - reach, reach));
        let after = pieces.get(place + 1).map(|piece| piece.clone().narrow(2, 0, reach));
        let margin = if before.is_some() { reach } else { 0 };
        let parts = before.into_iter().chain([piece.clone()]).chain(after).collect();
        part(Tensor::cat(parts, 2)).narrow(2, margin, piece.dims()[2])
    })
}

/// `gain * part(input) + input`: a block with squeeze-excitation and a shortcut. `part` is as in [`in_pieces`]; `gain` makes one of each
/// channel, `[batch, channels, 1]`, from the mean over time of what `part` made.
pub(crate) fn excited(
    input: Pieces,
    reach: usize,
    part: impl Fn(Tensor<3>) -> Tensor<3>,
    gain: impl FnOnce(Tensor<3>) -> Tensor<3>,
) -> Pieces {
    let hidden: Pieces = in_pieces(&input, reach, part).collect();
    let gain = gain(mean_over_time(&hidden));
    hidden.into_iter().zip(input).map(|(hidden, input)| hidden * gain.clone() + input).collect()
}

/// The sequences side by side: `[batch, sum of channels, frames]`, piece by piece. What has been read is dropped.
pub(crate) fn concatenated(sequences: Vec<Pieces>) -> impl Iterator<Item = Tensor<3>> {
    let mut sequences: Vec<_> = sequences.into_iter().map(Pieces::into_iter).collect();
    let places = sequences.first().map_or(0, ExactSizeIterator::len);
    (0..places).map(move |_| Tensor::cat(sequences.iter_mut().filter_map(Iterator::next).collect(), 1))
}

/// Of a recording of `frames` frames, how many a network works on at once, about, in the parts that see a few frames at a time. With
/// fewer than all it is worked on in blocks: ResNet and its kin, x-vector, CAM++ and ECAPA-TDNN, outside training, from 80 s on.
pub fn frames_at_once(frames: u64) -> u64 {
    // The last block has what is left.
    if frames < 2 * BLOCK as u64 { frames } else { BLOCK as u64 + frames % BLOCK as u64 }
}
