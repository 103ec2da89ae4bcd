# What the recipes of both tasks share: paths, the check of inputs, data directories, pre-training, scoring. Sourced.

# A folder with the corpora as unpacked, under the names in `begin`; README.md beside this file says where each comes from.
corpora=corpora
voxceleb1= voxceleb2= supplement= dev= eval= musan= rirs= lists=

stage=1
stop_stage=6
model=
device=cpu
pretrain_config=configs/resnet34.toml
sets=()

# One option that both recipes have, with its value.
shared_option() {
    case $1 in
        --corpora | --voxceleb1 | --voxceleb2 | --supplement | --dev | --eval | --musan | --rirs | --lists | --model) ;;
        --pretrain-config | --finetune-config | --work | --stage | --stop-stage | --device | --set) ;;
        -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        *) echo "run.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
    esac
    [ $# -gt 1 ] || { echo "run.sh: $1 needs a value" >&2; exit 2; }
    local name=${1#--}
    if [ "$name" = set ]; then
        sets+=(--set "$2")
    else
        printf -v "${name//-/_}" %s "$2"
    fi
}

run() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }

# Settles the paths and goes to the root of the repository. Data directories hold paths of recordings, and training may be
# started from elsewhere, so they are absolute.
begin() {
    : "${voxceleb1:=$corpora/VoxCeleb1/test}" "${voxceleb2:=$corpora/VoxCeleb2/dev}"
    : "${supplement:=$corpora/FFSVC2020_supplement}"
    : "${dev:=$corpora/FFSVC2022/dev}" "${eval:=$corpora/FFSVC2022/eval}"
    : "${musan:=$corpora/musan}" "${rirs:=$corpora/RIRS_NOISES}" "${lists:=$corpora/lists}"
    local name
    for name in voxceleb1 voxceleb2 supplement dev eval musan rirs lists model; do
        [ -z "${!name}" ] || [[ ${!name} = /* ]] || printf -v $name %s "$PWD/${!name}"
    done
    # Configurations may be named from here or from the root.
    for name in pretrain_config finetune_config; do
        [ ! -f "${!name}" ] || [[ ${!name} = /* ]] || printf -v $name %s "$PWD/${!name}"
    done
    cd "$root"
    bin=${FFSVC_BIN:-${CARGO_TARGET_DIR:-target}/release}
    data=$work/data
    # Settings of every training.
    sounds=(--set augment.additive.noise.list="$data/lists/musan_noise"
        --set augment.additive.music.list="$data/lists/musan_music" --set augment.reverb.list="$data/lists/rirs")
}

# Notes a missing file or folder: path, option, what it is and where it comes from.
missing=0
need() {
    [ -e "$1" ] && return
    printf 'run.sh: %s is missing (--%s): %s\n' "$1" "$2" "$3" >&2
    missing=1
}

check_inputs() {
    if [ -z "$model" ]; then
        need "$voxceleb1" voxceleb1 "VoxCeleb1's test set, idNNNNN/VIDEO/NNNNN.wav (vox1_test_wav.zip of
    https://www.robots.ox.ac.uk/~vgg/data/voxceleb/); pre-training is watched on it. Not needed with --model"
        need "$lists/veri_test2.txt" lists "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/meta/veri_test2.txt"
        need "$pretrain_config" pretrain-config "the configuration of the pre-training"
    else
        need "$model" model "the pre-trained model"
    fi
    need "$voxceleb2" voxceleb2 "VoxCeleb2's dev set, idNNNNN/VIDEO/NNNNN.m4a or .wav
    (https://www.robots.ox.ac.uk/~vgg/data/voxceleb/)"
    need "$supplement" supplement "FFSVC2020's supplement, the three visits in one folder
    (https://zenodo.org/records/6465819, 6462609 and 6465833, on request)"
    need "$dev" dev "FFSVC2022's development recordings (https://zenodo.org/records/6466068, on request)"
    local list
    for list in dev_meta_list trials_dev_keys; do
        need "$lists/$list" lists "https://ffsvc.github.io/assets/ffsvc2022/$list"
    done
    [ ! -e "$eval" ] || need "$lists/trials_eval" lists "https://ffsvc.github.io/assets/ffsvc2022/trials_eval"
    need "$musan" musan "MUSAN (https://www.openslr.org/17/)"
    need "$rirs" rirs "RIRS_NOISES (https://www.openslr.org/28/)"
    need "$finetune_config" finetune-config "the configuration of the fine-tune"
    if [ -e "$eval" ] && ! command -v zip > /dev/null; then
        echo "run.sh: the program zip is missing: the scores of the evaluation set are submitted in a zip archive" >&2
        missing=1
    fi
    if [ -n "${FFSVC_BIN:-}" ] && [ ! -x "$FFSVC_BIN/ffsvc-train" ]; then
        echo "run.sh: FFSVC_BIN=$FFSVC_BIN has no ffsvc-train" >&2
        missing=1
    fi
    [ $missing = 0 ] || { echo "run.sh: nothing was done" >&2; exit 2; }
    [ -e "$eval" ] || echo "run.sh: $eval is missing (--eval): the evaluation set is left out" >&2
}

build() {
    mkdir -p "$work"
    [ -n "${FFSVC_BIN:-}" ] || recipes/build.sh "$device"
}

# A data directory that is there is taken as it is: remove it to make it anew.
prepare() { # corpus, options ..., the last of them the directory
    local out=${*: -1}
    [ -f "$out/wav.scp" ] || "$bin/ffsvc-data" prepare "$@"
}

# The directories of both tasks; the supplement's is each recipe's own.
prepare_data() {
    if [ -z "$model" ]; then
        prepare voxceleb1 --trials="$lists/veri_test2.txt" "$voxceleb1" "$data/vox1-o"
    fi
    prepare voxceleb2 "$voxceleb2" "$data/vox2dev"
    prepare ffsvc2022-dev --meta "$lists/dev_meta_list" --trials "$lists/trials_dev_keys" "$dev" "$data/dev"
    [ ! -e "$eval" ] || prepare ffsvc2022-eval --trials "$lists/trials_eval" "$eval" "$data/eval"
    "$bin/ffsvc-data" prepare musan "$musan" "$data/lists" --overwrite
    "$bin/ffsvc-data" prepare rirs "$rirs" "$data/lists" --overwrite
}

# Trains, or goes on where training was interrupted: configuration, folder, options; the model to start from is in
# `initial`. Nothing to do once it is finished.
train() {
    [ ! -f "$2/final.safetensors" ] || return 0
    local beginning=()
    [ -z "$initial" ] || beginning=(--init-from "$initial")
    [ -z "$(ls "$2/checkpoints" 2> /dev/null)" ] || beginning=(--resume)
    "$bin/ffsvc-train" "$1" "$2" --device "$device" ${beginning[@]+"${beginning[@]}"} "${sounds[@]}" "${@:3}" \
        ${sets[@]+"${sets[@]}"}
}

pretrain() {
    if [ -n "$model" ]; then
        echo "Pre-training is left out: $model"
    else
        initial='' train "$pretrain_config" "$work/pretrained" --set data.train="$data/vox2dev" \
            --set validation.data="$data/vox1-o" --set validation.trials="$data/vox1-o/trials_o_cleaned"
        model=$work/pretrained/final.safetensors
    fi
}

# The pre-trained model, in stages after its training.
pretrained() { echo "${model:-$work/pretrained/final.safetensors}"; }

# Embeddings: model, data directory, store.
extract() {
    [ -f "${3%.ark}.scp" ] || "$bin/ffsvc-extract" --device "$device" --model "$1" "$2" "$3"
}

# EER and minDCF of the dev trials: name, store.
score_dev() {
    "$bin/ffsvc-score" --trials "$data/dev/trials" --embeddings "$2" --report-out "$work/result-$1.json" |
        awk -v name="$1" '/^EER/ { eer = $2 } /^minDCF.*P_target 0.01,/ { dcf = $2 }
            END { printf "%-12s %8.2f %% %14.4f\n", name, eer, dcf }'
}

# scores.txt of the evaluation trials, and its archive: store.
submit() {
    "$bin/ffsvc-score" --trials "$data/eval/trials" --embeddings "$1" --ffsvc-scores-out "$work/scores.txt"
    rm -f "$work/scores.zip"
    zip -q -j "$work/scores.zip" "$work/scores.txt"
    echo "$work/scores.zip: $(wc -l < "$work/scores.txt") scores to submit"
}
