#!/usr/bin/env bash
# Lists for choosing settings: speakers, rooms and noises of the adaptation only, split in two.
#
#   recipes/far-field/development-lists.sh LISTS OUT
#
# LISTS is recipes/speechocean762/lists or a folder like it. Every fifth training speaker, the last two rooms and the last
# two of seven noises (the last two sevenths of the list) become the evaluation of OUT; the others are for adaptation.
# Nothing of the evaluation of LISTS is in OUT.
#
#   recipes/far-field/run.sh --lists OUT --work exp/far-field-development ...
set -euo pipefail

if [ $# -ne 2 ] || [ ! -f "$1/train.utt2spk" ]; then
    echo "usage: development-lists.sh LISTS OUT (LISTS has train.utt2spk, spk2gender, rooms-train and noise-train)" >&2
    exit 2
fi
from=$1 out=$2
mkdir -p "$out"
cp "$from/spk2gender" "$out/spk2gender"
for set in train dev; do
    awk -v set=$set '!($2 in number) { number[$2] = ++speakers }
                     (set == "dev") == (number[$2] % 5 == 0)' "$from/train.utt2spk" > "$out/$set.utt2spk"
done
# All pairs.
awk '{ utterance[NR] = $1; speaker[NR] = $2 }
     END { for (i = 1; i < NR; i++) for (j = i + 1; j <= NR; j++)
               print (speaker[i] == speaker[j]) + 0, utterance[i], utterance[j] }' "$out/dev.utt2spk" |
    gzip -n > "$out/trials_dev.gz"
for kind in rooms noise; do
    lines=$(wc -l < "$from/$kind-train")
    evaluation=$((lines * 2 / 7))
    head -n $((lines - evaluation)) "$from/$kind-train" > "$out/$kind-train"
    tail -n $evaluation "$from/$kind-train" > "$out/$kind-evaluation"
done
