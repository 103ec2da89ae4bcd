#!/usr/bin/env bash
# FFSVC2022, task 2 (semi-supervised): as task 1, but nobody says who speaks in the FFSVC2020 supplement. Clusters of its
# embeddings take the place of speakers, in rounds, each with the network of the one before.
#
#   recipes/ffsvc2022/task2/run.sh [--corpora DIR] [--model PRETRAINED.safetensors] [--work DIR]
#                                  [--rounds N] [--k N|FROM..TO:STEP|auto] [--k-factor F] [--keep-share S]
#                                  [--min-size N] [--no-groups | --cluster-near] [--quality]
#                                  [--stage N] [--stop-stage N] [--device DEVICE] [--set section.key=value ...]
#                                  [--pretrain-config TOML] [--finetune-config TOML]
#                                  [--voxceleb1 DIR] [--voxceleb2 DIR] [--supplement DIR] [--dev DIR] [--eval DIR]
#                                  [--musan DIR] [--rirs DIR] [--lists DIR]
#
# --corpora, --model and --set are those of ../task1/run.sh. What is missing is said before anything is done.
# --rounds, --k and so on are those of ../../task2_rounds.sh (default: at most 5 rounds, --k 10..200:10). Recordings of one
# utterance by several devices get one label; --no-groups, as in the baseline, does not tie them. --cluster-near clusters the
# recordings by the close-talking microphone and by telephones at 0.25 m alone, and the others of an utterance take their
# label: in small, on speechocean762, that made the clusters much purer. --quality compares clusters with the supplement's
# speakers for the table of rounds; nothing else looks at them.
#
# Stages: 1 data directories, 2 pre-train, 3 rounds (extract the supplement, cluster, label, combine, fine-tune, evaluate
# dev), 4 extract eval, 5 scores.txt of eval, zipped. Given again, the same command goes on where it was.
set -euo pipefail

root=$(cd "$(dirname "$0")/../../.." && pwd)
. "$root/recipes/ffsvc2022/corpora.sh"
work=exp/ffsvc2022-task2
finetune_config=configs/fine-tune-task2.toml
rounds=()
groups=yes
near=
quality=
while [ $# -gt 0 ]; do
    case $1 in
        --rounds | --k | --k-factor | --keep-share | --min-size)
            [ $# -gt 1 ] || { echo "run.sh: $1 needs a value" >&2; exit 2; }
            rounds+=("$1" "$2"); shift 2 ;;
        --no-groups) groups=; shift ;;
        --cluster-near) near=yes; shift ;;
        --quality) quality=yes; shift ;;
        *) shared_option "$@"; shift 2 ;;
    esac
done
begin
! run 1 || check_inputs
build

if run 1; then
    echo "Stage 1: data directories in $data"
    prepare_data
    prepare ffsvc2020 --unlabelled "$supplement" "$data/supplement"
    { awk '$2 == "MIC"' "$data/supplement/utt2device"; awk '$2 == "0.25M"' "$data/supplement/utt2distance"; } |
        awk '{ print $1 }' | LC_ALL=C sort > "$data/supplement-near"
    [ -z "$quality" ] || prepare ffsvc2020 "$supplement" "$data/supplement-speakers"
fi

if run 2; then
    echo "Stage 2: pre-train on VoxCeleb2"
    pretrain
fi

if run 3; then
    echo "Stage 3: rounds in $work/rounds"
    recipes/task2_rounds.sh --model "$(pretrained)" --config "$finetune_config" --bin "$bin" --device "$device" \
        --source "$data/vox2dev" --target "$data/supplement" --dev "$data/dev" --trials "$data/dev/trials" \
        --work "$work/rounds" ${rounds[@]+"${rounds[@]}"} \
        ${groups:+--group-by "$data/supplement/utt2group"} ${near:+--cluster-only "$data/supplement-near"} \
        ${quality:+--true-labels "$data/supplement-speakers/utt2spk"} \
        "${sounds[@]}" --set validation.data="$data/dev" --set validation.trials="$data/dev/trials" \
        ${sets[@]+"${sets[@]}"}
    cp "$work/rounds/rounds.txt" "$work/results.txt"
fi

if run 4 && [ -f "$data/eval/wav.scp" ]; then
    echo "Stage 4: extract the evaluation set"
    mkdir -p "$work/embeddings"
    extract "$work/rounds/best.safetensors" "$data/eval" "$work/embeddings/eval.ark"
fi

if run 5 && [ -f "$data/eval/wav.scp" ]; then
    echo "Stage 5: score the evaluation set"
    submit "$work/embeddings/eval.scp"
fi
