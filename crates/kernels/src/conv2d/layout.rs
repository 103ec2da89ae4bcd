//! How images and weights are laid out for the inner loops.

use rayon::prelude::*;

use super::Conv2d;
use crate::correlation::SLACK;
use crate::memory::with_buffer;
use crate::planes::{Axis, lay_out};

/// A tap of the kernel along one axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct AxisTap {
    /// Index in the kernel.
    pub(super) index: usize,
    /// Remainder of its distance from the first tap, by the stride.
    pub(super) phase: usize,
    /// Shift in positions of the plane.
    pub(super) shift: usize,
}

impl Conv2d {
    /// The taps of one axis.
    pub(super) fn axis_taps(&self, axis: usize) -> Vec<AxisTap> {
        let (stride, dilation) = (self.stride[axis], self.dilation[axis]);
        let tap =
            |index| AxisTap { index, phase: index * dilation % stride, shift: index * dilation / stride };
        (0..self.kernel[axis]).map(tap).collect()
    }

    /// How an input is laid out so that the output's positions are positions of its planes.
    pub(crate) fn input_layout(&self) -> Layout {
        let output = self.output_size();
        let taps = [self.axis_taps(0), self.axis_taps(1)];
        let axis = |axis: usize| {
            let reach = taps[axis].iter().map(|tap| tap.shift).max().unwrap_or(0);
            Axis {
                source: self.size[axis],
                step: self.stride[axis],
                start: -(self.padding[axis] as isize),
                len: output[axis] + reach,
            }
        };
        let (rows, columns) = (axis(0), axis(1));
        let mut phases: Vec<[usize; 2]> = Vec::new();
        let mut all = Vec::new();
        for &AxisTap { index: k, phase: row_phase, shift: down } in &taps[0] {
            for &AxisTap { index: l, phase: column_phase, shift: across } in &taps[1] {
                let phase = [row_phase, column_phase];
                let place = phases.iter().position(|known| *known == phase).unwrap_or_else(|| {
                    phases.push(phase);
                    phases.len() - 1
                });
                let offset = place * rows.len * columns.len + down * columns.len + across;
                all.push(Tap { index: k * self.kernel[1] + l, offset });
            }
        }
        Layout { rows, columns, phases, taps: all }
    }
}

/// A tap of the whole kernel.
#[derive(Debug)]
pub(crate) struct Tap {
    /// Place in the kernel, row-major.
    pub(super) index: usize,
    /// Shift in a channel's planes.
    pub(crate) offset: usize,
}

/// An image as planes, see [`lay_out`], and where the taps find it there.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) rows: Axis,
    pub(crate) columns: Axis,
    pub(super) phases: Vec<[usize; 2]>,
    pub(crate) taps: Vec<Tap>,
}

impl Layout {
    /// Floats of a channel's planes.
    pub(crate) fn channel_size(&self) -> usize {
        self.phases.len() * self.rows.len * self.columns.len
    }

    /// Whether a channel's planes are the channel as it is: neither padding nor steps.
    pub(crate) fn is_plain(&self) -> bool {
        let as_it_is = |axis: Axis| axis.step == 1 && axis.start == 0 && axis.len == axis.source;
        self.phases.len() == 1 && as_it_is(self.rows) && as_it_is(self.columns)
    }

    /// Lays one channel out.
    pub(crate) fn lay_out(&self, channel: &[f32], planes: &mut [f32]) {
        lay_out(channel, self.rows, self.columns, &self.phases, planes);
    }

    /// Calls `work` with the planes of all channels of an image, and slack.
    pub(super) fn with_image(&self, image: &[f32], channels: usize, work: impl FnOnce(&[f32])) {
        let size = self.channel_size();
        with_buffer(channels * size + SLACK, |planes| {
            let (channels, slack) = planes.split_at_mut(channels * size);
            slack.fill(0.0);
            channels
                .par_chunks_mut(size)
                .with_min_len((16 * 1024 / size).max(1))
                .zip(image.par_chunks(self.rows.source * self.columns.source))
                .for_each(|(planes, channel)| self.lay_out(channel, planes));
            work(planes);
        });
    }
}

/// Weights in the order in which the inner loop reads them.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    /// `[blocks, inner channels, taps, block]`
    pub(super) weights: Vec<f32>,
    num_taps: usize,
    block: usize,
}

impl Packed {
    /// Floats of a block of outer channels.
    pub(super) fn chunk_len(&self, inner: usize) -> usize {
        inner * self.num_taps * self.block
    }
}

/// Packs weights. `at(outer, inner, tap)` is a weight's place in `weights`.
pub(super) fn pack(
    weights: &[f32],
    outer: usize,
    inner: usize,
    taps: &[Tap],
    block: usize,
    at: impl Fn(usize, usize, usize) -> usize,
) -> Packed {
    let blocks = outer.div_ceil(block);
    let mut packed = vec![0.0; blocks * inner * taps.len() * block];
    let mut out = packed.chunks_exact_mut(block);
    for first in (0..outer).step_by(block) {
        for i in 0..inner {
            for tap in taps {
                let Some(out) = out.next() else { break };
                for (o, out) in (first..outer).zip(out) {
                    *out = weights[at(o, i, tap.index)];
                }
            }
        }
    }
    Packed { weights: packed, num_taps: taps.len(), block }
}
