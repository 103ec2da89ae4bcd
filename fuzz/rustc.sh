#!/usr/bin/env bash
# rustc as run.sh calls it: with the flags of cargo-fuzz, without a sanitizer, for the crates that parse.
set -euo pipefail
coverage=(
    --cfg fuzzing
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
)
# Build scripts and macros are programs of their own, without libFuzzer.
case " $* " in *" build_script_"* | *" proc-macro "*) exec "$@" ;; esac
case ${CARGO_PKG_NAME:-} in
    ffsvc-* | opus-pure | prost | pytorch-reader | safetensors | serde_json | symphonia* | toml* | winnow | zip) exec "$@" "${coverage[@]}" ;;
    *) exec "$@" ;;
esac
