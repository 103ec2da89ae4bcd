#!/usr/bin/env bash
# VOiCES: error rates by room, distractor, microphone and distance, of a network that is there.
#
#   recipes/voices/run.sh --corpus VOiCES_devkit --model MODEL.safetensors [--distances distances.csv] [--set test]
#                         [--work DIR] [--nontargets N] [--stage N] [--stop-stage N] [--device DEVICE]
#
# --corpus is VOiCES_devkit or VOiCES_release as unpacked; it holds source-16k and distant-16k. --set is test (default) or train.
# --distances is distances.csv of recording_data.tar.gz. Without it there is no table by distance.
# Speakers enrol with what was played (source-16k). The tests are what the microphones heard of other sentences.
#
# The programs are built first, unless the environment variable FFSVC_BIN names the folder that has them.
#
# Stages: 1 data directory, 2 trials, 3 extract, 4 score. Given again, the same command goes on where it was.
set -euo pipefail

corpus=
model=
distances=
set=test
work=exp/voices
nontargets=100000
device=cpu
stage=1
stop_stage=4
while [ $# -gt 0 ]; do
    case $1 in
        -h|--help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        --corpus|--model|--distances|--set|--work|--nontargets|--device|--stage|--stop-stage)
            if [ $# -lt 2 ]; then
                echo "run.sh: $1 needs a value" >&2
                exit 2
            fi ;;
        *) echo "run.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
    esac
    name=${1#--}
    printf -v "${name//-/_}" %s "$2"
    shift 2
done
readme="README.md beside this script says where to get it"
for folder in "$corpus/source-16k/$set" "$corpus/distant-16k/speech/$set"; do
    if [ -z "$corpus" ] || [ ! -d "$folder" ]; then
        echo "run.sh: --corpus ${corpus:-DIR}: no folder $folder; $readme" >&2
        exit 2
    fi
done
for file in "$model" ${distances:+"$distances"}; do
    if [ ! -f "$file" ]; then
        echo "run.sh: ${file:---model FILE} is no file; $readme" >&2
        exit 2
    fi
done
# Paths as the caller means them, before the change of directory.
corpus=$(cd "$corpus" && pwd)
model=$(cd "$(dirname "$model")" && pwd)/$(basename "$model")
[ -z "$distances" ] || distances=$(cd "$(dirname "$distances")" && pwd)/$(basename "$distances")
[[ $work = /* ]] || work=$PWD/$work
case ${FFSVC_BIN:=} in ''|/*) ;; *) FFSVC_BIN=$PWD/$FFSVC_BIN ;; esac

cd "$(dirname "$0")/../.."
bin=${FFSVC_BIN:-${CARGO_TARGET_DIR:-target}/release}
[ -n "$FFSVC_BIN" ] || recipes/build.sh "$device"
data=$work/data/$set
exp=$work/$(basename "$model" .safetensors)-$set
run() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }

if run 1; then
    echo "Stage 1: data directory $data"
    "$bin/ffsvc-data" prepare voices "$corpus/source-16k/$set" "$corpus/distant-16k/speech/$set" "$data" --overwrite
    rm -f "$data/utt2distance"
    if [ -n "$distances" ]; then
        # Metres from the loudspeaker to the microphone. The columns are known by their names.
        awk -F, 'FNR == NR { split($0, field, " "); known[field[1]] = 1; next }
                 FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
                 { name = $column["query_name"]; sub(/^Lab41-SRI-VOiCES-/, "", name) }
                 name in known { printf "%s %.2f\n", name, $column["foreground"] * 0.0254 }' \
            "$data/utt2spk" <(tr -d '\r' < "$distances") | LC_ALL=C sort > "$data/utt2distance.new"
        if [ ! -s "$data/utt2distance.new" ]; then
            echo "run.sh: $distances has none of the recordings; expected the columns query_name and foreground" >&2
            exit 1
        fi
        mv "$data/utt2distance.new" "$data/utt2distance"
    fi
fi

if run 2; then
    echo "Stage 2: trials"
    # The enrolment and the test of a trial are of different sentences.
    "$bin/ffsvc-data" make-trials "$data" --enrol utt2room=src --test utt2room=rm1,rm2,rm3,rm4 --different utt2group \
        --nontargets "$nontargets" --output "$data/trials"
fi

if run 3; then
    echo "Stage 3: extract"
    mkdir -p "$exp"
    "$bin/ffsvc-extract" --model "$model" --device "$device" "$data" "$exp/embeddings.ark"
fi

if run 4; then
    echo "Stage 4: score"
    by=(--by "test:room=$data/utt2room" --by "test:noise=$data/utt2noise" --by "test:microphone=$data/utt2mic"
        --by "test:location=$data/utt2location")
    [ ! -f "$data/utt2distance" ] || by+=(--by "test:metres:1,2,3,4,6=$data/utt2distance")
    "$bin/ffsvc-score" --trials "$data/trials" --embeddings "$exp/embeddings.scp" --utt2spk "$data/utt2spk" \
        --bootstrap 1000 "${by[@]}" --scores-out "$exp/scores" --report-out "$exp/report.json" | tee "$exp/results.txt"
fi
