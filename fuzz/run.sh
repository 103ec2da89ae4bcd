#!/usr/bin/env bash
# Builds the fuzz targets with the stable toolchain, without cargo-fuzz and without a sanitizer, and runs them one after
# another.
#
#   fuzz/run.sh [seconds] [target ...]     default: 60 seconds of every target
#
# Inputs that were found worth keeping stay in fuzz/corpus, inputs that a target failed on in fuzz/artifacts. Prints a line a
# target, and exits with 1 if any failed.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
shift || true
with_networks="config model_file onnx_file torch_file"
all=$(for file in fuzz_targets/*.rs; do basename "$file" .rs; done)
targets=${*:-$all}

features=--no-default-features
bins=()
for target in $targets; do
    if [ ! -f "fuzz_targets/$target.rs" ]; then
        printf 'no target %s; there are: %s\n' "$target" "$(echo $all)" >&2
        exit 2
    fi
    case " $with_networks " in *" $target "*) features=--all-features ;; esac
    bins+=(--bin "$target")
done

# The versions of the programs: Cargo adds those of libFuzzer alone.
cp ../Cargo.lock .
RUSTC_WRAPPER=$PWD/rustc.sh CARGO_TARGET_DIR=target cargo build --release --quiet $features "${bins[@]}"

failed=0
table=$(printf '%-12s %12s %9s\n' target executions findings)
for target in $targets; do
    program=target/release/$target
    corpus=corpus/$target
    found=artifacts/$target
    mkdir -p "$corpus" "$found"
    ./seeds.sh "$target" "$program" "$corpus"
    before=$(ls "$found" | wc -l)
    log=$found.log
    # A longer input finds the same faults in more time; the longest seed is in.
    "$program" -max_total_time="$seconds" -max_len=32768 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$found/" "$corpus" > "$log" 2>&1 && status=0 || status=$?
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    findings=$(($(ls "$found" | wc -l) - before))
    if [ "$status" -ne 0 ]; then
        failed=1
        # A fault in the seeds, or one that was found before, writes no new file.
        [ "$findings" -gt 0 ] || findings=1
        tail -n 40 "$log"
    fi
    line=$(printf '%-12s %12s %9s' "$target" "${executions:-?}" "$findings")
    printf '%s\n' "$line"
    table+=$'\n'$line
done
printf '\n%s\n' "$table"
exit "$failed"
