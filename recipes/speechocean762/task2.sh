#!/usr/bin/env bash
# Task 2 of FFSVC2022 in small, on real speech: a network trained on 65 speakers of speechocean762 who speak close to the
# microphone goes on with 60 others in rooms and noise, whose labels nobody tells it.
#
#   recipes/speechocean762/task2.sh --corpus DIR --rooms DIR --noise DIR
#                                   [--seed N] [--rounds N] [--work DIR] [--stage N] [--stop-stage N]
#
# The folders are those of run.sh beside this script. Each of the 60 is recorded by three devices at once, one near and two far
# away, and it is known which recordings are of one utterance and which device is near, as in the challenge: the near ones are
# clustered, the others take their labels. The true labels are used twice, and neither time for the rounds: for NMI and purity in
# the table, and in stage 4 for fine-tunes with true labels, which no clustering can be expected to beat.
#
# Stages: 1 data directories, 2 pre-training on the 65, 3 rounds of clustering and fine-tuning, 4 for comparison fine-tunes with
# the true labels and on the 65 alone, 5 table. Given again, the same command goes on where it was. Results of three seeds
# are in README.md beside this file.
set -euo pipefail

corpus= rooms= noise= seed=1 rounds=3 work= stage=1 stop_stage=5
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
    # As in the FFSVC corpora, several devices record each target utterance: one near the speaker, two far away in simulated
    # rooms and in noise. The rooms and noises of the evaluation are heard in no training recording.
    rm -rf "$data"/target-devices-*
    for device in near far1 far2; do
        mkdir "$data/target-devices-$device"
        for table in wav.scp utt2spk; do
            awk -v device=$device '{ $1 = $1 "-" device; print }' "$data/target-close/$table" \
                > "$data/target-devices-$device/$table"
        done
        [ $device = near ] ||
            "$bin/ffsvc-data" augment "$data/target-devices-$device" "$data/target-devices-$device-rooms" --seed 11 \
                --config $recipe/far-field.toml --set augment.additive.noise.list="$data/lists/noise-train" \
                --set augment.reverb.simulated="{ share = 1.0, rooms = 1000 }"
    done
    "$bin/ffsvc-data" combine --shared-speakers -o "$data/target" \
        "$data/target-devices-near" "$data"/target-devices-far[12]-rooms
    awk '{ utterance = $1; sub(/-(near|far[12])$/, "", utterance); print $1, utterance }' "$data/target/utt2spk" \
        > "$data/target/utt2group"
    awk '{ print $1 }' "$data/target-devices-near/utt2spk" > "$data/target-near"
fi

if run 2; then
    echo "Stage 2: pre-training on the source speakers"
    resume=()
    [ -z "$(ls "$exp/source/checkpoints" 2> /dev/null)" ] || resume=(--resume)
    [ -f "$exp/source/final.safetensors" ] ||
        "$bin/ffsvc-train" $recipe/resnet34.toml "$exp/source" --set data.train="$data/source" \
            --set train.seed="$seed" ${resume[@]+"${resume[@]}"}
fi

if run 3; then
    echo "Stage 3: rounds of clustering and fine-tuning"
    recipes/task2_rounds.sh --bin "$bin" --work "$exp/rounds" --model "$exp/source/final.safetensors" \
        --config $recipe/task2-fine-tune.toml --source "$data/source" --target "$data/target" \
        --dev "$data/dev-far" --enrol-data "$data/dev" --trials "$data/dev/trials" --true-labels "$data/target/utt2spk" \
        --rounds "$rounds" --k 20..120:10 --criterion knee-cosine-per-utterance \
        --group-by "$data/target/utt2group" --cluster-only "$data/target-near" --k-factor 1.5 --keep-share 0.5 --min-size 4 \
        --set train.seed="$seed" "${sounds[@]}"
fi

# What the rounds are compared with: as many fine-tunes of as many steps, each going on from the one before, on the same
# recordings throughout: name, data directory, epochs of one.
without_clusters() {
    local round model=$exp/source/final.safetensors
    for round in $(seq "$rounds"); do
        local here=$exp/$1/round-$round
        local resume=(--init-from "$model" --head keep)
        [ -z "$(ls "$here/checkpoints" 2> /dev/null)" ] || resume=(--resume)
        model=$here/final.safetensors
        [ -f "$model" ] ||
            "$bin/ffsvc-train" $recipe/task2-fine-tune.toml "$here" --set data.train="$2" --set train.epochs="$3" \
                --set train.seed="$seed" "${sounds[@]}" "${resume[@]}"
        for set in dev dev-far; do
            [ -f "$here/$set.scp" ] || "$bin/ffsvc-extract" --model "$model" "$data/$set" "$here/$set.ark"
        done
        "$bin/ffsvc-score" --trials "$data/dev/trials" --enrol-embeddings "$here/dev.scp" \
            --embeddings "$here/dev-far.scp" --report-out "$here/dev.json" > "$here/dev.txt"
    done
}

if run 4; then
    echo "Stage 4: fine-tuning with the true labels of the target speakers, and on the source alone"
    rm -rf "$exp/true-labels-data"
    "$bin/ffsvc-data" combine "$data/source" "$data/target" -o "$exp/true-labels-data"
    # 5 epochs of 2,940 recordings and 19 of 780 are about as many steps as 9 of the 1,600 of a round.
    without_clusters true-labels "$exp/true-labels-data" 5
    without_clusters source-alone "$data/source" 19
fi

if run 5; then
    cat "$exp/rounds/rounds.txt"
    for labels in source-alone true-labels; do
        for round in $(seq "$rounds"); do
            report=$exp/$labels/round-$round/dev.json
            eer=$("$bin/ffsvc-data" value "$report" /metrics/eer --percent)
            dcf=$("$bin/ffsvc-data" value "$report" /metrics/min_dcf/0/cost --decimals 4)
            printf '%5s %-35s %16s %12s\n' "$round" "$labels" "$eer %" "$dcf"
        done
    done
fi
