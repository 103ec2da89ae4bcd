#!/usr/bin/env bash
# Builds all that run.sh runs, with CUDA, and puts it into one folder that can be carried to a machine with a GPU.
#
#   benches/gpu/build.sh [OUT]          OUT is target/gpu by default
#
# LLVM is where docs/accelerators.md says, or is downloaded by the build.
set -euo pipefail
out=$(realpath -m "${1:-target/gpu}")
cd "$(dirname "$0")/../.."

# One command for all: with other targets Cargo chooses other features of shared dependencies, and builds Burn twice. The
# test's file name has a hash, which the messages name.
messages=$(cargo build --release --locked --features cuda --message-format=json-render-diagnostics \
    --bin ffsvc-data --bin ffsvc-train --bin ffsvc-extract --bin ffsvc-score --example gpu_speed --test accelerators)
checks=$(sed -n 's/.*"executable":"\([^"]*accelerators-[^"]*\)".*/\1/p' <<<"$messages")
programs=${CARGO_TARGET_DIR:-target}/release
mkdir -p "$out"
cp "$programs"/ffsvc-{data,train,extract,score} "$programs/examples/gpu_speed" "$out/"
cp "$checks" "$out/accelerators"
strip "$out"/*
du -sh "$out"
