//! Finds out which data are there, so that tests without theirs are ignored.

use std::path::Path;

/// A small file of `../shared`: Cargo looks at its date, where a folder would be searched through.
const SHARED: &str = "../../../shared/golden/README.md";
const CAMPPLUS: &str = "FFSVC_CAMPPLUS";
const SILERO: &str = "FFSVC_SILERO";
const RESEMBLYZER: &str = "FFSVC_RESEMBLYZER";
const REQUIRED: &str = "FFSVC_REQUIRE_DATA";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={REQUIRED}");
    for model in [CAMPPLUS, SILERO, RESEMBLYZER] {
        println!("cargo::rerun-if-env-changed={model}");
    }
    let is_required = std::env::var(REQUIRED).is_ok_and(|value| value == "1");
    let has_shared = Path::new(SHARED).exists();
    if has_shared {
        // A missing file would have this run at every build.
        println!("cargo::rerun-if-changed={SHARED}");
    }
    let is_set = |variable| std::env::var_os(variable).is_some();
    for (cfg, is_there) in [
        ("shared", has_shared),
        ("campplus", is_set(CAMPPLUS)),
        ("silero", is_set(SILERO)),
        ("resemblyzer", is_set(RESEMBLYZER)),
    ] {
        println!("cargo::rustc-check-cfg=cfg(ignore_{cfg})");
        if !is_there && !is_required {
            println!("cargo::rustc-cfg=ignore_{cfg}");
        }
    }
}
