//! Multi-query multi-head attentive statistics pooling (MQMHA), [Zhao et al. 2021](https://arxiv.org/abs/2110.05042), in the form of
//! WeSpeaker's `MQMHASTP`.

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::tensor::{Device, Tensor};

use super::weighted::weighted_statistics;
use crate::blocks::Pieces;
use crate::convolution::conv1d;

/// Attentions that look at the same rows.
pub(crate) const QUERIES: usize = 2;
/// Groups of rows, each with attentions of its own.
pub(crate) const HEADS: usize = 8;
/// Hidden size of each attention.
const ATTENTION_DIM: usize = 64;
/// Floor of the weighted variance (WeSpeaker's value).
pub(crate) const VARIANCE_FLOOR: f64 = 1e-7;

/// Rows in eight groups; two attentions for each group, which see the group at the frame alone: `w = softmax_t(V tanh(W h_t + b) +
/// k)`, then weighted mean and standard deviation.
#[derive(Module, Debug)]
pub struct MultiQueryAttention {
    n_query: Vec<Query>,
}

/// One attention for each group.
#[derive(Module, Debug)]
struct Query {
    heads_att_trans: Vec<Attention>,
}

/// The attention of a group.
#[derive(Module, Debug)]
struct Attention {
    att_0: Conv1d,
    att_1: Conv1d,
}

impl MultiQueryAttention {
    /// Over `rows`, a multiple of 8.
    pub fn new(rows: usize, device: &Device) -> Self {
        let size = rows / HEADS;
        let attention = |_| Attention {
            att_0: Conv1dConfig::new(size, ATTENTION_DIM, 1).init(device),
            att_1: Conv1dConfig::new(ATTENTION_DIM, size, 1).init(device),
        };
        let query = |_| Query { heads_att_trans: (0..HEADS).map(attention).collect() };
        Self { n_query: (0..QUERIES).map(query).collect() }
    }

    /// Values that come from `rows`.
    pub(super) fn output_size(rows: usize) -> usize {
        QUERIES * 2 * rows
    }

    /// # Shapes
    /// - input: `[batch, rows, frames]`
    /// - output: `[batch, 4 * rows]`: for each query and each group its means, then its deviations
    pub fn forward(&self, input: Tensor<3>) -> Tensor<2> {
        self.forward_pieces(vec![input])
    }

    /// As [`forward`](Self::forward), of a sequence in pieces along time.
    pub(crate) fn forward_pieces(&self, pieces: Pieces) -> Tensor<2> {
        let size = |piece: &Tensor<3>| piece.dims()[1] / HEADS;
        let group = |head: usize| -> Pieces {
            pieces.iter().map(|piece| piece.clone().narrow(1, head * size(piece), size(piece))).collect()
        };
        let of_query = |query: &Query| -> Vec<Tensor<2>> {
            let heads = query.heads_att_trans.iter().enumerate();
            heads.map(|(head, attention)| attention.forward(group(head))).collect()
        };
        Tensor::cat(self.n_query.iter().flat_map(of_query).collect(), 1)
    }
}

impl Attention {
    fn forward(&self, group: Pieces) -> Tensor<2> {
        let logits = |piece| conv1d(&self.att_1, conv1d(&self.att_0, piece).tanh());
        weighted_statistics(group, logits, VARIANCE_FLOOR)
    }
}
