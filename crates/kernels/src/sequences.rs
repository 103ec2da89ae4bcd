//! An LSTM layer over whole sequences, and its gradients.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::activations::{sigmoid, tanh};
use crate::memory::with_buffer;

/// Sequences that are computed together: each weight that is loaded serves all of them.
const TOGETHER: usize = 4;

/// Vectors of a tile of outputs.
const VECTORS: usize = 4;

/// The recurrent part of an LSTM layer over sequences of one length, which all begin with zeros. The products of the input, which do
/// not depend on earlier steps, come from outside: a matrix product computes them for all steps at once.
///
/// With PyTorch's names: `projected = x W_ih^T + b_ih + b_hh`, and here `gates = projected + h W_hh^T`. The rows of `W_hh` are the
/// input, forget, cell and output gates, one block after the other. Results do not depend on the number of threads.
///
/// ```
/// use ffsvc_kernels::LstmSequences;
///
/// // One unit without a memory of its own: the gates are open.
/// let layer = LstmSequences { batch: 1, steps: 2, hidden: 1 };
/// let projected = [100.0, -100.0, 0.5, 100.0, 100.0, -100.0, 0.25, 100.0];
/// let mut output = [0.0; 2];
/// layer.forward(&projected, &[0.0; 4], &mut output, None);
/// for (output, input) in output.iter().zip([0.5_f32, 0.25]) {
///     assert!((output - input.tanh().tanh()).abs() < 1e-6);
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LstmSequences {
    /// Sequences.
    pub batch: usize,
    /// Steps of each.
    pub steps: usize,
    /// Units.
    pub hidden: usize,
}

/// What [`LstmSequences::backward`] needs of the forward pass.
#[derive(Debug, Clone, PartialEq)]
pub struct LstmMemory {
    /// The gates after their activations, `[batch, steps, 4 * hidden]`.
    gates: Vec<f32>,
    /// The contents of the cells, `[batch, steps, hidden]`.
    cells: Vec<f32>,
}

impl LstmSequences {
    /// Floats of `projected`.
    pub fn projected_len(&self) -> usize {
        4 * self.output_len()
    }

    /// Floats of the output.
    pub fn output_len(&self) -> usize {
        self.batch * self.steps * self.hidden
    }

    /// Memory for a pass with gradients.
    pub fn memory(&self) -> LstmMemory {
        LstmMemory { gates: vec![0.0; self.projected_len()], cells: vec![0.0; self.output_len()] }
    }

    /// Writes the hidden state after each step to `output`, `[batch, steps, hidden]`, and what the gradients need to `memory`.
    ///
    /// - projected: `[batch, steps, 4 * hidden]`
    /// - hidden_weights: `[4 * hidden, hidden]`
    ///
    /// # Panics
    /// A slice whose length is not that of its tensor.
    pub fn forward(
        &self,
        projected: &[f32],
        hidden_weights: &[f32],
        output: &mut [f32],
        memory: Option<&mut LstmMemory>,
    ) {
        let Self { steps, hidden, .. } = *self;
        self.check(projected, hidden_weights, output);
        if output.is_empty() {
            return;
        }
        let packed = Packed::new(hidden, 4 * hidden, |unit, gate| hidden_weights[gate * hidden + unit]);
        let sequence = steps * hidden;
        let run = |projected: &[f32], output: &mut [f32], kept: Option<[&mut [f32]; 2]>| {
            let rows = output.len() / sequence;
            with_buffer(rows * (packed.columns + hidden), |scratch| {
                let (gates, cells) = scratch.split_at_mut(rows * packed.columns);
                cells.fill(0.0);
                let job = Forward { packed: &packed, steps, hidden, projected, output, kept, gates, cells };
                pulp::Arch::new().dispatch(job);
            });
        };
        let groups =
            output.par_chunks_mut(TOGETHER * sequence).zip(projected.par_chunks(TOGETHER * 4 * sequence));
        match memory {
            None => groups.for_each(|(output, projected)| run(projected, output, None)),
            Some(LstmMemory { gates, cells }) => {
                assert_eq!([gates.len(), cells.len()], [self.projected_len(), self.output_len()], "memory");
                let kept = gates
                    .par_chunks_mut(TOGETHER * 4 * sequence)
                    .zip(cells.par_chunks_mut(TOGETHER * sequence));
                groups.zip(kept).for_each(|((output, projected), (gates, cells))| {
                    run(projected, output, Some([gates, cells]));
                });
            }
        }
    }

    /// The loss's gradient with respect to `projected`, from that with respect to the output. That with respect to the hidden weights
    /// is the sum over the steps of its product with the output of the step before.
    ///
    /// # Panics
    /// A slice whose length is not that of its tensor.
    pub fn backward(
        &self,
        hidden_weights: &[f32],
        memory: &LstmMemory,
        output_gradient: &[f32],
        projected_gradient: &mut [f32],
    ) {
        let Self { steps, hidden, .. } = *self;
        self.check(projected_gradient, hidden_weights, output_gradient);
        self.check(&memory.gates, hidden_weights, &memory.cells);
        if output_gradient.is_empty() {
            return;
        }
        let packed = Packed::new(4 * hidden, hidden, |gate, unit| hidden_weights[gate * hidden + unit]);
        let sequence = steps * hidden;
        projected_gradient
            .par_chunks_mut(TOGETHER * 4 * sequence)
            .zip(output_gradient.par_chunks(TOGETHER * sequence))
            .zip(memory.gates.par_chunks(TOGETHER * 4 * sequence))
            .zip(memory.cells.par_chunks(TOGETHER * sequence))
            .for_each(|(((out, gradient), gates), cells)| {
                let rows = gradient.len() / sequence;
                with_buffer(rows * (packed.columns + hidden), |scratch| {
                    let (from_later, of_cells) = scratch.split_at_mut(rows * packed.columns);
                    from_later.fill(0.0);
                    of_cells.fill(0.0);
                    let packed = &packed;
                    let job =
                        Backward { packed, steps, hidden, gradient, gates, cells, out, from_later, of_cells };
                    pulp::Arch::new().dispatch(job);
                });
            });
    }

    fn check(&self, projected: &[f32], hidden_weights: &[f32], output: &[f32]) {
        assert_eq!(hidden_weights.len(), 4 * self.hidden * self.hidden, "weights of the hidden state");
        assert_eq!(projected.len(), self.projected_len(), "products of the input");
        assert_eq!(output.len(), self.output_len(), "output");
    }
}

/// A matrix in the order in which [`Packed::times`] reads it: `[tiles, inner, VECTORS vectors]`, zeros behind the last column.
struct Packed {
    inner: usize,
    /// A multiple of the floats of a tile.
    columns: usize,
    values: Vec<f32>,
}

impl Packed {
    fn new(inner: usize, columns: usize, at: impl Fn(usize, usize) -> f32 + Sync) -> Self {
        struct Query;
        impl WithSimd for Query {
            type Output = usize;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> usize {
                VECTORS * S::F32_LANES
            }
        }
        let tile = pulp::Arch::new().dispatch(Query);
        let padded = columns.next_multiple_of(tile);
        let mut values = vec![0.0; inner * padded];
        values.par_chunks_mut(inner * tile).enumerate().for_each(|(place, values)| {
            for (row, values) in values.chunks_exact_mut(tile).enumerate() {
                for (value, column) in values.iter_mut().zip(place * tile..columns) {
                    *value = at(row, column);
                }
            }
        });
        Self { inner, columns: padded, values }
    }

    /// `out[row] = x[row] * matrix` for rows of `x` that lie `pitch` floats apart; rows of `out` have `columns` floats.
    #[inline(always)]
    fn times<S: Simd>(&self, simd: S, x: &[f32], pitch: usize, out: &mut [f32]) {
        let rows = out.len() / self.columns;
        let most = if S::REGISTER_COUNT >= 32 { TOGETHER } else { 2 };
        let tile = VECTORS * S::F32_LANES;
        for (place, matrix) in self.values.chunks_exact(self.inner * tile).enumerate() {
            let mut row = 0;
            while row < rows {
                let (x, out) = (&x[row * pitch..], &mut out[row * self.columns + place * tile..]);
                row += match (rows - row).min(most) {
                    1 => self.tile::<S, 1>(simd, matrix, x, pitch, out),
                    2 => self.tile::<S, 2>(simd, matrix, x, pitch, out),
                    3 => self.tile::<S, 3>(simd, matrix, x, pitch, out),
                    _ => self.tile::<S, TOGETHER>(simd, matrix, x, pitch, out),
                };
            }
        }
    }

    /// `ROWS x VECTORS` vectors of outputs, which all stay in registers. Returns `ROWS`.
    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize>(
        &self,
        simd: S,
        matrix: &[f32],
        x: &[f32],
        pitch: usize,
        out: &mut [f32],
    ) -> usize {
        let x: [&[f32]; ROWS] = std::array::from_fn(|row| &x[row * pitch..row * pitch + self.inner]);
        let (matrix, _) = S::as_simd_f32s(matrix);
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        for (k, matrix) in matrix.chunks_exact(VECTORS).enumerate() {
            for row in 0..ROWS {
                let x = simd.splat_f32s(x[row][k]);
                for v in 0..VECTORS {
                    sums[row][v] = simd.mul_add_e_f32s(x, matrix[v], sums[row][v]);
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            let at = row * self.columns;
            S::as_mut_simd_f32s(&mut out[at..at + VECTORS * S::F32_LANES]).0.copy_from_slice(sums);
        }
        ROWS
    }
}

/// The four gates of a row.
#[inline(always)]
fn four(gates: &[f32], hidden: usize) -> [&[f32]; 4] {
    std::array::from_fn(|gate| &gates[gate * hidden..(gate + 1) * hidden])
}

struct Forward<'a> {
    packed: &'a Packed,
    steps: usize,
    hidden: usize,
    projected: &'a [f32],
    output: &'a mut [f32],
    /// Gates and cells of all steps.
    kept: Option<[&'a mut [f32]; 2]>,
    /// Working memory, `[rows, packed.columns]`.
    gates: &'a mut [f32],
    /// Zeros, `[rows, hidden]`.
    cells: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { packed, steps, hidden, projected, output, mut kept, gates, cells } = self;
        gates.fill(0.0);
        for step in 0..steps {
            if let Some(before) = step.checked_sub(1) {
                packed.times(simd, &output[before * hidden..], steps * hidden, gates);
            }
            for (row, gates) in gates.chunks_exact_mut(packed.columns).enumerate() {
                let place = row * steps + step;
                let gates = &mut gates[..4 * hidden];
                let projected = &projected[place * 4 * hidden..][..4 * hidden];
                let (cells, output) =
                    (&mut cells[row * hidden..][..hidden], &mut output[place * hidden..][..hidden]);
                for (gate, projected) in gates.iter_mut().zip(projected) {
                    *gate += projected;
                }
                let content = 2 * hidden..3 * hidden;
                for gate in &mut gates[..content.start] {
                    *gate = sigmoid(*gate);
                }
                for gate in &mut gates[content.clone()] {
                    *gate = tanh(*gate);
                }
                for gate in &mut gates[content.end..] {
                    *gate = sigmoid(*gate);
                }
                let [input, forget, content, out] = four(gates, hidden);
                for unit in 0..hidden {
                    cells[unit] = forget[unit] * cells[unit] + input[unit] * content[unit];
                }
                for unit in 0..hidden {
                    output[unit] = out[unit] * tanh(cells[unit]);
                }
                if let Some([all_gates, all_cells]) = &mut kept {
                    all_gates[place * 4 * hidden..][..4 * hidden].copy_from_slice(gates);
                    all_cells[place * hidden..][..hidden].copy_from_slice(cells);
                }
            }
        }
    }
}

struct Backward<'a> {
    packed: &'a Packed,
    steps: usize,
    hidden: usize,
    gradient: &'a [f32],
    gates: &'a [f32],
    cells: &'a [f32],
    out: &'a mut [f32],
    /// Zeros: the part of the output's gradient that comes from the next step, `[rows, packed.columns]`.
    from_later: &'a mut [f32],
    /// Zeros: the gradient of the cells, `[rows, hidden]`.
    of_cells: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { packed, steps, hidden, gradient, gates, cells, out, from_later, of_cells } = self;
        for step in (0..steps).rev() {
            if step + 1 < steps {
                packed.times(simd, &out[(step + 1) * 4 * hidden..], steps * 4 * hidden, from_later);
            }
            for (row, from_later) in from_later.chunks_exact(packed.columns).enumerate() {
                let place = row * steps + step;
                let [input, forget, content, output] =
                    four(&gates[place * 4 * hidden..][..4 * hidden], hidden);
                let gradient = &gradient[place * hidden..][..hidden];
                let cell = &cells[place * hidden..][..hidden];
                let before = if step == 0 { None } else { Some(&cells[(place - 1) * hidden..][..hidden]) };
                let of_cells = &mut of_cells[row * hidden..][..hidden];
                let out = &mut out[place * 4 * hidden..][..4 * hidden];
                let (first, second) = out.split_at_mut(2 * hidden);
                let ((of_input, of_forget), (of_content, of_output)) =
                    (first.split_at_mut(hidden), second.split_at_mut(hidden));
                for unit in 0..hidden {
                    let seen = tanh(cell[unit]);
                    let of_hidden = gradient[unit] + from_later[unit];
                    let o = output[unit];
                    of_output[unit] = of_hidden * seen * o * (1.0 - o);
                    of_cells[unit] += of_hidden * o * (1.0 - seen * seen);
                }
                for unit in 0..hidden {
                    let (of_cell, i, g) = (of_cells[unit], input[unit], content[unit]);
                    of_input[unit] = of_cell * g * i * (1.0 - i);
                    of_content[unit] = of_cell * i * (1.0 - g * g);
                }
                match before {
                    None => of_forget.fill(0.0),
                    Some(before) => {
                        for unit in 0..hidden {
                            let f = forget[unit];
                            of_forget[unit] = of_cells[unit] * before[unit] * f * (1.0 - f);
                        }
                    }
                }
                for (of_cell, forget) in of_cells.iter_mut().zip(forget) {
                    *of_cell *= forget;
                }
            }
        }
    }
}
