#!/usr/bin/env bash
# The whole pipeline on a corpus of synthetic speakers, in a minute or two on two cores after the build:
# make the corpus, check it, train a small ResNet, extract embeddings, score the trials of unseen speakers
# with the untrained and the trained network.
#
#   recipes/mini/run.sh [--stage N] [--stop-stage N] [--work DIR] [--seed N] [--epochs N]
#
# What it should print is in README.md beside this file.
set -euo pipefail

stage=1
stop_stage=5
work=exp/mini
seed=1
epochs=
while [ $# -gt 0 ]; do
    case $1 in
        --stage) stage=$2; shift 2 ;;
        --stop-stage) stop_stage=$2; shift 2 ;;
        --work) work=$2; shift 2 ;;
        --seed) seed=$2; shift 2 ;;
        --epochs) epochs=$2; shift 2 ;;
        -h|--help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        *) echo "run.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
    esac
done

cd "$(dirname "$0")/../.."
recipe=recipes/mini
bin=${CARGO_TARGET_DIR:-target}/release
data=$work/data
run() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }

echo "Building the programs (the first time takes minutes)" >&2
cargo build --release --workspace --locked --quiet

if run 1; then
    echo "Stage 1: a corpus of synthetic speakers in $data"
    rm -rf "$data"
    "$bin/ffsvc-data" synth "$data" --seed "$seed"
fi

if run 2; then
    echo "Stage 2: check it"
    "$bin/ffsvc-data" validate "$data/train"
    "$bin/ffsvc-data" validate "$data/dev"
    "$bin/ffsvc-data" trials "$data/dev/trials"
fi

if run 3; then
    echo "Stage 3: train"
    rm -rf "$work/resnet"
    "$bin/ffsvc-train" $recipe/mini.toml "$work/resnet" \
        --set data.train="$data/train" --set train.seed="$seed" ${epochs:+--set train.epochs="$epochs"} \
        --set validation.data="$data/dev" --set validation.trials="$data/dev/trials"
fi

if run 4; then
    echo "Stage 4: extract embeddings of the unseen speakers"
    for model in initial final; do
        "$bin/ffsvc-extract" --model "$work/resnet/$model.safetensors" "$data/dev" "$work/resnet/dev-$model.ark"
    done
fi

if run 5; then
    echo "Stage 5: score"
    printf '%-12s %10s %14s\n' network EER 'minDCF(0.01)'
    for model in initial final; do
        name=untrained
        [ $model = final ] && name=trained
        "$bin/ffsvc-score" --trials "$data/dev/trials" --embeddings "$work/resnet/dev-$model.scp" \
            --scores-out "$work/resnet/scores-$model.txt" --report-out "$work/resnet/result-$model.json" |
            awk -v name=$name '/^EER/ { eer = $2 } /^minDCF.*P_target 0.01,/ { dcf = $2 }
                END { printf "%-12s %8.2f %% %14.4f\n", name, eer, dcf }'
    done
fi
