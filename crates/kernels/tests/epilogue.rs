//! What follows a layer, against its definition.

mod numbers;

use ffsvc_kernels::{Conv2d, Epilogue};
use numbers::numbers;
use proptest::prelude::*;

/// Vectors for an epilogue of any parts.
struct Parts {
    bias: Vec<f32>,
    scale: Vec<f32>,
    offset: Vec<f32>,
    residual: Vec<f32>,
}

impl Parts {
    fn new(channels: usize, len: usize) -> Self {
        let vector = |seed| numbers(channels, seed);
        Self { bias: vector(11), scale: vector(12), offset: vector(13), residual: numbers(len, 14) }
    }

    /// The parts that `which` names, a bit each.
    fn epilogue(&self, which: u8) -> Epilogue<'_> {
        let wanted = |bit: u8| which & (1 << bit) != 0;
        Epilogue {
            bias: wanted(0).then_some(&self.bias),
            relu_first: wanted(1),
            scale_and_offset: wanted(2).then_some([&self.scale, &self.offset]),
            residual: wanted(3).then_some(&self.residual),
            relu: wanted(4),
        }
    }
}

fn expected(epilogue: &Epilogue<'_>, channels: usize, positions: usize, values: &[f32]) -> Vec<f32> {
    let of = |(place, value): (usize, &f32)| {
        let channel = place / positions % channels;
        let mut value = value + epilogue.bias.map_or(0.0, |bias| bias[channel]);
        if epilogue.relu_first {
            value = value.max(0.0);
        }
        if let Some([scale, offset]) = epilogue.scale_and_offset {
            value = value * scale[channel] + offset[channel];
        }
        value += epilogue.residual.map_or(0.0, |residual| residual[place]);
        if epilogue.relu { value.max(0.0) } else { value }
    };
    values.iter().enumerate().map(of).collect()
}

fn assert_near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= 1e-6 * (1.0 + expected.abs()),
            "at {place}: {found} where {expected} is right"
        );
    }
}

proptest! {
    #[test]
    fn any_epilogue_is_as_defined(
        which in 0u8..32, batch in 1usize..4, channels in 1usize..6, positions in 1usize..100,
    ) {
        let values = numbers(batch * channels * positions, 1);
        let parts = Parts::new(channels, values.len());
        let epilogue = parts.epilogue(which);
        let expected = expected(&epilogue, channels, positions, &values);
        let mut output = vec![f32::NAN; values.len()];
        epilogue.forward(channels, positions, &values, &mut output);
        assert_near(&output, &expected);
        let mut values = values;
        epilogue.apply(channels, positions, &mut values);
        assert_near(&values, &expected);
    }

    #[test]
    fn a_convolution_with_an_epilogue_is_one_after_the_other(
        which in 0u8..32,
        channels in (1usize..20, 1usize..20),
        groups in 1usize..4,
        size in (3usize..30, 3usize..30),
        stride in 1usize..3,
    ) {
        let conv = Conv2d {
            batch: 2,
            channels_in: groups * channels.0,
            channels_out: groups * channels.1,
            size: [size.0, size.1],
            kernel: [3, 3],
            stride: [stride; 2],
            padding: [1, 1],
            dilation: [1, 1],
            groups,
        };
        let (input, weights) = (numbers(conv.input_len(), 1), numbers(conv.weight_len(), 2));
        let mut alone = vec![f32::NAN; conv.output_len()];
        conv.forward(&input, &weights, &mut alone);
        let parts = Parts::new(conv.channels_out, alone.len());
        let epilogue = parts.epilogue(which);
        let [height, width] = conv.output_size();
        let mut output = vec![f32::NAN; alone.len()];
        conv.forward_and(&input, &weights, &epilogue, &mut output);
        assert_near(&output, &expected(&epilogue, conv.channels_out, height * width, &alone));
    }
}

#[test]
fn a_nan_goes_through_both_rectifications() {
    let epilogue = Epilogue { relu_first: true, relu: true, ..Epilogue::default() };
    let mut values = [f32::NAN, -1.0, 1.0];
    epilogue.apply(1, 3, &mut values);
    assert!(values[0].is_nan());
    assert_eq!(values[1..], [0.0, 1.0]);
}
