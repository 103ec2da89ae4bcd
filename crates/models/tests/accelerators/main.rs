//! The networks on Burn's CubeCL kernels, which accelerators run instead of our own for CPUs: against the baseline's values
//! and against the same networks on the processor. One device, by the features of this build:
//!
//! | feature | device |
//! | --- | --- |
//! | `cuda` | the first CUDA device |
//! | `wgpu` | the first that wgpu finds; Mesa's software device where there is no GPU |
//!
//! Every check prints its largest error: `-- --nocapture --test-threads 1`.
#![cfg(any(feature = "cuda", feature = "wgpu"))]
#![recursion_limit = "256"]

mod baseline;
mod processor;

#[allow(dead_code)]
#[path = "../models/goldens.rs"]
mod goldens;
#[allow(dead_code)]
#[path = "../models/gradients.rs"]
mod gradients;

use burn::tensor::Device;
use ffsvc_models::DeviceChoice;

/// The device under test.
fn device() -> Device {
    #[cfg(feature = "cuda")]
    let choice = DeviceChoice::Cuda(vec![0]);
    #[cfg(not(feature = "cuda"))]
    let choice = DeviceChoice::Wgpu(vec![0]);
    choice.open_one().unwrap()
}

/// Prints an error, and fails if it is not below the tolerance.
fn check(what: &str, error: f64, tolerance: f64) {
    println!("{what:<60} {error:.1e} of {tolerance:.0e}");
    assert!(error < tolerance, "{what}: {error:e}, expected less than {tolerance:e}");
}
