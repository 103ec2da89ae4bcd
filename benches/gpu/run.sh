#!/usr/bin/env bash
# What a GPU makes of this toolkit, in one table, in under eight minutes: correctness, speed beside PyTorch, memory, a resumed
# run, two GPUs. It needs the repository, the programs of build.sh, and for CUDA libdevice (docs/accelerators.md); no compiler
# and no network.
#
#   benches/gpu/run.sh BIN [--device DEVICE] [--batch N] [--seconds S] [--networks A,B,...] [--work DIR]
#
# BIN is the folder that build.sh made. --batch is that of the timed training steps, --seconds the time of one measurement.
# A part that fails or takes too long has a line that says so, and its output is in DIR; the rest runs. Exit status: 0, or 1 if
# a part failed.
set -uo pipefail

device=cuda:0
batch=128
seconds=4
networks=resnet34-c32,ecapa-c1024,cam++
work=exp/gpu
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; }
[ $# -gt 0 ] || { usage >&2; exit 2; }
case $1 in -h|--help) usage; exit 0 ;; esac
bin=$(realpath "$1")
shift
while [ $# -gt 0 ]; do
    case $1 in
        --device) device=$2; shift 2 ;;
        --batch) batch=$2; shift 2 ;;
        --seconds) seconds=$2; shift 2 ;;
        --networks) networks=$2; shift 2 ;;
        --work) work=$2; shift 2 ;;
        *) echo "run.sh: unknown option $1 (try --help)" >&2; exit 2 ;;
    esac
done
cd "$(dirname "$0")/../.."
FFSVC_REPOSITORY=$PWD
export FFSVC_REPOSITORY
rm -rf "$work"
mkdir -p "$work"
work=$(realpath "$work")
failed=0

row() { printf '| %s | %s | %s |\n' "$1" "$2" "$3"; }

# The first line of these files that names an error, else the last.
reason() { { cat "$@" | grep -m1 -iE 'panicked|error' || cat "$@" | tail -1; } | tr '|' '/' | cut -c1-200; }

# part NAME LIMIT COMMAND...: runs it with a limit in seconds; its output is $work/NAME.out.
part() {
    local name=$1 limit=$2
    shift 2
    local status=0
    timeout "$limit" "$@" > "$work/$name.out" 2> "$work/$name.err" || status=$?
    [ $status != 0 ] || return 0
    failed=1
    if [ $status = 124 ]; then
        row "$name" "FAILED" "not done after $limit s"
    else
        row "$name" "FAILED" "exit status $status: $(reason "$work/$name.err" "$work/$name.out")"
    fi
    return 1
}

has_nvidia() { command -v nvidia-smi > /dev/null && [[ $device == cuda* ]]; }

# The most memory of the GPU while a command runs, in MiB, in $work/NAME.memory.
watch_memory() {
    local name=$1
    has_nvidia || return 0
    nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits --id=0 --loop-ms=200 > "$work/$name.memory" 2>&1 &
    watcher=$!
}
end_watch() { [ -z "${watcher:-}" ] || { kill "$watcher"; wait "$watcher"; watcher=; } 2> /dev/null; }
most_memory() { [ ! -s "$work/$1.memory" ] || echo ", at most $(sort -n "$work/$1.memory" | tail -1) MiB of GPU memory"; }

begun=$SECONDS
row part result detail
row --- --- ---
row device "$device" "$(has_nvidia && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | paste -sd';' || uname -m)"

# 1. Values: the networks against the baseline's and the processor's.
if [[ $device == cuda* ]]; then
    part values 150 "$bin/accelerators" --nocapture --test-threads 1
    sed -nE 's/^(test .* \.\.\. )?((baseline|processor|3D-Speaker) .*[^ ]) +([0-9.]+e-?[0-9]+|NaN) of ([0-9.e-]+)$/\2\t\4\t\5/p' \
        "$work/values.out" | while IFS=$'\t' read -r what error tolerance; do
        row "$what" "$error" "tolerance $tolerance"
    done
    row values "$(sed -nE 's/^test result: ([^.]*)\. .*/\1/p' "$work/values.out")" \
        "$(sed -nE 's/^test result: [^.]*\. (.*); 0 measured.*/\1/p' "$work/values.out")"
else
    row values skipped "the test runs on CUDA devices"
fi

# 2. Speed: ours and PyTorch's, the same shapes.
for network in ${networks//,/ }; do
    watch_memory "speed-$network"
    if part "speed-$network" 100 "$bin/gpu_speed" --device "$device" --networks "$network" --batch "$batch" --seconds "$seconds"; then
        while IFS=$'\t' read -r name what size speed; do
            row "$name, $what, batch $size" "$speed utterances/s" "ours, f32$(most_memory "speed-$network")"
        done < "$work/speed-$network.out"
    fi
    end_watch
done
torch_device=$device
[[ $device == cuda* || $device == cpu ]] || torch_device=none
if python3 -c "import torch; torch.zeros(1, device='$torch_device')" 2> "$work/torch.err"; then
    part torch 100 python3 benches/gpu/torch_speed.py --device "$torch_device" --networks "$networks" --batch "$batch" --seconds 2
    while IFS=$'\t' read -r name what size speed; do
        row "$name, $what, batch $size" "$speed utterances/s" "PyTorch $(python3 -c 'import torch; print(torch.__version__)')"
    done < "$work/torch.out"
else
    row PyTorch skipped "$(tail -1 "$work/torch.err")"
fi

# 3. The programs: a small ResNet on synthetic speakers, trained, interrupted and resumed, extracted, scored.
config=recipes/mini/mini.toml
data=$work/data
last_loss() { sed -nE 's/.*"event":"step".*"loss":([^,]*),.*/\1/p' "$1/train.jsonl" | tail -1; }
# A run of eight epochs. Synthetic speakers of their own: the paths in mini.toml are relative.
train() {
    local exp=$1 on=$2
    shift 2
    "$bin/ffsvc-train" $config "$exp" --device "$on" --set data.train="$data/train" --set validation.data="$data/dev" \
        --set validation.trials="$data/dev/trials" --set train.epochs=8 --set validation.every_epochs=8 "$@"
}
# The same, stopped by a signal after its first checkpoint.
interrupt() {
    train "$1" "$2" & local child=$!
    while kill -0 $child 2> /dev/null && ! ls "$1"/checkpoints/*/ > /dev/null 2>&1; do sleep 0.1; done
    kill -TERM "$(pgrep -P $child || echo $child)" 2> /dev/null
    wait $child
    local status=$?
    [ $status = 130 ] || { echo "error: the interrupted run ended with $status, expected 130" >&2; return 1; }
}
export -f train interrupt
export bin config data
if part corpus 60 "$bin/ffsvc-data" synth "$data" --train-speakers 20 --train-utterances 10 --dev-speakers 8 --dev-utterances 6; then
    watch_memory training
    part training 100 bash -c "train '$work/whole' $device"
    end_watch
    row "training, 8 epochs" "last loss $(last_loss "$work/whole")" "$(sed -n 's/^EER\t/EER /p' "$work/training.out")$(most_memory training)"
    if part interrupted 60 bash -c "interrupt '$work/resumed' $device" &&
        part resumed 60 bash -c "train '$work/resumed' $device --resume"; then
        same="differ"
        ! cmp -s "$work/whole/final.safetensors" "$work/resumed/final.safetensors" || same="are the same bytes"
        row "training, resumed" "last loss $(last_loss "$work/resumed")" "the weights of both runs $same"
    fi
    for on in $(printf '%s\n' "$device" cpu | uniq); do
        part "extraction-$on" 60 "$bin/ffsvc-extract" --model "$work/whole/final.safetensors" "$data/dev" "$work/dev-$on.ark" \
            --device "$on" --allow-failures &&
            part "scoring-$on" 30 "$bin/ffsvc-score" --trials "$data/dev/trials" --embeddings "$work/dev-$on.scp" &&
            row "extraction on $on" "$(sed -nE 's/^EER +([^ ]* %?).*/EER \1/p' "$work/scoring-$on.out" | head -1)" "the model that was trained on $device"
    done
    # 4. Two devices.
    if [[ $device == cuda:0 ]] && { { has_nvidia && [ "$(nvidia-smi -L | wc -l)" -ge 2 ]; } || [ "${FFSVC_STUB_DEVICES:-1}" -ge 2 ]; }; then
        part "two devices" 100 bash -c "train '$work/two' cuda:0,1" &&
            row "training on two devices" "last loss $(last_loss "$work/two")" "$(sed -n 's/^EER\t/EER /p' "$work/two devices.out")"
    else
        row "two devices" skipped "there is one"
    fi
fi
row "all parts" "$((SECONDS - begun)) s" "$([ $failed = 0 ] && echo "none failed" || echo "some failed; their output is in $work")"
exit $failed
