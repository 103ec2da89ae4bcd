//! Working memory of one thread.

use crate::power_spectrum::FftScratch;

/// Buffers that a computation needs besides its output. One for each thread; it grows when first used and
/// serves any number of front ends. What it holds never influences a result.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The signal after waveform normalisation.
    pub(crate) waveform: Vec<f32>,
    /// The signal after pre-emphasis.
    pub(crate) emphasised: Vec<f32>,
    /// One row of features, for sliding CMN.
    pub(crate) row: Vec<f32>,
    /// Power spectra of a block of frames.
    pub(crate) block: Vec<f32>,
    pub(crate) single: FftScratch<f32>,
    pub(crate) double: FftScratch<f64>,
}

impl Scratch {
    /// Empty buffers; nothing is allocated yet.
    pub fn new() -> Self {
        Self::default()
    }
}
