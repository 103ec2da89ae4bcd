#!/usr/bin/env bash
# The first inputs of a target, from what the repository and, where it is there, ../shared hold. run.sh calls it.
#
#   fuzz/seeds.sh target program folder
set -euo pipefail
cd "$(dirname "$0")"
target=$1 program=$2 folder=$3
data=../tests/data
cases=../../shared/cases

# Copies the files that are there and short: a mutation of a long file hits nothing that matters.
take() {
    local file
    for file in "$@"; do
        [ ! -f "$file" ] || [ "$(wc -c < "$file")" -gt 32768 ] || cp "$file" "$folder/$(basename "$file")"
    done
}

# A file of the bytes that printf makes.
make() {
    local name=$1
    shift
    # shellcheck disable=SC2059
    printf "$@" > "$folder/$name"
}

case $target in
    wav)
        take $data/audio/*.wav $cases/one_sample.wav
        samples='\1\2\3\4\5\6\7\10\21\22\23\24\25\26\27\30'
        fmt='\20\0\0\0\1\0\1\0\200\76\0\0\0\175\0\0\2\0\20\0'
        make pcm16.wav "RIFF\64\0\0\0WAVEfmt ${fmt}data\20\0\0\0$samples"
        fmt='\20\0\0\0\3\0\2\0\104\254\0\0\40\142\5\0\10\0\40\0'
        make float-stereo.wav "RIFF\64\0\0\0WAVEfmt ${fmt}data\20\0\0\0$samples"
        fmt='\50\0\0\0\376\377\1\0\200\76\0\0\200\273\0\0\3\0\30\0\26\0\30\0\4\0\0\0\1\0\0\0\0\0\20\0\200\0\0\252\0\70\233\161'
        make extensible24.wav "RIFF\107\0\0\0WAVEfmt ${fmt}LIST\4\0\0\0abcddata\17\0\0\0${samples%'\30'}"
        fmt='\20\0\0\0\1\0\1\0\200\76\0\0\200\76\0\0\1\0\10\0'
        make rf64.wav "RF64\377\377\377\377WAVEds64\34\0\0\0\140\0\0\0\0\0\0\0\20\0\0\0\0\0\0\0\20\0\0\0\0\0\0\0\0\0\0\0fmt ${fmt}data\377\377\377\377$samples"
        ;;
    flac) take $data/audio/*.flac ;;
    mp3) take $data/audio/*.mp3 ;;
    mp4) take $data/audio/*.m4a $data/audio/libopus/*.mp4 $cases/*.m4a ;;
    ogg) take $data/audio/*.ogg $data/audio/*.opus $data/audio/libopus/*.opus ;;
    other_audio)
        take $data/audio/libopus/*.webm
        take $data/audio/*.aac $data/audio/libsndfile/*_big.* $data/audio/libsndfile/*.w64
        samples='\1\2\3\4\5\6\7\10\21\22\23\24\25\26\27\30'
        make pcm.aiff "FORM\0\0\0\76AIFFCOMM\0\0\0\22\0\1\0\0\0\10\0\20\100\14\372\0\0\0\0\0\0\0SSND\0\0\0\30\0\0\0\0\0\0\0\0$samples"
        make pcm.caf "caff\0\1\0\0desc\0\0\0\0\0\0\0\40\100\317\100\0\0\0\0\0lpcm\0\0\0\0\0\0\0\2\0\0\0\1\0\0\0\1\0\0\0\20data\0\0\0\0\0\0\0\24\0\0\0\0$samples"
        make header.mkv '\32\105\337\243\204\102\202\1\0'
        ;;
    audio_archive)
        for archive in $data/audio/kaldiio/*.ark; do
            { printf '\5'; cat "$archive"; } > "$folder/$(basename "$archive")"
        done
        # From the header before a recording on: without the header and the entry of its speaker.
        for shard in $data/shards/*0.tar; do
            { printf '\0'; tail -c +1025 "$shard"; } > "$folder/$(basename "$shard")"
        done
        ;;
    shards) take $data/shards/*.tar ;;
    archive) take $data/archives/*.ark ;;
    scp)
        for table in $data/archives/*.scp; do
            name=$(basename "$table" .scp)
            { sed 's/ [^ ]*:/ a.ark:/' "$table"; printf '\0'; cat "${table%.scp}.ark"; } > "$folder/$name"
        done
        make range 'a a.ark:2[0:1]\nb a.ark\n\0[ 1 2 ]\n'
        ;;
    data_dir)
        make plain 'a x.wav\nb y z.wav\nc sph2pipe x |\n\0a s\nb t\nc s\n\0s a c\nt b\n\0a 1.5\nb 2\n\0s f\nt m\n'
        make segments 'r x.wav\nq sph2pipe y |\n\0a s\nb t\n\0\0\0\0a r 0 1.5\nb q 2 -1\n'
        make wav-only '\357\273\277b x.ark:12\r\na /y.wav\r\n'
        make derived 'a x\nb y\n\0b s\na s\n'
        make contradiction 'a x\nb y\na z\n\0a s\n\0s a b\n\0a -1\nb nan\n'
        ;;
    trials)
        make label-first '1 a b\n0 a c\n1 d e.wav\n'
        make label-last 'a b target\r\na c nontarget\r\n'
        make no-label '\357\273\277a b\n\na  c\td\n'
        make either '1 0 1\n0 1 0\n1 x 0\n'
        take $cases/val_trials $cases/t_self $cases/t_dup_conflict
        ;;
    scores)
        make named 'a b 0.5\na c -1e3\nb.wav c 2 target\n'
        make other-order 'b c 1\na b 0.25\na.wav c inf\na b 0.25\n'
        make alone '0.5\n1\n-2e-3\n0\n'
        make calibration.json '{"program":"p","method":"linear","calibration":{"linear":{"weights":[1.0],"quality_weights":[],"offset":0.5}},"systems":[{"path":"x","sha256":"0"}],"quality":[],"trained_on":{"trials":{"path":"x","sha256":"0"},"target":1,"nontarget":1,"skipped":0}}'
        make pav.json '{"program":"p","method":"pav","calibration":{"pav":{"scores":[0.0,1.0],"llrs":[-1.0,1.0]}},"systems":[],"quality":[],"trained_on":{"trials":{"path":"x","sha256":"0"},"target":1,"nontarget":1,"skipped":0}}'
        ;;
    silero)
        # A graph with an initializer of two rows of three, named `a`.
        make model.onnx '\72\34\52\32\10\2\10\3\20\1\102\1a\112\20\0\0\200\77\0\0\200\77\0\0\200\77\0\0\200\77'
        make empty.safetensors '\2\0\0\0\0\0\0\0{}'
        ;;
    npy) take $data/embeddings/*.npy ;;
    npz) take $data/embeddings/*.npz $data/embeddings/matrix*.npy $cases/*.npz ;;
    safetensors) take $data/embeddings/*.safetensors $data/clustering/*.safetensors ;;
    config)
        take ../configs/*.toml $cases/*.toml
        find ../recipes -name '*.toml' | while read -r file; do
            cp "$file" "$folder/$(basename "$(dirname "$file")")-$(basename "$file")"
        done
        ;;
    training_log)
        step='"event":"step","step":1,"epoch":1,"loss":3.5,"accuracy":0.25,"learning_rate":1e-3,"margin":0.2'
        make log "{$step,\"utterances_per_s\":4.0,\"data_wait\":0.5}\n{\"event\":\"end\",\"step\":1,\"interrupted\":true}\n"
        make validation '{"event":"validation","epoch":1,"step":1,"eer":0.1,"min_dcf":0.5,"lists":{"far":{"eer":0.1,"min_dcf":1}}}\n'
        ;;
    onnx_file)
        take $data/onnx/*.onnx
        FFSVC_FUZZ_SEEDS=$folder "$program" > /dev/null 2>&1
        ;;
    model_file | torch_file) FFSVC_FUZZ_SEEDS=$folder "$program" > /dev/null 2>&1 ;;
    *)
        printf 'no seeds for %s\n' "$target" >&2
        exit 2
        ;;
esac
