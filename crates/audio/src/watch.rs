//! Where the time of a read goes.

/// What a read is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Opens the file, reads its header and its bytes, and takes packets out of their container.
    Read,
    /// Turns bytes into samples.
    Decode,
    /// Changes the sample rate, with the low-pass before it.
    Resample,
}

/// Told of every stage as it begins; the one before is then over. For programs that measure.
pub trait Watch {
    /// A stage begins.
    fn enter(&mut self, stage: Stage);
}

/// Nobody watches.
impl Watch for () {
    fn enter(&mut self, _: Stage) {}
}
