//! What the programs' allocator does with freed memory.

use libmimalloc_sys::{mi_option_set, mi_option_t};

/// `mi_option_purge_delay` of mimalloc.h, 2.x and 3.x.
const PURGE_DELAY: mi_option_t = 15;

/// Keeps freed memory in the process, where mimalloc is the allocator. By default it goes back to the system after a
/// second and must be requested again. Networks free and allocate the same hundreds of megabytes at every step, and the
/// system clears every page that it hands out. Peak memory stays the same.
pub fn keep_freed_memory() {
    // SAFETY: may be called at any time from any thread; it writes an entry of mimalloc's table of options.
    unsafe { mi_option_set(PURGE_DELAY, -1) }
}
