#!/usr/bin/env bash
# Real speech: train on 125 speakers of speechocean762, verify 40 others.
#
#   recipes/speechocean762/run.sh --corpus DIR [--seed N] [--work DIR] [--stage N] [--stop-stage N]
#                                 [--set section.key=value ...]
#
# DIR is speechocean762 as published (OpenSLR SLR101, https://www.openslr.org/101/): it holds
# WAVE/SPEAKER0001/000010011.WAV and so on. A copy as flac/{train,dev}/0001/000010011.flac works too.
# The lists beside this script say which utterances are used: 125 training speakers x 12, 40 other speakers x 12
# with 2,640 target and 26,400 non-target trials.
#
# Stages: 1 data directories, 2 train, 3 extract, 4 score (untrained and trained; same-gender and cross-gender).
# Results of three seeds are in README.md beside this file.
set -euo pipefail

corpus=
stage=1
stop_stage=4
work=exp/speechocean762
seed=1
sets=()
while [ $# -gt 0 ]; do
    case $1 in
        --corpus) corpus=$2; shift 2 ;;
        --stage) stage=$2; shift 2 ;;
        --stop-stage) stop_stage=$2; shift 2 ;;
        --work) work=$2; shift 2 ;;
        --seed) seed=$2; shift 2 ;;
        --set) sets+=(--set "$2"); shift 2 ;;
        -h|--help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        *) echo "run.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
    esac
done
if [ -z "$corpus" ] || [ ! -d "$corpus" ]; then
    echo "run.sh: --corpus DIR is needed: download speechocean762 from https://www.openslr.org/101/ and unpack it" >&2
    exit 2
fi
corpus=$(cd "$corpus" && pwd)

cd "$(dirname "$0")/../.."
recipe=recipes/speechocean762
bin=${CARGO_TARGET_DIR:-target}/release
exp=$work/resnet34-seed$seed
run() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }

echo "Building the programs (the first time takes minutes)" >&2
cargo build --release --workspace --locked --quiet

if run 1; then
    echo "Stage 1: data directories in $work/data"
    for set in train dev; do
        data=$work/data/$set
        mkdir -p "$data"
        if [ -d "$corpus/WAVE" ]; then
            awk -v dir="$corpus" '{ print $1, dir "/WAVE/SPEAKER" $2 "/" $1 ".WAV" }' $recipe/lists/$set.utt2spk
        else
            awk -v dir="$corpus/flac/$set" '{ print $1, dir "/" $2 "/" $1 ".flac" }' $recipe/lists/$set.utt2spk
        fi > "$data/wav.scp"
        tr '\t' ' ' < $recipe/lists/$set.utt2spk > "$data/utt2spk"
        "$bin/ffsvc-data" utt2spk-to-spk2utt "$data/utt2spk" > "$data/spk2utt"
        "$bin/ffsvc-data" validate "$data"
    done
    gzip -dc $recipe/lists/trials_dev.gz > "$work/data/dev/trials"
    awk 'NR == FNR { gender[$1] = $2; next }
                    FILENAME ~ /utt2spk/ { speaker[$1] = $2; next }
                    gender[speaker[$2]] == gender[speaker[$3]]' \
        $recipe/lists/spk2gender "$work/data/dev/utt2spk" "$work/data/dev/trials" > "$work/data/dev/trials-same-gender"
    # Target trials are same-gender by nature; the cross-gender list has them all and the other non-targets.
    awk 'NR == FNR { gender[$1] = $2; next }
         FILENAME ~ /utt2spk/ { speaker[$1] = $2; next }
         $1 == 1 || gender[speaker[$2]] != gender[speaker[$3]]' \
        $recipe/lists/spk2gender "$work/data/dev/utt2spk" "$work/data/dev/trials" > "$work/data/dev/trials-cross-gender"
fi

if run 2; then
    echo "Stage 2: train $exp"
    resume=()
    [ -d "$exp/checkpoints" ] && [ -n "$(ls "$exp/checkpoints")" ] && resume=(--resume)
    begun=$SECONDS
    "$bin/ffsvc-train" $recipe/resnet34.toml "$exp" --set data.train="$work/data/train" \
        --set train.seed="$seed" ${sets[@]+"${sets[@]}"} ${resume[@]+"${resume[@]}"}
    # A resumed run cannot tell how long the first part took.
    [ ${#resume[@]} -gt 0 ] || echo $(((SECONDS - begun + 30) / 60)) > "$exp/minutes"
fi

if run 3; then
    echo "Stage 3: extract"
    for model in initial final; do
        "$bin/ffsvc-extract" --model "$exp/$model.safetensors" "$work/data/dev" "$exp/dev-$model.ark"
    done
fi

if run 4; then
    echo "Stage 4: score"
    printf '%-12s %-14s %8s %10s %10s %14s\n' network trials target nontarget EER 'minDCF(0.01)' | tee "$exp/results.txt"
    for model in initial final; do
        name=untrained
        [ $model = final ] && name=trained
        for trials in trials trials-same-gender trials-cross-gender; do
            "$bin/ffsvc-score" --trials "$work/data/dev/$trials" --embeddings "$exp/dev-$model.scp" \
                --report "$exp/result-$model-$trials.json" |
                awk -v name=$name -v list=$trials '/^counts/ { target = $4; nontarget = $6 }
                    /^EER/ { eer = $2 } /^minDCF.*P_target 0.01,/ { dcf = $2 }
                    END { sub(/^trials-?/, "", list); if (list == "") list = "all"
                          printf "%-12s %-14s %8d %10d %8.2f %% %14.4f\n", name, list, target, nontarget, eer, dcf }'
        done
    done | tee -a "$exp/results.txt"
    if [ -f "$exp/minutes" ]; then
        echo "training took $(cat "$exp/minutes") minutes" | tee -a "$exp/results.txt"
    fi
fi
