#![doc = include_str!("../README.md")]

mod activations;
mod batch_norm;
mod conv2d;
mod correlation;
mod dot_products;
mod epilogue;
mod int8;
mod lstm;
mod memory;
mod planes;
mod sequences;
mod winograd;

pub use batch_norm::{BatchNorm, BatchStatistics};
pub use conv2d::{Conv2d, PackedWeights};
pub use epilogue::Epilogue;
pub use int8::Int8Weights;
pub use lstm::{Lstm, LstmState};
pub use sequences::{LstmMemory, LstmSequences};
