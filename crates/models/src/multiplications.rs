//! How many products a network computes.

use std::cell::Cell;

use burn::nn::Linear;
use burn::tensor::Tensor;

thread_local! {
    static COUNT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The products of convolutions, linear layers, LSTM and attention that `forward` computes on this thread. What is done for each value
/// alone, such as normalisation, is not counted.
pub(crate) fn multiplications(forward: impl FnOnce()) -> u64 {
    /// Puts the count of an outer call back when it is dropped, after a panic too.
    struct Restore(Option<u64>);
    impl Drop for Restore {
        fn drop(&mut self) {
            COUNT.set(self.0);
        }
    }
    let _restore = Restore(COUNT.replace(Some(0)));
    forward();
    COUNT.get().unwrap_or_default()
}

/// Adds to the count, where there is one.
pub(crate) fn note(products: impl FnOnce() -> usize) {
    if let Some(count) = COUNT.get() {
        COUNT.set(Some(count + products() as u64));
    }
}

/// `layer.forward(input)`
pub(crate) fn linear<const D: usize>(layer: &Linear, input: Tensor<D>) -> Tensor<D> {
    note(|| input.shape().num_elements() * layer.weight.dims()[1]);
    layer.forward(input)
}

/// `left.matmul(right)`
pub(crate) fn product<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
    let inner = left.dims()[D - 1];
    let output = left.matmul(right);
    note(|| output.shape().num_elements() * inner);
    output
}

#[cfg(test)]
mod tests {
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn counts_are_those_of_the_formulas_and_end_with_the_function() {
        let device = Device::flex();
        let layer = LinearConfig::new(3, 5).init(&device);
        let forward = || {
            linear(&layer, Tensor::<3>::ones([2, 7, 3], &device));
        };
        assert_eq!(multiplications(forward), 2 * 7 * 3 * 5);
        let both = multiplications(|| {
            product(Tensor::<2>::ones([4, 6], &device), Tensor::ones([6, 5], &device));
            assert_eq!(multiplications(forward), 210);
        });
        assert_eq!(both, 4 * 6 * 5);
        assert!(std::panic::catch_unwind(|| multiplications(|| panic!("of the test"))).is_err());
        assert_eq!(COUNT.get(), None);
    }
}
