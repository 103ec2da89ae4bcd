use super::Conv2d;
use super::layout::{Packed, pack};
use crate::correlation::channel_block;

/// The weights of a [`Conv2d`] in the order in which its forward pass reads them, or as the components of Winograd's filters. They serve
/// any number of images of any size, with any padding.
#[derive(Debug, Clone)]
pub struct PackedWeights {
    form: Form,
    /// Channels of output and input, groups, and the kernel's height and width.
    shape: [usize; 5],
}

#[derive(Debug, Clone)]
pub(super) enum Form {
    /// There are none: the output is 0.
    Empty,
    /// Components of filters.
    Winograd(Vec<f32>),
    /// Of each channel group.
    Direct(Vec<Packed>),
}

impl PackedWeights {
    /// Of `weights`, `[channels_out, channels_in / groups, kernel height, kernel width]`.
    ///
    /// # Panics
    /// A slice whose length is not that of the tensor.
    pub fn new(conv: &Conv2d, weights: &[f32]) -> Self {
        conv.check_weights(weights);
        let (inputs, outputs) = (conv.inputs(), conv.outputs());
        let kernel = conv.kernel[0] * conv.kernel[1];
        let form = if weights.is_empty() {
            Form::Empty
        } else if let Some(winograd) = conv.winograd() {
            Form::Winograd(winograd.filters(weights, |o, i| (o * inputs + i) * kernel, false))
        } else {
            let taps = conv.input_layout().taps;
            let of_group = |weights| {
                pack(weights, outputs, inputs, &taps, channel_block(outputs), |o, i, tap| {
                    (o * inputs + i) * kernel + tap
                })
            };
            Form::Direct(weights.chunks(outputs * inputs * kernel).map(of_group).collect())
        };
        Self { form, shape: shape(conv) }
    }

    /// The weights for `conv`.
    ///
    /// # Panics
    /// They are those of another convolution.
    pub(super) fn of(&self, conv: &Conv2d) -> &Form {
        let is_winograd = matches!(self.form, Form::Winograd(_));
        assert_eq!(
            (self.shape, is_winograd),
            (shape(conv), conv.winograd().is_some()),
            "channels, groups and kernel of packed weights, and whether they are Winograd's"
        );
        &self.form
    }
}

fn shape(conv: &Conv2d) -> [usize; 5] {
    [conv.channels_out, conv.channels_in, conv.groups, conv.kernel[0], conv.kernel[1]]
}
