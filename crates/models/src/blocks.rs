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

/// Of a recording of `frames` frames, how many a network works on at once, about, in the parts that see a few frames at a time. With
/// fewer than all it is worked on in blocks: ResNet, x-vector, CAM++ and ERes2Net, outside training, from 80 s on.
pub fn frames_at_once(frames: u64) -> u64 {
    // The last block has what is left.
    if frames < 2 * BLOCK as u64 { frames } else { BLOCK as u64 + frames % BLOCK as u64 }
}
