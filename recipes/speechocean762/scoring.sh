#!/usr/bin/env bash
# What back ends make of the embeddings of one network: the table in README.md beside this file.
#
#   recipes/speechocean762/scoring.sh [--work DIR] [--seed N] [--augment] [--bin DIR] [--out DIR]
#
# After run.sh with --rooms and --noise and the same --work, --seed and --augment. Everything is made from the training speakers:
# their recordings as they are, and a copy in the rooms and noise that are for training (train-far). Of the speakers who
# are verified nothing is taken but, for the calibration, scores of others than those in the trial (20 folds of speakers).
# Prints for each way of scoring EER, minDCF(0.01) and, where scores are calibrated, actDCF(0.01).
set -euo pipefail

work=exp/speechocean762
seed=1
config=resnet34
network=trained
bin=${CARGO_TARGET_DIR:-target}/release
out=
while [ $# -gt 0 ]; do
    case $1 in
        --work) work=$2; shift 2 ;;
        --seed) seed=$2; shift 2 ;;
        --augment) config=resnet34-augmented network=rooms; shift ;;
        --bin) bin=$2; shift 2 ;;
        --out) out=$2; shift 2 ;;
        -h|--help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        *) echo "scoring.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
    esac
done
recipe=$(cd "$(dirname "$0")" && pwd)
exp=$work/$config-seed$seed
out=${out:-$exp/scoring}
data=$work/data
mkdir -p "$out"

if [ ! -e "$out/train-far.scp" ]; then
    if [ ! -e "$out/../train-far/wav.scp" ]; then
        "$bin/ffsvc-data" augment "$data/train" "$out/../train-far" --config "$recipe/far-field.toml" --seed 9 \
            --set augment.reverb.list="$data/lists/rooms-train" \
            --set augment.additive.noise.list="$data/lists/noise-train" >&2
    fi
    "$bin/ffsvc-extract" --model "$exp/final.safetensors" "$out/../train-far" "$out/train-far.ark" >&2
fi
if [ ! -e "$exp/train-final.scp" ]; then
    "$bin/ffsvc-extract" --model "$exp/final.safetensors" "$data/train" "$exp/train-final.ark" >&2
fi
train=$exp/train-final.scp
train_far=$out/train-far.scp

# Both conditions of the training speakers in one store: copies are named UTTERANCE-far.
awk '{ print $1 "-far", $2 }' "$train_far" | cat "$train" - > "$out/train-both.scp"
awk '{ print $1 "-far", $2 }' "$data/train/utt2spk" | cat "$data/train/utt2spk" - > "$out/train-both.utt2spk"

train_backend() { # name, store, utt2spk, more options
    "$bin/ffsvc-score" train-backend --embeddings "$2" --utt2spk "$3" --output "$out/$1.safetensors" "${@:4}"
}
lda=(--transform lda --lda-dim 64)
train_backend lda "$train" "$data/train/utt2spk" "${lda[@]}"
train_backend plda "$train" "$data/train/utt2spk" "${lda[@]}" --plda
train_backend plda-both "$out/train-both.scp" "$out/train-both.utt2spk" "${lda[@]}" --plda
"$bin/ffsvc-score" adapt-backend --backend "$out/plda.safetensors" --embeddings "$train_far" --output "$out/plda-adapted.safetensors"

figures() { # a report: EER in per cent and minDCF(0.01)
    awk '/^EER/ { eer = $2 } /^minDCF.*P_target 0.01,/ && !dcf { dcf = $2 } END { printf " %8.2f %8.4f", eer, dcf }'
}
row() { # name, options for clean trials, --, options for far-field trials
    local name=$1 clean=() far=()
    shift
    while [ "$1" != -- ]; do clean+=("$1"); shift; done
    shift
    far=("$@")
    printf '%-42s' "$name"
    "$bin/ffsvc-score" --trials "$data/dev/trials" --embeddings "$exp/dev-$network.scp" --scores-out "$out/clean.$name.scores" \
        ${clean[@]+"${clean[@]}"} 2> "$out/log" | figures
    "$bin/ffsvc-score" --trials "$data/dev/trials" --enrol-embeddings "$exp/dev-$network.scp" \
        --embeddings "$exp/dev-far-$network.scp" --scores-out "$out/far.$name.scores" ${far[@]+"${far[@]}"} 2> "$out/log" | figures
    echo
}
calibrated() { # name of a row: its scores of clean trials, calibrated on other speakers
    printf '%-42s' "$1, calibrated"
    "$bin/ffsvc-score" calibrate --trials "$data/dev/trials" --scores "$out/clean.$1.scores" \
        --output "$out/clean.$1.json" --p-target 0.01 --folds 20 --utt2spk "$data/dev/utt2spk" 2> "$out/log" |
        awk '/^calibrated / { printf " %8.2f %8.4f  actDCF %.4f\n", $2, $3, $4 }'
}

cohort=(--score-norm as-norm --cohort "$train")
mean=(--mean-subtract "$train")
mean_far=(--mean-subtract "$train_far" --enrol-mean-subtract "$train")
printf '%-42s %8s %8s %8s %8s\n' "$config, seed $seed" 'clean' minDCF 'far' minDCF
row cosine --
row mean "${mean[@]}" -- "${mean[@]}"
row mean-per-side "${mean[@]}" -- "${mean_far[@]}"
row as-norm "${mean[@]}" "${cohort[@]}" -- "${mean_far[@]}" "${cohort[@]}"
row lda --backend "$out/lda.safetensors" -- --backend "$out/lda.safetensors" "${mean_far[@]}"
row plda --backend "$out/plda.safetensors" -- --backend "$out/plda.safetensors" "${mean_far[@]}"
row plda-adapted --backend "$out/plda.safetensors" -- --backend "$out/plda-adapted.safetensors" "${mean_far[@]}"
row plda-both --backend "$out/plda-both.safetensors" "${mean[@]}" -- --backend "$out/plda-both.safetensors" "${mean_far[@]}"
calibrated cosine
calibrated as-norm
calibrated plda
