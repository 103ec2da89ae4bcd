//! Working memory that is kept by each thread.

use std::cell::Cell;

thread_local! {
    static KEPT: Cell<Vec<Vec<f32>>> = const { Cell::new(Vec::new()) };
}

/// Buffers that a thread keeps; more are freed.
const MAX_KEPT: usize = 8;

/// Runs `work` with a buffer of `len` floats whose contents are unspecified. Calls may nest, as they do when a
/// thread that waits for its part of a loop takes up another part.
pub(crate) fn with_buffer<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = KEPT.with(|kept| {
        let mut buffers = kept.take();
        let buffer = buffers.pop().unwrap_or_default();
        kept.set(buffers);
        buffer
    });
    if buffer.len() < len {
        // What is in it need not be moved.
        buffer.clear();
        buffer.resize(len, 0.0);
    }
    let result = work(&mut buffer[..len]);
    KEPT.with(|kept| {
        let mut buffers = kept.take();
        if buffers.len() < MAX_KEPT {
            buffers.push(buffer);
        }
        kept.set(buffers);
    });
    result
}
