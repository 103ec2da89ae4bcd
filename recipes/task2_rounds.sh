#!/usr/bin/env bash
# Semi-supervised adaptation in rounds (FFSVC2022, task 2): cluster the embeddings of unlabelled recordings, take the clusters
# as speakers, fine-tune on them together with the labelled ones, and again with the better network, until the error on the dev
# trials stops falling.
#
#   recipes/task2_rounds.sh --model MODEL --config FINETUNE.toml --source DIR --target DIR --dev DIR --trials FILE --work DIR
#
# --model       pre-trained model, the network of round 0
# --config      configuration of each fine-tune; its data.train is replaced
# --source      data directory with labels, on which the model was trained
# --target      data directory without labels (its utt2spk is not looked at)
# --dev         data directory of the dev trials; --enrol-data DIR if the enrolment recordings are in another
# --trials      dev trials with labels: they decide when to stop, nothing else
# --work        folder for everything that is made: round-1/, round-2/, ..., rounds.txt
# --rounds N    at most so many rounds (default 5)
# --k K         number of clusters: one number, a range FROM..TO:STEP or auto, as ffsvc-cluster kmeans has it (default
#               10..200:10: each is tried, and the one taken that --criterion of ffsvc-cluster proposes)
# --criterion C, --k-factor F, --keep-share S (0.8), --min-size N (2), --group-by UTT2GROUP   see ffsvc-cluster kmeans and
#               labels
# --cluster-only UTTERANCES   cluster these target recordings alone, those made close to the speakers for instance; the
#               others take the labels of their groups (--group-by)
# --source-share S   share of the labelled recordings in each batch (default: all recordings alike, as the baseline)
# --true-labels UTT2SPK   speakers of the target recordings, for the table alone: NMI and purity of the clusters, of all
#               clustered recordings, and purity of those that are kept
# --head WHAT   rows of the classifier in a fine-tune, as --head of ffsvc-train has it (keep: new pseudo-speakers begin at random;
#               centres: at their mean embeddings)
# --mean-subtract   score with the mean of the target embeddings subtracted (no labels needed)
# --bin DIR     the programs (default target/release); --device DEVICE; --set section.key=value for the fine-tunes
#
# Given again, the same command goes on where it was interrupted, at any stage of any round. With other options it is refused:
# what is there was made with the old ones.
#
# The error on the dev trials chooses the round, so that of the best round is an optimistic one.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
bin=${FFSVC_BIN:-${CARGO_TARGET_DIR:-$root/target}/release}
model= config= source= target= dev= enrol= trials= work= true_labels= group= chosen= criterion= source_share= mean= device=cpu head=keep
rounds=5 k=10..200:10 k_factor= keep_share=0.8 min_size=2
sets=()
given="$*"
while [ $# -gt 0 ]; do
    case $1 in
        --model) model=$2; shift 2 ;;
        --config) config=$2; shift 2 ;;
        --source) source=$2; shift 2 ;;
        --target) target=$2; shift 2 ;;
        --dev) dev=$2; shift 2 ;;
        --enrol-data) enrol=$2; shift 2 ;;
        --trials) trials=$2; shift 2 ;;
        --work) work=$2; shift 2 ;;
        --rounds) rounds=$2; shift 2 ;;
        --k) k=$2; shift 2 ;;
        --k-factor) k_factor=$2; shift 2 ;;
        --criterion) criterion=$2; shift 2 ;;
        --keep-share) keep_share=$2; shift 2 ;;
        --min-size) min_size=$2; shift 2 ;;
        --group-by) group=$2; shift 2 ;;
        --cluster-only) chosen=$2; shift 2 ;;
        --source-share) source_share=$2; shift 2 ;;
        --true-labels) true_labels=$2; shift 2 ;;
        --head) head=$2; shift 2 ;;
        --mean-subtract) mean=yes; shift ;;
        --bin) bin=$2; shift 2 ;;
        --device) device=$2; shift 2 ;;
        --set) sets+=(--set "$2"); shift 2 ;;
        -h|--help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        *) echo "task2_rounds.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
    esac
done
for option in model config source target dev trials work; do
    if [ -z "${!option}" ]; then
        echo "task2_rounds.sh: --$option is needed (try --help)" >&2
        exit 2
    fi
done
for file in "$model" "$config" "$source/wav.scp" "$source/utt2spk" "$target/wav.scp" "$dev/wav.scp" "$trials" \
    ${enrol:+"$enrol/wav.scp"} ${true_labels:+"$true_labels"} ${group:+"$group"} ${chosen:+"$chosen"}; do
    if [ ! -f "$file" ]; then
        echo "task2_rounds.sh: $file is missing" >&2
        exit 2
    fi
done
if [ -n "$chosen" ] && [ -z "$group" ]; then
    echo "task2_rounds.sh: --cluster-only needs --group-by: whose label the other recordings take" >&2
    exit 2
fi
for program in data train extract score cluster; do
    if [ ! -x "$bin/ffsvc-$program" ]; then
        echo "task2_rounds.sh: no program $bin/ffsvc-$program: build with cargo build --release, or name the folder with --bin" >&2
        exit 2
    fi
done
mkdir -p "$work"
# How often to go on may change, nothing else.
given=$(printf '%s\n' "$given" | sed 's/--rounds [0-9]*//')
if [ -f "$work/options" ] && [ "$(cat "$work/options")" != "$given" ]; then
    echo "task2_rounds.sh: $work was made with other options: $(cat "$work/options")" >&2
    exit 2
fi
printf '%s\n' "$given" > "$work/options"

# Values of a JSON file: file, pointers and options.
value() { "$bin/ffsvc-data" value "$@"; }

# Embeddings of a data directory: model, directory, store.
extract() {
    [ -f "${3%.ark}.scp" ] || "$bin/ffsvc-extract" --device "$device" --model "$1" "$2" "$3" >&2
}

# Scores the dev trials: model, folder for the result; the target embeddings of the model are in FOLDER/target.ark by then.
evaluate() {
    [ -f "$2/dev.json" ] && return
    extract "$1" "$dev" "$2/dev.ark"
    local sides=(--embeddings "$2/dev.scp")
    if [ -n "$enrol" ]; then
        extract "$1" "$enrol" "$2/enrol.ark"
        sides+=(--enrol-embeddings "$2/enrol.scp")
    fi
    [ -z "$mean" ] || sides+=(--mean-subtract "$2/target.scp")
    "$bin/ffsvc-score" --trials "$trials" "${sides[@]}" --report-out "$2/dev.json.new" > "$2/dev.txt"
    mv "$2/dev.json.new" "$2/dev.json"
}

eer_of() { value "$1/dev.json" /metrics/eer --percent; }
# The first is that of P_target 0.01.
dcf_of() { value "$1/dev.json" /metrics/min_dcf/0/cost --decimals 4; }

columns='%5s %6s %7s %7s %7s %11s %9s %12s\n'

# A line of the table: round, folder of its clusters and labels, folder of its result.
row() {
    local clusters=- kept=- nmi=- purity=- kept_purity=-
    if [ -d "$2/pseudo" ]; then
        clusters=$(value "$2/clusters/result.json" /clusters)
        kept="$(value "$2/pseudo/labels.json" /written_share --percent --decimals 0) %"
        if [ -n "$true_labels" ]; then
            nmi=$(value "$2/quality.json" /nmi --decimals 3)
            purity=$(value "$2/quality.json" /purity --decimals 3)
            kept_purity=$(value "$2/kept-quality.json" /purity --decimals 3)
        fi
    fi
    printf "$columns" "$1" "$clusters" "$kept" "$nmi" "$purity" "$kept_purity" "$(eer_of "$3") %" "$(dcf_of "$3")"
}

before=$work/round-0
mkdir -p "$before"
extract "$model" "$target" "$before/target.ark"
evaluate "$model" "$before"
{
    printf "$columns" round K kept NMI purity kept-purity EER minDCF
    row 0 - "$before"
} > "$work/rounds.txt"
tail -n 1 "$work/rounds.txt"
best=0 best_eer=$(eer_of "$before") current=$model

for round in $(seq "$rounds"); do
    here=$work/round-$round
    mkdir -p "$here"

    # The clusters are of the embeddings of the round before.
    if [ ! -f "$here/clusters/result.json" ]; then
        store=$before/target.scp
        if [ -n "$chosen" ]; then
            store=$here/clustered.scp
            awk 'NR == FNR { chosen[$1]; next } $1 in chosen' "$chosen" "$before/target.scp" > "$store"
        fi
        "$bin/ffsvc-cluster" kmeans "$store" -o "$here/clusters" --k "$k" --overwrite ${k_factor:+--k-factor "$k_factor"} \
            ${criterion:+--criterion "$criterion"} ${group:+--group-by "$group"} >&2
    fi
    if [ ! -f "$here/pseudo/labels.json" ]; then
        "$bin/ffsvc-cluster" labels "$here/clusters" "$target" -o "$here/pseudo" --prefix pseudo --round "$round" \
            --keep-share "$keep_share" --min-size "$min_size" ${group:+--group-by "$group"} --overwrite >&2
    fi
    if [ -n "$true_labels" ]; then
        "$bin/ffsvc-cluster" compare "$here/clusters" "$true_labels" --json > "$here/quality.json"
        "$bin/ffsvc-cluster" compare "$here/pseudo/utt2spk" "$true_labels" --json > "$here/kept-quality.json"
    fi

    if [ -n "$source_share" ]; then
        rest=$(awk -v share="$source_share" 'BEGIN { print 1 - share }')
        train="[{ path = \"$source\", share = $source_share }, { path = \"$here/pseudo\", share = $rest }]"
    else
        train=$here/combined
        [ -f "$train/wav.scp" ] || "$bin/ffsvc-data" combine "$source" "$here/pseudo" -o "$train" >&2
    fi
    if [ ! -f "$here/exp/final.safetensors" ]; then
        beginning=(--init-from "$current" --head "$head")
        [ -z "$(ls "$here/exp/checkpoints" 2> /dev/null)" ] || beginning=(--resume)
        "$bin/ffsvc-train" "$config" "$here/exp" "${beginning[@]}" --device "$device" --set data.train="$train" \
            ${sets[@]+"${sets[@]}"} >&2
    fi

    current=$here/exp/final.safetensors
    extract "$current" "$target" "$here/target.ark"
    evaluate "$current" "$here"
    row "$round" "$here" "$here" >> "$work/rounds.txt"
    tail -n 1 "$work/rounds.txt"
    eer=$(eer_of "$here")
    if awk -v now="$eer" -v best="$best_eer" 'BEGIN { exit !(now < best) }'; then
        best=$round best_eer=$eer
    else
        echo "Round $round is no better than round $best: done" >&2
        break
    fi
    before=$here
done

if [ "$best" -gt 0 ]; then
    cp "$work/round-$best/exp/final.safetensors" "$work/best.safetensors.new"
else
    cp "$model" "$work/best.safetensors.new"
fi
mv "$work/best.safetensors.new" "$work/best.safetensors"
echo
cat "$work/rounds.txt"
echo "best: round $best, $work/best.safetensors"
