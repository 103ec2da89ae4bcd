//! 3x3 convolutions with a stride of 1 by Winograd's minimal filtering F(2x2, 3x3),
//! [Lavin and Gray 2015](https://arxiv.org/abs/1509.09308): a tile of 2x2 outputs takes 16 multiplications instead of 36.
//!
//! Input tiles of 4x4 and filters become 16 components each, which are multiplied as 16 matrices and turned back. The
//! gradient of the weights is the same bilinear form read the other way.
//!
//! A tile row has `pitch` positions, the last of which means nothing. Images are split into even and odd rows and columns, so
//! that each of the 16 values of a tile is a run of consecutive floats over consecutive tiles.

mod components;
mod forward;
mod weight_gradient;

use crate::correlation::channel_block;

/// Components of a tile.
const COMPONENTS: usize = 16;

/// Vectors of positions, or channels, that are computed together.
const VECTORS: usize = 3;

/// Floats of the widest vector.
const WIDEST: usize = 16;

/// A 3x3 convolution of one image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Winograd {
    pub(crate) channels_in: usize,
    pub(crate) channels_out: usize,
    /// Height and width of the input.
    pub(crate) size: [usize; 2],
    pub(crate) padding: [usize; 2],
}

impl Winograd {
    fn output_size(&self) -> [usize; 2] {
        std::array::from_fn(|axis| self.size[axis] + 2 * self.padding[axis] - 2)
    }

    /// Rows and columns of tiles.
    fn tiles(&self) -> [usize; 2] {
        self.output_size().map(|len| len.div_ceil(2))
    }

    /// Components of the filters, `[blocks of output channels, components, input channels, block]`. `at(output, input, tap)` is
    /// a weight's place.
    pub(crate) fn filters(&self, weights: &[f32], at: impl Fn(usize, usize, usize) -> usize) -> Vec<f32> {
        let block = channel_block();
        let len = COMPONENTS * self.channels_in * block;
        let mut filters = vec![0.0; self.channels_out.div_ceil(block) * len];
        for (b, filters) in filters.chunks_exact_mut(len).enumerate() {
            let channels = block.min(self.channels_out - b * block);
            for i in 0..self.channels_in {
                for c in 0..channels {
                    let o = b * block + c;
                    let rows: [[f32; 4]; 3] = std::array::from_fn(|row| {
                        filter([0, 1, 2].map(|column| weights[at(o, i, 3 * row + column)]))
                    });
                    for column in 0..4 {
                        let components = filter(rows.map(|row| row[column]));
                        for (row, component) in components.into_iter().enumerate() {
                            filters[((4 * row + column) * self.channels_in + i) * block + c] = component;
                        }
                    }
                }
            }
        }
        filters
    }
}

/// One axis of a filter's components.
fn filter([a, b, c]: [f32; 3]) -> [f32; 4] {
    let ends = 0.5 * (a + c);
    [a, ends + 0.5 * b, ends - 0.5 * b, c]
}
