//! Stopping at a safe point: Ctrl-C and termination requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The exit status of a program that was interrupted, as shells number it (128 + SIGINT).
pub const EXIT_STATUS: i32 = 130;

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// A flag that the first SIGINT, SIGTERM or SIGHUP (Ctrl-C on Windows) sets, or SIGUSR1, which batch systems send some time
/// before they end a job. A second SIGINT, SIGTERM or SIGHUP ends the program at once with status 130; SIGUSR1 does not count,
/// because the SIGTERM that follows it is part of the same request.
///
/// The first call installs the handler; all calls give the same flag. A loop that can stop in good order
/// looks at the flag at the end of each step, writes its checkpoint and returns.
pub fn flag() -> Arc<AtomicBool> {
    Arc::clone(FLAG.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&flag);
        let seen = AtomicBool::new(false);
        #[cfg(unix)]
        if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&flag)) {
            tracing::warn!(
                "SIGUSR1 ends the program without a checkpoint: no handler can be installed: {error}"
            );
        }
        let installed = ctrlc::set_handler(move || {
            if seen.swap(true, Ordering::SeqCst) {
                std::process::exit(EXIT_STATUS);
            }
            set.store(true, Ordering::SeqCst);
            eprintln!("Interrupted: stopping at the next safe point (once more to stop at once).");
        });
        if let Err(error) = installed {
            tracing::warn!(
                "Ctrl-C ends the program without a checkpoint: no handler can be installed: {error}"
            );
        }
        flag
    }))
}
