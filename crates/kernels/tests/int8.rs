//! Convolutions in 8 bits against those in 32.

mod convolutions;
mod numbers;

use convolutions::convolution;
use ffsvc_kernels::{Conv2d, Epilogue, Int8Weights};
use numbers::numbers;
use proptest::prelude::*;

fn both(conv: &Conv2d, input: &[f32], weights: &[f32], epilogue: &Epilogue<'_>) -> [Vec<f32>; 2] {
    let mut outputs = [vec![f32::NAN; conv.output_len()], vec![f32::NAN; conv.output_len()]];
    conv.forward_and(input, weights, epilogue, &mut outputs[0]);
    conv.forward_int8(input, &Int8Weights::new(conv, weights), epilogue, &mut outputs[1]);
    outputs
}

prop_compose! {
    fn convolutions()(
        batch in 1usize..3, channels_in in 4usize..14, channels_out in 1usize..20,
        kernel in [1usize..4, 1usize..4], stride in [1usize..3, 1usize..3], padding in [0usize..3, 0usize..3],
        dilation in [1usize..3, 1usize..3], size in [4usize..12, 8usize..40],
    ) -> Conv2d {
        Conv2d { batch, channels_in, channels_out, size, kernel, stride, padding, dilation, groups: 1 }
    }
}

proptest! {
    /// Whole numbers within 8 bits are exact, whatever the shape; so is what comes after them.
    #[test]
    fn whole_numbers_are_exact(conv in convolutions(), seed: u64, negative in 0i32..255) {
        prop_assume!(conv.suits_int8());
        let mut random = seed;
        let mut below = |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((random >> 33) % limit) as i32
        };
        let mut input: Vec<f32> = (0..conv.input_len()).map(|_| (below(256) - negative) as f32).collect();
        for image in input.chunks_mut(conv.input_len() / conv.batch) {
            (image[0], image[1]) = (-negative as f32, (255 - negative) as f32);
        }
        let mut weights: Vec<f32> = (0..conv.weight_len()).map(|_| (below(255) - 127) as f32).collect();
        for channel in weights.chunks_mut(conv.weight_len() / conv.channels_out) {
            channel[0] = 127.0;
        }
        let scale: Vec<f32> = (0..conv.channels_out).map(|c| 1.0 + c as f32).collect();
        let offset: Vec<f32> = (0..conv.channels_out).map(|c| 100.0 * c as f32 - 300.0).collect();
        let residual: Vec<f32> = (0..conv.output_len()).map(|at| (at % 17) as f32).collect();
        let whole = Epilogue {
            bias: Some(&offset),
            scale_and_offset: Some([&scale, &offset]),
            residual: Some(&residual),
            relu: true,
            ..Default::default()
        };
        for epilogue in [Epilogue::default(), whole] {
            let [exact, found] = both(&conv, &input, &weights, &epilogue);
            prop_assert_eq!(exact, found);
        }
    }

    /// Steps of 8 bits are independent errors, of a variance of 1/12 of their squares.
    #[test]
    fn other_numbers_are_as_near_as_8_bits_are(conv in convolutions()) {
        prop_assume!(conv.suits_int8());
        let (input, weights) = (numbers(conv.input_len(), 1), numbers(conv.weight_len(), 2));
        let [exact, found] = both(&conv, &input, &weights, &Epilogue::default());
        let energy = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
        let error = energy(&mut exact.iter().zip(&found).map(|(a, b)| a - b));
        let share = (error / energy(&mut exact.iter().copied()).max(1e-9)).sqrt();
        prop_assert!(share < 0.02, "{share}");
    }
}

#[test]
fn what_is_not_finite_shows_in_its_image_alone() {
    let conv = Conv2d { batch: 2, ..convolution([4, 2], [1, 20], [1, 1]) };
    let (mut input, mut weights) = (numbers(conv.input_len(), 1), numbers(conv.weight_len(), 2));
    input[0] = f32::INFINITY;
    let [_, found] = both(&conv, &input, &weights, &Epilogue::default());
    assert!(
        found[..40].iter().all(|value| value.is_nan()) && found[40..].iter().all(|value| value.is_finite())
    );
    weights[0] = f32::NAN;
    let [_, found] = both(&conv, &input, &weights, &Epilogue::default());
    assert!(
        found[40..60].iter().all(|value| value.is_nan()) && found[60..].iter().all(|value| value.is_finite())
    );
}

#[test]
fn what_gains_nothing_does_not_suit() {
    let conv = convolution([4, 2], [1, 16], [1, 1]);
    assert!(conv.suits_int8());
    assert!(!Conv2d { channels_in: 3, ..conv.clone() }.suits_int8());
    assert!(!Conv2d { size: [1, 15], ..conv.clone() }.suits_int8());
    assert!(!Conv2d { groups: 2, ..conv.clone() }.suits_int8());
    assert!(!Conv2d { channels_in: 70_000, ..conv }.suits_int8());
}
