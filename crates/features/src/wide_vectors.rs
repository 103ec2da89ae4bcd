//! Loops compiled for the vectors that the processor has, not only for those that every processor has.

/// A computation worth compiling twice. Everything it calls in its loops has to be `#[inline(always)]`, or it stays
/// as it was compiled for every processor.
pub(crate) trait Kernel {
    /// Result of the computation.
    type Output;

    /// Runs it. Implementations are `#[inline(always)]`.
    fn run(self) -> Self::Output;
}

/// Runs the kernel in its widest form. Rust neither reorders nor fuses floating-point operations, so all forms
/// give the same bits.
#[inline]
pub(crate) fn run<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn with_avx2<K: Kernel>(kernel: K) -> K::Output {
            kernel.run()
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has just said that it knows these instructions.
            return unsafe { with_avx2(kernel) };
        }
    }
    kernel.run()
}
