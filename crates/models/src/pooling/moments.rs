//! Mean and variance of rows that come in pieces.

use burn::tensor::Tensor;

/// Count, mean and squared deviations of each row. Pieces are joined as in Chan, Golub and LeVeque 1979, "Updating formulae and
/// a pairwise algorithm for computing sample variances".
#[derive(Debug, Clone)]
pub(crate) struct Moments {
    count: usize,
    /// `[batch, rows, 1]`
    mean: Tensor<3>,
    /// Sum of the squared differences from the mean, `[batch, rows, 1]`.
    squares: Tensor<3>,
}

impl Moments {
    /// Over the last dimension of one piece.
    pub(crate) fn of(input: Tensor<3>) -> Self {
        let count = input.dims()[2];
        let mean = input.clone().mean_dim(2);
        let squares = (input - mean.clone()).square().sum_dim(2);
        Self { count, mean, squares }
    }

    /// Over the last dimension of all pieces.
    ///
    /// # Panics
    /// There are none.
    pub(crate) fn of_all(pieces: impl Iterator<Item = Tensor<3>>) -> Self {
        pieces.map(Self::of).reduce(Self::join).expect("a network makes one piece at least")
    }

    fn join(self, other: Self) -> Self {
        let count = self.count + other.count;
        let share = other.count as f64 / count as f64;
        let difference = other.mean - self.mean.clone();
        let between = difference.clone().square() * (self.count as f64 * share);
        Self { count, mean: self.mean + difference * share, squares: self.squares + other.squares + between }
    }

    /// Mean and biased variance, `[batch, rows, 1]` each.
    pub(crate) fn mean_and_biased_variance(self) -> (Tensor<3>, Tensor<3>) {
        (self.mean, self.squares / self.count as f64)
    }

    /// Mean and unbiased variance, `[batch, rows, 1]` each. The variance of one value is 0.
    pub(crate) fn mean_and_variance(self) -> (Tensor<3>, Tensor<3>) {
        (self.mean, self.squares / self.count.saturating_sub(1).max(1) as f64)
    }
}
