#!/usr/bin/env bash
# Builds the programs, with the feature that a device needs.
#
#   recipes/build.sh [DEVICE]     a value of --device, such as cuda:0; default: cpu
#
# The build with `cuda` downloads LLVM. No recipe has been run on a GPU yet.
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-cpu} in
    cuda*) features=(--features ffsvc/cuda) ;;
    wgpu*) features=(--features ffsvc/wgpu) ;;
    remote*) features=(--features ffsvc/remote) ;;
    *) features=() ;;
esac
echo "Building the programs (the first time takes minutes)" >&2
cargo build --release --workspace --locked --quiet ${features[@]+"${features[@]}"}
