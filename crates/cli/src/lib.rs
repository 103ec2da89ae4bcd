#![doc = include_str!("../README.md")]

pub mod allocator;
pub mod config;
pub mod exit;
pub mod interrupt;
pub mod logging;
pub mod options_file;
pub mod output;
pub mod progress;

pub use allocator::keep_freed_memory;
pub use config::{ConfigArgs, ConfigError, load_config};
pub use exit::{Failed, Interrupted, UsageError, run};
pub use logging::Logging;
pub use options_file::expand_options;
pub use output::print_json;
pub use progress::Progress;
