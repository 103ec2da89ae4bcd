//! Convolutions against their definition, written as loops in double precision.

mod convolutions;
mod numbers;

use convolutions::convolution;
use ffsvc_kernels::{Conv2d, Epilogue, PackedWeights};
use numbers::numbers;
use proptest::prelude::*;

/// Calls `visit(input, weight, output)` with the places of every product.
fn products(conv: &Conv2d, mut visit: impl FnMut(usize, usize, usize)) {
    let [height, width] = conv.size;
    let [out_height, out_width] = conv.output_size();
    let source = |axis: usize, out: usize, tap: usize| {
        (out * conv.stride[axis] + tap * conv.dilation[axis])
            .checked_sub(conv.padding[axis])
            .filter(|place| *place < conv.size[axis])
    };
    let (inputs, outputs) = (conv.channels_in / conv.groups, conv.channels_out / conv.groups);
    for n in 0..conv.batch {
        for o in 0..conv.channels_out {
            for of_group in 0..inputs {
                let i = o / outputs * inputs + of_group;
                for k in 0..conv.kernel[0] {
                    for l in 0..conv.kernel[1] {
                        for r in 0..out_height {
                            for c in 0..out_width {
                                let (Some(y), Some(x)) = (source(0, r, k), source(1, c, l)) else { continue };
                                visit(
                                    ((n * conv.channels_in + i) * height + y) * width + x,
                                    ((o * inputs + of_group) * conv.kernel[0] + k) * conv.kernel[1] + l,
                                    ((n * conv.channels_out + o) * out_height + r) * out_width + c,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

fn assert_near(found: &[f32], expected: &[f64], terms: usize, what: &str) {
    assert_eq!(found.len(), expected.len());
    let tolerance = 2e-7 * (terms as f64).sqrt() * 4.0 + 1e-6;
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(
            error <= tolerance * (1.0 + expected.abs()),
            "{what}[{place}]: {found} where {expected} is right"
        );
    }
}

fn check(conv: &Conv2d) {
    let input = numbers(conv.input_len(), 1);
    let weights = numbers(conv.weight_len(), 2);
    let gradient = numbers(conv.output_len(), 3);
    let mut expected = [vec![0.0; input.len()], vec![0.0; weights.len()], vec![0.0; gradient.len()]];
    products(conv, |i, w, o| {
        expected[2][o] += f64::from(input[i]) * f64::from(weights[w]);
        expected[0][i] += f64::from(weights[w]) * f64::from(gradient[o]);
        expected[1][w] += f64::from(input[i]) * f64::from(gradient[o]);
    });
    let kernel = conv.kernel[0] * conv.kernel[1];
    let mut output = vec![f32::NAN; conv.output_len()];
    conv.forward(&input, &weights, &mut output);
    assert_near(&output, &expected[2], conv.channels_in / conv.groups * kernel, "output");
    let mut found = vec![f32::NAN; input.len()];
    conv.input_gradient(&gradient, &weights, &mut found);
    assert_near(&found, &expected[0], conv.channels_out / conv.groups * kernel, "input gradient");
    let mut found = vec![f32::NAN; weights.len()];
    conv.weight_gradient(&input, &gradient, &mut found);
    let [height, width] = conv.output_size();
    assert_near(&found, &expected[1], conv.batch * height * width, "weight gradient");
}

fn shape() -> impl Strategy<Value = Conv2d> {
    let axis = || (1usize..24, 1usize..5, 1usize..4, 0usize..4, 1usize..4);
    // A group of channels, and how many of them.
    let channels = prop_oneof![
        (1usize..12, 1usize..12, Just(1usize)),
        (1usize..5, 1usize..5, 2usize..5),
        (Just(1usize), Just(1usize), 2usize..20),
    ];
    (1usize..4, channels, axis(), axis()).prop_map(|(batch, (inputs, outputs, groups), rows, columns)| {
        Conv2d {
            batch,
            channels_in: groups * inputs,
            channels_out: groups * outputs,
            size: [rows.0, columns.0],
            kernel: [rows.1, columns.1],
            stride: [rows.2, columns.2],
            padding: [rows.3, columns.3],
            dilation: [rows.4, columns.4],
            groups,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_convolution_is_as_defined(conv in shape()) {
        check(&conv);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_convolution_of_many_channels_by_3x3_is_as_defined(
        batch in 1usize..4,
        channels_in in 8usize..20,
        channels_out in 8usize..20,
        size in (3usize..40, 3usize..40),
        padding in (0usize..4, 0usize..4),
    ) {
        check(&Conv2d {
            batch,
            channels_in,
            channels_out,
            size: [size.0, size.1],
            kernel: [3, 3],
            stride: [1, 1],
            padding: [padding.0, padding.1],
            dilation: [1, 1],
            groups: 1,
        });
    }
}

#[test]
fn the_convolutions_of_a_resnet_are_as_defined() {
    let conv = |channels_in, channels_out, size, kernel, stride, padding| Conv2d {
        batch: 3,
        channels_in,
        channels_out,
        size,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
        dilation: [1, 1],
        groups: 1,
    };
    check(&conv(1, 8, [40, 150], 3, 1, 1));
    check(&conv(8, 8, [40, 150], 3, 1, 1));
    check(&conv(8, 16, [40, 150], 3, 2, 1));
    check(&conv(8, 16, [40, 150], 1, 2, 0));
    check(&conv(32, 64, [10, 38], 3, 2, 1));
    check(&conv(64, 64, [5, 19], 3, 1, 1));
    check(&conv(16, 16, [3, 1500], 3, 1, 1));
}

#[test]
fn the_dilated_convolutions_of_a_tdnn_are_as_defined() {
    for (kernel, dilation) in [(5, 1), (3, 2), (3, 4), (1, 1)] {
        check(&Conv2d {
            batch: 2,
            channels_in: 20,
            channels_out: 33,
            size: [1, 203],
            kernel: [1, kernel],
            stride: [1, 1],
            padding: [0, dilation * (kernel - 1) / 2],
            dilation: [1, dilation],
            groups: 1,
        });
    }
}

/// Of each channel (ReDimNet's time context, Gemini DF-ResNet) and of groups (ReDimNet's planar blocks).
#[test]
fn the_convolutions_of_groups_are_as_defined() {
    let conv = |groups, inputs, outputs, size, kernel: [usize; 2], stride| Conv2d {
        batch: 2,
        channels_in: groups * inputs,
        channels_out: groups * outputs,
        size,
        kernel,
        stride: [stride; 2],
        padding: kernel.map(|taps| taps / 2),
        dilation: [1, 1],
        groups,
    };
    check(&conv(40, 1, 1, [1, 203], [1, 59], 1));
    check(&conv(24, 1, 1, [20, 101], [3, 3], 1));
    check(&conv(7, 1, 1, [3, 3], [3, 3], 1));
    check(&conv(6, 4, 4, [9, 50], [3, 3], 1));
    check(&conv(3, 9, 12, [9, 50], [3, 3], 1));
    check(&conv(5, 2, 3, [9, 50], [3, 3], 2));
    check(&conv(4, 16, 1, [5, 31], [3, 3], 1));
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let conv = Conv2d { batch: 5, ..convolution([9, 17], [20, 75], [3, 3]) };
    let (input, weights) = (numbers(conv.input_len(), 1), numbers(conv.weight_len(), 2));
    let gradient = numbers(conv.output_len(), 3);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let mut output = vec![0.0; conv.output_len()];
            conv.forward(&input, &weights, &mut output);
            let mut of_input = vec![0.0; conv.input_len()];
            conv.input_gradient(&gradient, &weights, &mut of_input);
            let mut of_weights = vec![0.0; conv.weight_len()];
            conv.weight_gradient(&input, &gradient, &mut of_weights);
            (output, of_input, of_weights)
        })
    };
    assert_eq!(run(1), run(3));
}

/// Of each way to compute it: by Winograd, directly, in groups.
#[test]
fn packed_weights_serve_images_of_any_size() {
    let plain = convolution([12, 20], [5, 9], [3, 3]);
    for conv in [
        plain.clone(),
        Conv2d { stride: [2, 1], ..plain.clone() },
        Conv2d { groups: 4, ..plain.clone() },
        Conv2d { channels_in: 0, ..plain.clone() },
    ] {
        let weights = numbers(conv.weight_len(), 2);
        let packed = PackedWeights::new(&conv, &weights);
        for conv in [conv.clone(), Conv2d { batch: 3, size: [8, 30], padding: [0, 2], ..conv }] {
            let input = numbers(conv.input_len(), 1);
            let mut outputs = [vec![f32::NAN; conv.output_len()], vec![f32::NAN; conv.output_len()]];
            conv.forward(&input, &weights, &mut outputs[0]);
            conv.forward_packed(&input, &packed, &Epilogue::default(), &mut outputs[1]);
            assert_eq!(outputs[0], outputs[1], "{conv:?}");
        }
    }
}

#[test]
#[should_panic(expected = "kernel of packed weights")]
fn packed_weights_of_another_convolution_are_refused() {
    let conv = Conv2d { padding: [0, 0], ..convolution([2, 2], [1, 9], [1, 3]) };
    let packed = PackedWeights::new(&conv, &numbers(conv.weight_len(), 2));
    let upright = Conv2d { kernel: [3, 1], size: [9, 1], ..conv };
    let mut output = vec![0.0; upright.output_len()];
    upright.forward_packed(&numbers(upright.input_len(), 1), &packed, &Epilogue::default(), &mut output);
}
