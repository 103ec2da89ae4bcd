//! Behaviour of the crate, against the baseline's own numbers where there are any.
#![recursion_limit = "256"]

mod batch_norm;
mod blocks;
mod checkpoint;
mod config;
mod evaluation;
mod freezing;
mod goldens;
mod gradients;
mod heads;
mod int8;
mod multiplications;
mod nemo;
mod onnx;
mod onnx_import;
mod padding;
mod pooling;
mod precision;
mod resemblyzer;
mod toolkits;
mod training;
mod wheel;
