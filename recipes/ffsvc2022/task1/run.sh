#!/usr/bin/env bash
# FFSVC2022, task 1 (fully supervised): a network trained on VoxCeleb2 goes on with VoxCeleb2 and the FFSVC2020 supplement
# together, and is measured on the far-field dev trials.
#
#   recipes/ffsvc2022/task1/run.sh [--corpora DIR] [--model PRETRAINED.safetensors] [--work DIR]
#                                  [--stage N] [--stop-stage N] [--device DEVICE] [--set section.key=value ...]
#                                  [--pretrain-config TOML] [--finetune-config TOML]
#                                  [--voxceleb1 DIR] [--voxceleb2 DIR] [--supplement DIR] [--dev DIR] [--eval DIR]
#                                  [--musan DIR] [--rirs DIR] [--lists DIR]
#
# --corpora is a folder with all of them under the names that ../README.md has (default: corpora), which also says where each
# comes from. What is missing is said before anything is done. --model leaves the pre-training out. --set changes both
# trainings.
#
# Stages: 1 data directories, 2 pre-train, 3 combine, 4 fine-tune, 5 extract, 6 score dev, and scores.txt of eval, zipped.
# Given again, the same command goes on where it was; finished stages have nothing to do.
set -euo pipefail

root=$(cd "$(dirname "$0")/../../.." && pwd)
. "$root/recipes/ffsvc2022/corpora.sh"
work=exp/ffsvc2022-task1
finetune_config=configs/fine-tune-task1.toml
while [ $# -gt 0 ]; do
    shared_option "$@"
    shift 2
done
begin
! run 1 || check_inputs
build

if run 1; then
    echo "Stage 1: data directories in $data"
    prepare_data
    prepare ffsvc2020 "$supplement" "$data/supplement"
fi

if run 2; then
    echo "Stage 2: pre-train on VoxCeleb2"
    pretrain
fi

if run 3; then
    echo "Stage 3: VoxCeleb2 and the supplement together"
    [ -f "$data/combined/wav.scp" ] ||
        "$bin/ffsvc-data" combine "$data/vox2dev" "$data/supplement" -o "$data/combined"
fi

if run 4; then
    echo "Stage 4: fine-tune"
    initial=$(pretrained) train "$finetune_config" "$work/fine-tuned" --set data.train="$data/combined" \
        --set validation.data="$data/dev" --set validation.trials="$data/dev/trials"
fi

if run 5; then
    echo "Stage 5: extract"
    mkdir -p "$work/embeddings"
    extract "$(pretrained)" "$data/dev" "$work/embeddings/dev-pretrained.ark"
    extract "$work/fine-tuned/final.safetensors" "$data/dev" "$work/embeddings/dev-fine-tuned.ark"
    [ ! -f "$data/eval/wav.scp" ] ||
        extract "$work/fine-tuned/final.safetensors" "$data/eval" "$work/embeddings/eval.ark"
fi

if run 6; then
    echo "Stage 6: score"
    {
        printf '%-12s %10s %14s\n' network EER 'minDCF(0.01)'
        for network in pretrained fine-tuned; do
            score_dev $network "$work/embeddings/dev-$network.scp"
        done
    } | tee "$work/results.txt"
    [ ! -f "$work/embeddings/eval.scp" ] || submit "$work/embeddings/eval.scp"
fi
