#!/usr/bin/env bash
# Writes synthetic recordings under the file names of FFSVC2020 and FFSVC2022, to try the commands for the challenge's
# corpora without them. Needs ffsvc-data on the path.
#
#   recipes/mini/challenge.sh OUT
#
# OUT/FFSVC2020/train    16 speakers, 6 recordings each, on two devices in two visits
# OUT/FFSVC2022/dev      10 other speakers, 5 recordings each
# OUT/lists              dev_meta_list and trials_dev_keys
set -euo pipefail
[ $# = 1 ] && [[ $1 != -* ]] || { echo "usage: recipes/mini/challenge.sh OUT" >&2; exit 2; }
out=$1
[ ! -e "$out/FFSVC2020" ] || { echo "challenge.sh: $out/FFSVC2020 is there already" >&2; exit 1; }

ffsvc-data synth "$out/voices" -q --seed 1 --train-speakers 16 --train-utterances 6 --dev-speakers 10 \
    --dev-utterances 5 --seconds 1.5,2 --snr-db 30,40 --rt60 0.05,0.1 --channel-db 0 \
    --microphone-distance 0.1,0.2 > /dev/null
train=$out/FFSVC2020/train dev=$out/FFSVC2022/dev lists=$out/lists
mkdir -p "$train" "$dev" "$lists"

# The parts of a name are visit, speaker, speaker with device and distance, channel, sentence, and speed.
kinds=(F:I1M F:PAD3M F:I1M S:PAD3M S:I1M S:PAD3M)
for speaker in {0..15}; do
    for part in {0..5}; do
        voice=$(printf 'train%05d/train%05d-%05d' "$speaker" "$speaker" "$part")
        visit=${kinds[part]%:*} device=${kinds[part]#*:}
        name=$(printf '%s01%02d_1%02d%s_1_%04d_normal' $visit "$speaker" "$speaker" $device "$part")
        cp "$out/voices/wav/$voice.wav" "$train/$name.wav"
    done
done

echo "Original_Name FFSVC2022_Name" > "$lists/dev_meta_list"
for speaker in {0..9}; do
    for part in {0..4}; do
        voice=$(printf 'dev%05d/dev%05d-%05d' "$speaker" "$speaker" "$part")
        name=$(printf 'ffsvc22_dev_%06d' $((5 * speaker + part)))
        cp "$out/voices/wav/$voice.wav" "$dev/$name.wav"
        visit=${kinds[part]%:*} device=${kinds[part]#*:}
        original=$(printf '%s03%02d_3%02d%s_1_%04d_normal' $visit "$speaker" "$speaker" $device "$part")
        echo "$original $name" >> "$lists/dev_meta_list"
    done
done

# The trials of the synthetic speakers, under the other names.
name_of='function name(voice) { return sprintf("ffsvc22_dev_%06d.wav", 5 * substr(voice, 4, 5) + substr(voice, 10)) }'
awk "$name_of"' { print $1, name($2), name($3) }' "$out/voices/dev/trials" > "$lists/trials_dev_keys"
