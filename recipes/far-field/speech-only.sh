#!/usr/bin/env bash
# Is speech detection worth it? EER of CAM++ with and without the pauses, close to the microphone and far from it: the table in
# docs/data.md.
#
#   recipes/far-field/speech-only.sh --vad-model silero_vad_16k_op15.onnx [--work DIR] [--seeds 9]
#
# After run.sh with the same --work (stages 1 and 2: data directories, CAM++). Nothing is trained or chosen here: the detectors have
# their defaults. --seeds are draws of the evaluation's rooms and noises; 9 is that of run.sh. Environment: FFSVC_BIN as for run.sh.
set -euo pipefail

work=exp/far-field
vad_model=
seeds=9
while [ $# -gt 0 ]; do
    case $1 in
        -h|--help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        --work|--vad-model|--seeds)
            if [ $# -lt 2 ]; then
                echo "speech-only.sh: $1 needs a value" >&2
                exit 2
            fi ;;
        *) echo "speech-only.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
    esac
    case $1 in
        --work) work=$2 ;;
        --vad-model) vad_model=$2 ;;
        --seeds) seeds=$2 ;;
    esac
    shift 2
done
here=$(cd "$(dirname "$0")" && pwd)
bin=${FFSVC_BIN:-${CARGO_TARGET_DIR:-target}/release}
data=$work/data
model=$work/campplus/campplus.safetensors
exp=$work/speech-only
for file in "$vad_model" "$data/dev/wav.scp" "$data/lists/rooms-evaluation" "$model"; do
    if [ ! -f "$file" ]; then
        echo "speech-only.sh: ${file:---vad-model FILE} is no file; --vad-model is of the Python package silero-vad, the others are of run.sh" >&2
        exit 2
    fi
done
mkdir -p "$exp"

for seed in $seeds; do
    [ -f "$exp/far-$seed/wav.scp" ] || "$bin/ffsvc-data" augment "$data/dev" "$exp/far-$seed" --seed "$seed" \
        --config "$here/../speechocean762/far-field.toml" \
        --set augment.reverb.list="$data/lists/rooms-evaluation" \
        --set augment.additive.noise.list="$data/lists/noise-evaluation"
done

rules=(none noise-floor kaldi silero)
extract() { # data directory, name
    for rule in "${rules[@]}"; do
        local options=()
        [ "$rule" = none ] || options=(--speech-only "$rule")
        [ "$rule" != silero ] || options+=(--vad-model "$vad_model")
        # Recordings in which a detector finds nothing have no embedding, and their trials no score: counted below.
        "$bin/ffsvc-extract" --model "$model" "$1" "$exp/$2.$rule.ark" --allow-failures ${options[@]+"${options[@]}"}
    done
}
figures() { # test, rule: EER in per cent, scored trials
    "$bin/ffsvc-score" --trials "$data/dev/trials" --enrol-embeddings "$exp/close.$2.scp" --embeddings "$exp/$1.$2.scp" \
        --skip-missing --utt2spk "$data/dev/utt2spk" --bootstrap 1000 --report-out "$exp/$1.$2.json" > "$exp/text" 2> "$exp/log"
    awk '/^EER/ { eer = $2 } /^counts/ { trials = $2 } / skipped/ { skipped = $(NF - 1) }
         END { printf "%6.2f %% of %d trials\n", eer, trials - skipped }' "$exp/text"
}
for set in close $(printf 'far-%s ' $seeds); do
    folder=$exp/$set
    [ "$set" != close ] || folder=$data/dev
    extract "$folder" "$set" >&2
    for rule in "${rules[@]}"; do
        printf '%-8s %-12s %s\n' "$set" "$rule" "$(figures "$set" "$rule")"
    done
done | tee "$exp/results.txt"
