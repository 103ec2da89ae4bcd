#!/usr/bin/env bash
# VoxCeleb: train on VoxCeleb2's dev set, verify on VoxCeleb1.
#
#   recipes/voxceleb/run.sh [--corpora DIR] [--config TOML] [--work DIR] [--stage N] [--stop-stage N]
#                           [--device DEVICE] [--set section.key=value ...]
#                           [--voxceleb1 DIR] [--voxceleb2 DIR] [--musan DIR] [--rirs DIR] [--lists DIR]
#
# --corpora is a folder that has VoxCeleb1, VoxCeleb2, musan, RIRS_NOISES and lists (default: corpora); README.md says where
# each comes from, and what is missing is said before anything is done. --lists has veri_test2.txt (Vox1-O, cleaned); other
# published lists beside it (veri_test, list_test_all, list_test_hard, and their cleaned forms) are scored too. E and H need
# VoxCeleb1's dev set beside its test set.
#
# It has been run on CPUs only; with --device cuda:0 the programs are built with CUDA.
#
# Stages: 1 data directories, 2 train, 3 extract, 4 score. Given again, the same command goes on where it was.
set -euo pipefail

corpora=corpora
voxceleb1=
voxceleb2=
musan=
rirs=
lists=
config=configs/resnet34.toml
work=exp/voxceleb
stage=1
stop_stage=4
device=cpu
sets=()
while [ $# -gt 0 ]; do
    case $1 in
        --corpora) corpora=$2; shift 2 ;;
        --voxceleb1) voxceleb1=$2; shift 2 ;;
        --voxceleb2) voxceleb2=$2; shift 2 ;;
        --musan) musan=$2; shift 2 ;;
        --rirs) rirs=$2; shift 2 ;;
        --lists) lists=$2; shift 2 ;;
        --config) config=$2; shift 2 ;;
        --work) work=$2; shift 2 ;;
        --stage) stage=$2; shift 2 ;;
        --stop-stage) stop_stage=$2; shift 2 ;;
        --device) device=$2; shift 2 ;;
        --set) sets+=(--set "$2"); shift 2 ;;
        -h|--help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        *) echo "run.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
    esac
done
voxceleb1=${voxceleb1:-$corpora/VoxCeleb1}
voxceleb2=${voxceleb2:-$corpora/VoxCeleb2/dev}
musan=${musan:-$corpora/musan}
rirs=${rirs:-$corpora/RIRS_NOISES}
lists=${lists:-$corpora/lists}
# Data directories hold paths of recordings, and training may be started from elsewhere.
for name in voxceleb1 voxceleb2 musan rirs lists; do
    [[ ${!name} = /* ]] || printf -v $name %s "$PWD/${!name}"
done
[ ! -f "$config" ] || [[ $config = /* ]] || config=$PWD/$config

cd "$(dirname "$0")/../.."
bin=${FFSVC_BIN:-${CARGO_TARGET_DIR:-target}/release}
data=$work/data
exp=$work/model
run() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }

missing=0
need() { # path, option, what it is and where it comes from
    [ -e "$1" ] && return
    echo "run.sh: $1 is missing (--$2): $3" >&2
    missing=1
}
if run 1; then
    site=https://www.robots.ox.ac.uk/~vgg/data/voxceleb
    need "$voxceleb1" voxceleb1 "VoxCeleb1, idNNNNN/VIDEO/NNNNN.wav ($site/)"
    need "$voxceleb2" voxceleb2 "VoxCeleb2's dev set, idNNNNN/VIDEO/NNNNN.m4a or .wav ($site/)"
    need "$lists/veri_test2.txt" lists "$site/meta/veri_test2.txt"
    need "$musan" musan "MUSAN (https://www.openslr.org/17/)"
    need "$rirs" rirs "RIRS_NOISES (https://www.openslr.org/28/)"
    need "$config" config "the configuration of the training"
    [ $missing = 0 ] || { echo "run.sh: nothing was done" >&2; exit 2; }
fi

mkdir -p "$work"
[ -n "${FFSVC_BIN:-}" ] || recipes/build.sh "$device"

if run 1; then
    echo "Stage 1: data directories in $data"
    if [ ! -f "$data/vox1/wav.scp" ]; then
        trials=()
        for list in veri_test veri_test2 list_test_all list_test_all2 list_test_hard list_test_hard2; do
            [ ! -f "$lists/$list.txt" ] || trials+=(--trials "$lists/$list.txt")
        done
        "$bin/ffsvc-data" prepare voxceleb1 "$voxceleb1" "$data/vox1" "${trials[@]}"
    fi
    [ -f "$data/vox2dev/wav.scp" ] || "$bin/ffsvc-data" prepare voxceleb2 "$voxceleb2" "$data/vox2dev"
    "$bin/ffsvc-data" prepare musan "$musan" "$data/lists" --overwrite
    "$bin/ffsvc-data" prepare rirs "$rirs" "$data/lists" --overwrite
fi

if run 2 && [ ! -f "$exp/final.safetensors" ]; then
    echo "Stage 2: train $exp"
    resume=()
    [ -z "$(ls "$exp/checkpoints" 2> /dev/null)" ] || resume=(--resume)
    "$bin/ffsvc-train" "$config" "$exp" --device "$device" ${resume[@]+"${resume[@]}"} \
        --set data.train="$data/vox2dev" \
        --set validation.data="$data/vox1" --set validation.trials="$data/vox1/trials_o_cleaned" \
        --set augment.additive.noise.list="$data/lists/musan_noise" \
        --set augment.additive.music.list="$data/lists/musan_music" \
        --set augment.reverb.list="$data/lists/rirs" ${sets[@]+"${sets[@]}"}
fi

if run 3; then
    echo "Stage 3: extract"
    [ -f "$exp/vox1.scp" ] ||
        "$bin/ffsvc-extract" --device "$device" --model "$exp/final.safetensors" "$data/vox1" "$exp/vox1.ark"
fi

if run 4; then
    echo "Stage 4: score"
    {
        printf '%-18s %10s %14s\n' trials EER 'minDCF(0.01)'
        for list in "$data"/vox1/trials_*; do
            name=${list##*/trials_}
            "$bin/ffsvc-score" --trials "$list" --embeddings "$exp/vox1.scp" --report-out "$exp/result-$name.json" |
                awk -v name="$name" '/^EER/ { eer = $2 } /^minDCF.*P_target 0.01,/ { dcf = $2 }
                    END { printf "%-18s %8.2f %% %14.4f\n", name, eer, dcf }'
        done
    } | tee "$exp/results.txt"
fi
