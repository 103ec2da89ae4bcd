#!/usr/bin/env bash
# Real speech: train on 125 speakers of speechocean762, verify 40 others.
#
#   recipes/speechocean762/run.sh --corpus DIR [--rooms DIR --noise DIR [--augment]]
#                                 [--seed N] [--work DIR] [--lists DIR] [--stage N] [--stop-stage N] [--set section.key=value ...]
#
# --corpus is speechocean762 as published (OpenSLR SLR101, https://www.openslr.org/101/): it holds
# WAVE/SPEAKER0001/000010011.WAV and so on. A copy as flac/{train,dev}/0001/000010011.flac works too.
# The lists beside this script (or those of --lists, under the same names) say which utterances are used: 125 training speakers x 12, 40 other speakers x 12
# with 2,640 target and 26,400 non-target trials.
#
# --rooms (impulse responses) and --noise (ESC-10) add a far-field evaluation: the enrolment recordings as they are, the
# test recordings in a measured room with noise. --augment trains for it (stage 2): first on clean recordings, then in other rooms and
# noise, then with a larger margin. lists/ says which files are for training and which for evaluation only, by name, and README.md
# where to get them.
#
# The programs are built first, unless the environment variable FFSVC_BIN names the folder that has them.
#
# Stages: 1 data directories, 2 train, 3 extract, 4 score (untrained and trained; clean: all, same-gender and
# cross-gender trials; far-field). Results of three seeds are in README.md beside this file.
set -euo pipefail

corpus=
stage=1
stop_stage=4
work=exp/speechocean762
seed=1
lists=
rooms=
noise=
augment=
sets=()
while [ $# -gt 0 ]; do
    case $1 in
        --corpus) corpus=$2; shift 2 ;;
        --stage) stage=$2; shift 2 ;;
        --stop-stage) stop_stage=$2; shift 2 ;;
        --work) work=$2; shift 2 ;;
        --lists) lists=$2; shift 2 ;;
        --seed) seed=$2; shift 2 ;;
        --rooms) rooms=$2; shift 2 ;;
        --noise) noise=$2; shift 2 ;;
        --augment) augment=yes; shift ;;
        --set) sets+=(--set "$2"); shift 2 ;;
        -h|--help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        *) echo "run.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
    esac
done
if [ -z "$corpus" ] || [ ! -d "$corpus" ]; then
    echo "run.sh: --corpus DIR is needed: download speechocean762 from https://www.openslr.org/101/ and unpack it" >&2
    exit 2
fi
for dir in "$rooms" "$noise" "$lists"; do
    if [ -n "$dir" ] && [ ! -d "$dir" ]; then
        echo "run.sh: $dir is no directory" >&2
        exit 2
    fi
done
if [ "${rooms:+yes}" != "${noise:+yes}" ] || { [ -n "$augment" ] && [ -z "$rooms" ]; }; then
    echo "run.sh: --rooms and --noise go together, and --augment needs both (see README.md beside this script)" >&2
    exit 2
fi
corpus=$(cd "$corpus" && pwd)
[ -z "$rooms" ] || rooms=$(cd "$rooms" && pwd)
[ -z "$noise" ] || noise=$(cd "$noise" && pwd)
[ -z "$lists" ] || lists=$(cd "$lists" && pwd)

cd "$(dirname "$0")/../.."
recipe=recipes/speechocean762
lists=${lists:-$recipe/lists}
bin=${FFSVC_BIN:-${CARGO_TARGET_DIR:-target}/release}
config=resnet34
[ -z "$augment" ] || config=resnet34-augmented
exp=$work/$config-seed$seed
run() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }

# The files under $1 whose names without extension are in the list $2.
find_files() {
    find "$1" -type f | sort | awk -v list="$2" '
        BEGIN { while ((getline name < list) > 0) { wanted[name] = 1; missing++ } }
        { name = $0; sub(/.*\//, "", name); sub(/\.[^.]*$/, "", name) }
        name in wanted { print; delete wanted[name]; missing-- }
        END { if (missing) { for (name in wanted) example = name
              print "run.sh: " missing " files of " list " were not found, " example " for one" > "/dev/stderr"; exit 1 } }'
}

if [ -z "${FFSVC_BIN:-}" ]; then
    echo "Building the programs (the first time takes minutes)" >&2
    cargo build --release --workspace --locked --quiet
fi

if run 1; then
    echo "Stage 1: data directories in $work/data"
    for set in train dev; do
        data=$work/data/$set
        mkdir -p "$data"
        if [ -d "$corpus/WAVE" ]; then
            awk -v dir="$corpus" '{ print $1, dir "/WAVE/SPEAKER" $2 "/" $1 ".WAV" }' "$lists/$set.utt2spk"
        else
            while read -r utterance speaker; do
                file=$corpus/flac/$set/$speaker/$utterance.flac
                # A list of one's own may take speakers of the other part.
                [ -f "$file" ] || file=$(ls "$corpus"/flac/*/"$speaker/$utterance.flac" 2> /dev/null || echo "$file")
                echo "$utterance $file"
            done < "$lists/$set.utt2spk"
        fi > "$data/wav.scp"
        tr '\t' ' ' < "$lists/$set.utt2spk" > "$data/utt2spk"
        "$bin/ffsvc-data" utt2spk-to-spk2utt "$data/utt2spk" > "$data/spk2utt"
        "$bin/ffsvc-data" validate "$data"
    done
    gzip -dc "$lists/trials_dev.gz" > "$work/data/dev/trials"
    awk 'NR == FNR { gender[$1] = $2; next }
                    FILENAME ~ /utt2spk/ { speaker[$1] = $2; next }
                    gender[speaker[$2]] == gender[speaker[$3]]' \
        "$lists/spk2gender" "$work/data/dev/utt2spk" "$work/data/dev/trials" > "$work/data/dev/trials-same-gender"
    # Target trials are same-gender by nature; the cross-gender list has them all and the other non-targets.
    awk 'NR == FNR { gender[$1] = $2; next }
         FILENAME ~ /utt2spk/ { speaker[$1] = $2; next }
         $1 == 1 || gender[speaker[$2]] != gender[speaker[$3]]' \
        "$lists/spk2gender" "$work/data/dev/utt2spk" "$work/data/dev/trials" > "$work/data/dev/trials-cross-gender"
    if [ -n "$rooms" ]; then
        mkdir -p "$work/data/lists"
        for use in train evaluation; do
            find_files "$rooms" "$lists/rooms-$use" > "$work/data/lists/rooms-$use"
            find_files "$noise" "$lists/noise-$use" > "$work/data/lists/noise-$use"
        done
        rm -rf "$work/data/dev-far"
        "$bin/ffsvc-data" augment "$work/data/dev" "$work/data/dev-far" --config $recipe/far-field.toml --seed 9 \
            --set augment.reverb.list="$work/data/lists/rooms-evaluation" \
            --set augment.additive.noise.list="$work/data/lists/noise-evaluation"
    fi
fi

if run 2; then
    echo "Stage 2: train $exp"
    # Starts, or goes on from the last checkpoint.
    train() { # folder, configuration, more options
        if [ ! -f "$1/final.safetensors" ]; then
            "$bin/ffsvc-train" "$recipe/$2.toml" "$1" --resume-or-start --set data.train="$work/data/train" \
                --set train.seed="$seed" "${@:3}" ${sets[@]+"${sets[@]}"}
        fi
    }
    [ ! -d "$exp" ] || resumed=yes
    begun=$SECONDS
    if [ -z "$augment" ]; then
        train "$exp" resnet34
    else
        # The same network and features as far away, so that its weights can go on there.
        train "$exp/clean" resnet34 --set features.kind.log_offset=3.0 --set model.pooling=stats-all \
            --set train.max_frames=200 --set train.epochs=12
        sounds=(--set augment.reverb.list="$work/data/lists/rooms-train"
            --set augment.additive.noise.list="$work/data/lists/noise-train")
        train "$exp" resnet34-augmented --init-from "$exp/clean/final.safetensors" --head match "${sounds[@]}"
        train "$exp/large-margin" resnet34-augmented-lm --init-from "$exp/final.safetensors" --head match "${sounds[@]}"
    fi
    # A resumed run cannot tell how long the first part took.
    [ -n "${resumed:-}" ] || echo $(((SECONDS - begun + 30) / 60)) > "$exp/minutes"
fi
# The networks, and the model file of each.
networks=(untrained trained)
[ -z "$augment" ] || networks=(untrained clean rooms large-margin)
model_file() {
    case $1 in
        untrained) echo "$exp${augment:+/clean}/initial.safetensors" ;;
        clean) echo "$exp/clean/final.safetensors" ;;
        trained|rooms) echo "$exp/final.safetensors" ;;
        large-margin) echo "$exp/large-margin/final.safetensors" ;;
    esac
}

if run 3; then
    echo "Stage 3: extract"
    for network in "${networks[@]}"; do
        for set in dev ${rooms:+dev-far}; do
            "$bin/ffsvc-extract" --model "$(model_file "$network")" "$work/data/$set" "$exp/$set-$network.ark"
        done
    done
fi

if run 4; then
    echo "Stage 4: score"
    printf '%-14s %-14s %8s %10s %10s %14s\n' network trials target nontarget EER 'minDCF(0.01)' | tee "$exp/results.txt"
    score() { # row, list's name, trial list, options
        "$bin/ffsvc-score" --trials "$work/data/dev/$3" --report-out "$exp/result-$1-$2.json" "${@:4}" |
            awk -v name="$1" -v list="$2" '/^counts/ { target = $4; nontarget = $6 }
                /^EER/ { eer = $2 } /^minDCF.*P_target 0.01,/ { dcf = $2 }
                END { printf "%-14s %-14s %8d %10d %8.2f %% %14.4f\n", name, list, target, nontarget, eer, dcf }'
    }
    {
        for network in "${networks[@]}"; do
            clean=(--embeddings "$exp/dev-$network.scp")
            score "$network" all trials "${clean[@]}"
            score "$network" same-gender trials-same-gender "${clean[@]}"
            score "$network" cross-gender trials-cross-gender "${clean[@]}"
            [ -z "$rooms" ] || score "$network" far-field trials --enrol-embeddings "$exp/dev-$network.scp" \
                --embeddings "$exp/dev-far-$network.scp"
        done
        [ ! -f "$exp/minutes" ] || echo "training took $(cat "$exp/minutes") minutes"
    } | tee -a "$exp/results.txt"
fi
