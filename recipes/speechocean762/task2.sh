#!/usr/bin/env bash
# Task 2 of FFSVC2022 in small, on real speech: a network trained on 65 speakers of speechocean762 who speak close to the
# microphone goes on with 60 others in rooms and noise, whose labels nobody tells it.
#
#   recipes/speechocean762/task2.sh --corpus DIR --rooms DIR --noise DIR
#                                   [--seed N] [--rounds N] [--work DIR] [--stage N] [--stop-stage N]
#
# The folders are those of run.sh beside this script. The labels of the 60 are used twice, and neither time for the rounds: for
# NMI and purity in the table, and in stage 4 for the fine-tune with true labels, which no clustering can be expected to beat.
#
# Stages: 1 data directories, 2 pre-training on the 65, 3 rounds of clustering and fine-tuning, 4 fine-tuning with the true
# labels, 5 table. Results of three seeds are in README.md beside this file.
set -euo pipefail

corpus= rooms= noise= seed=1 rounds=4 work= stage=1 stop_stage=5
while [ $# -gt 0 ]; do
    case $1 in
        --corpus) corpus=$2; shift 2 ;;
        --rooms) rooms=$2; shift 2 ;;
        --noise) noise=$2; shift 2 ;;
        --seed) seed=$2; shift 2 ;;
        --rounds) rounds=$2; shift 2 ;;
        --work) work=$2; shift 2 ;;
        --stage) stage=$2; shift 2 ;;
        --stop-stage) stop_stage=$2; shift 2 ;;
        -h|--help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        *) echo "task2.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
    esac
done
for option in corpus rooms noise; do
    if [ -z "${!option}" ] || [ ! -d "${!option}" ]; then
        echo "task2.sh: --$option DIR is needed: README.md beside this script says where to get it" >&2
        exit 2
    fi
done
corpus=$(cd "$corpus" && pwd)
rooms=$(cd "$rooms" && pwd)
noise=$(cd "$noise" && pwd)

cd "$(dirname "$0")/../.."
recipe=recipes/speechocean762
bin=${FFSVC_BIN:-${CARGO_TARGET_DIR:-target}/release}
work=${work:-exp/speechocean762-task2}
data=$work/data
exp=$work/seed$seed
run() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }
sounds=(--set augment.reverb.list="$data/lists/rooms-train" --set augment.additive.noise.list="$data/lists/noise-train")

if run 1; then
    echo "Stage 1: data directories in $data"
    # train, dev, dev-far and the lists of sounds, and a build of the programs where there is none.
    $recipe/run.sh --corpus "$corpus" --rooms "$rooms" --noise "$noise" --work "$work" --stop-stage 1
    # Every other of the first 120 speakers, and the last five, are the source: both domains have children and adults.
    awk 'NR > 120 || NR % 2 == 1 { print $1 }' "$data/train/spk2utt" > "$data/source-speakers"
    awk 'NR <= 120 && NR % 2 == 0 { print $1 }' "$data/train/spk2utt" > "$data/target-speakers"
    for domain in source target; do
        rm -rf "$data/$domain" "$data/$domain-close"
        "$bin/ffsvc-data" subset "$data/train" --speakers "$data/$domain-speakers" -o "$data/$domain-close"
    done
    mv "$data/source-close" "$data/source"
    # The rooms and noises of the evaluation are heard in no training recording.
    "$bin/ffsvc-data" augment "$data/target-close" "$data/target" --config $recipe/far-field.toml --seed 11 \
        "${sounds[@]}"
fi

if run 2; then
    echo "Stage 2: pre-training on the source speakers"
    resume=()
    [ -z "$(ls "$exp/source/checkpoints" 2> /dev/null)" ] || resume=(--resume)
    [ -f "$exp/source/final.safetensors" ] ||
        "$bin/ffsvc-train" $recipe/resnet34-augmented.toml "$exp/source" --set data.train="$data/source" \
            --set train.seed="$seed" "${sounds[@]}" ${resume[@]+"${resume[@]}"}
fi

if run 3; then
    echo "Stage 3: rounds of clustering and fine-tuning"
    recipes/task2_rounds.sh --bin "$bin" --work "$exp/rounds" --model "$exp/source/final.safetensors" \
        --config $recipe/task2-fine-tune.toml --source "$data/source" --target "$data/target" \
        --dev "$data/dev-far" --enrol-data "$data/dev" --trials "$data/dev/trials" --true-labels "$data/target/utt2spk" \
        --rounds "$rounds" --k-from 20 --k-to 120 --k-step 10 --keep-share 0.8 --min-size 4 \
        --set train.seed="$seed" "${sounds[@]}"
fi

if run 4; then
    echo "Stage 4: fine-tuning with the true labels of the target speakers"
    "$bin/ffsvc-data" combine "$data/source" "$data/target" -o "$exp/true-labels-data"
    resume=(--init-from "$exp/source/final.safetensors" --head keep)
    [ -z "$(ls "$exp/true-labels/checkpoints" 2> /dev/null)" ] || resume=(--resume)
    [ -f "$exp/true-labels/final.safetensors" ] ||
        "$bin/ffsvc-train" $recipe/task2-fine-tune.toml "$exp/true-labels" --set data.train="$exp/true-labels-data" \
            --set train.seed="$seed" "${sounds[@]}" "${resume[@]}"
    for set in dev dev-far; do
        "$bin/ffsvc-extract" --model "$exp/true-labels/final.safetensors" "$data/$set" "$exp/true-labels/$set.ark"
    done
    "$bin/ffsvc-score" --trials "$data/dev/trials" --enrol-embeddings "$exp/true-labels/dev.scp" \
        --embeddings "$exp/true-labels/dev-far.scp" > "$exp/true-labels/dev.txt"
fi

if run 5; then
    cat "$exp/rounds/rounds.txt"
    awk '/^EER/ && !eer { eer = $2 } /^minDCF.*P_target 0.01,/ && !dcf { dcf = $2 }
         END { printf "%5s %6s %7s %7s %7s %9s %12s\n", "true", 60, "100 %", 1, 1, eer " %", dcf }' "$exp/true-labels/dev.txt"
fi
