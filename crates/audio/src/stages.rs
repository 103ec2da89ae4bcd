//! The spans that tell a profiler or a benchmark where the time of a read goes. Without a subscriber for them, a span
//! costs one load of an atomic.

use tracing::span::EnteredSpan;

/// Opens the file, reads its header and its bytes, and takes packets out of their container.
pub(crate) fn read() -> EnteredSpan {
    tracing::trace_span!(target: "ffsvc_audio", "read").entered()
}

/// Turns bytes into samples.
pub(crate) fn decode() -> EnteredSpan {
    tracing::trace_span!(target: "ffsvc_audio", "decode").entered()
}

/// Changes the sample rate, with the low-pass before it.
pub(crate) fn resample() -> EnteredSpan {
    tracing::trace_span!(target: "ffsvc_audio", "resample").entered()
}
