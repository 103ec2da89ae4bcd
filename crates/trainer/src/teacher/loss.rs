//! Losses between the embeddings of a student and those of its teacher.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use super::TeacherLoss;

/// Shortest embedding that has a direction.
const LEAST_LENGTH: f64 = 1e-12;

impl TeacherLoss {
    /// The loss of a batch, `[1]`. The teacher's embeddings have no gradient.
    ///
    /// # Shapes
    /// - student: `[batch, embedding]`
    /// - teacher: `[batch, embedding]`; with [`Similarity`](Self::Similarity) its embeddings may have another size
    /// - neighbours: `[recordings, embedding]`, the teacher's; only [`Neighbours`](Self::Neighbours) looks at them
    pub fn forward(
        self,
        student: Tensor<2>,
        teacher: Tensor<2>,
        neighbours: impl FnOnce() -> Tensor<2>,
        temperature: f64,
    ) -> Tensor<1> {
        match self {
            Self::Neighbours => {
                let neighbours = directions(neighbours()).transpose();
                let log_shares =
                    |rows| log_softmax(directions(rows).matmul(neighbours.clone()) / temperature, 1);
                let (of_student, of_teacher) = (log_shares(student), log_shares(teacher));
                ((of_teacher.clone() - of_student) * of_teacher.exp()).sum_dim(1).mean()
            }
            Self::Cosine => {
                let cosines = (directions(student) * directions(teacher)).sum_dim(1);
                cosines.mean().neg() + 1.0
            }
            Self::Mse => (student - teacher).square().mean(),
            Self::Similarity => {
                let batch = student.dims()[0];
                let difference = cosines(student) - cosines(teacher);
                // A crop's cosine to itself is 1 with both.
                let pairs = (batch * batch.saturating_sub(1)).max(1);
                difference.square().sum() / pairs as f64
            }
        }
    }
}

/// Rows of length 1.
fn directions(rows: Tensor<2>) -> Tensor<2> {
    let lengths = rows.clone().square().sum_dim(1).clamp_min(LEAST_LENGTH * LEAST_LENGTH).sqrt();
    rows / lengths
}

/// Between all pairs of rows.
fn cosines(rows: Tensor<2>) -> Tensor<2> {
    let directions = directions(rows);
    directions.clone().matmul(directions.transpose())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn of(loss: TeacherLoss, student: [[f32; 2]; 3], teacher: [[f32; 2]; 3]) -> f32 {
        let device = Device::flex();
        let rows = |rows| Tensor::<2>::from_floats(rows, &device);
        loss.forward(rows(student), rows(teacher), || rows(teacher), 0.5).into_scalar::<f32>()
    }

    #[test]
    fn losses_are_their_formulas() {
        let student = [[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]];
        let teacher = [[1.0, 0.0], [1.0, 0.0], [-1.0, -1.0]];
        let near = |found: f32, expected: f64| assert!((f64::from(found) - expected).abs() < 1e-6, "{found}");
        // Cosines 1, 0 and -1.
        near(of(TeacherLoss::Cosine, student, teacher), 1.0);
        near(of(TeacherLoss::Mse, student, teacher), (1.0 + 0.0 + 1.0 + 9.0 + 4.0 + 4.0) / 6.0);
        // Between the rows: 0, h, h of the student; 1, -h, -h of the teacher, with h the root of a half.
        near(of(TeacherLoss::Similarity, student, teacher), 2.0 * (1.0 + 2.0 + 2.0) / 6.0);
        for loss in [TeacherLoss::Cosine, TeacherLoss::Mse, TeacherLoss::Similarity, TeacherLoss::Neighbours]
        {
            near(of(loss, teacher, teacher), 0.0);
        }
        // The teacher's rows are a, a and b at 135 degrees from it. Shares by exp(cosine / 0.5).
        let h = 0.5_f64.sqrt();
        let shares = |cosines: [f64; 3]| {
            let weights = cosines.map(|cosine| (cosine / 0.5).exp());
            weights.map(|weight| weight / weights.iter().sum::<f64>())
        };
        let divergence = |t: [f64; 3], s: [f64; 3]| {
            let (t, s) = (shares(t), shares(s));
            t.iter().zip(s).map(|(t, s)| t * (t / s).ln()).sum::<f64>()
        };
        let rows = [
            divergence([1.0, 1.0, -h], [1.0, 1.0, -h]),
            divergence([1.0, 1.0, -h], [0.0, 0.0, -h]),
            divergence([-h, -h, 1.0], [h, h, -1.0]),
        ];
        near(of(TeacherLoss::Neighbours, student, teacher), rows.iter().sum::<f64>() / 3.0);
        // Only the directions count.
        let longer = teacher.map(|row| row.map(|x| 5.0 * x));
        near(of(TeacherLoss::Cosine, longer, teacher), 0.0);
        near(of(TeacherLoss::Similarity, longer, teacher), 0.0);
        assert!(of(TeacherLoss::Mse, longer, teacher) > 1.0);
    }

    #[test]
    fn an_embedding_of_zeros_has_a_finite_gradient() {
        let device = Device::flex().autodiff();
        for loss in [TeacherLoss::Cosine, TeacherLoss::Similarity, TeacherLoss::Neighbours] {
            let student = Tensor::<2>::zeros([2, 3], &device).require_grad();
            let teacher = Tensor::<2>::ones([2, 3], &device);
            let neighbours = teacher.clone();
            let gradients = loss.forward(student.clone(), teacher, || neighbours, 0.1).backward();
            let gradient = student.grad(&gradients).expect("a gradient");
            assert!(gradient.abs().max().into_scalar::<f32>().is_finite(), "{loss:?}");
        }
    }
}
