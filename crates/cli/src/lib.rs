#![doc = include_str!("../README.md")]

pub mod allocator;
pub mod config;
mod config_reference;
pub mod exit;
pub mod interrupt;
pub mod logging;
mod option_dump;
mod options_file;
pub mod output;
pub mod output_file;
pub mod program;
pub mod progress;
pub mod run_files;

pub use allocator::keep_freed_memory;
pub use config::{ConfigArgs, ConfigError, load_config, load_config_with};
pub use config_reference::config_reference;
pub use exit::{Failed, Interrupted, UsageError, run};
pub use logging::Logging;
pub use output::{command_line, print_json, write_json};
pub use output_file::{OutputFile, OutputPath};
pub use program::program;
pub use progress::Progress;
pub use run_files::{Findings, RunFiles};

pub use ffsvc_ranges::{Range, RangeArg, Span};
