#!/usr/bin/env bash
# seeds.sh FOLDER: what fuzzing begins with: the layer's samples, and a little of each other form.
set -euo pipefail
folder=$1
samples=$(dirname "$0")/../../layers/ffmpeg/samples
for target in container tags adts framecrc fragments packager metadata patch words; do mkdir -p "$folder/$target"; done
for sample in "$samples"/*.*; do
    case $sample in *.sh) continue ;; esac
    head -c 16384 "$sample" >"$folder/container/${sample##*/}"
    head -c 65536 "$sample" >"$folder/tags/${sample##*/}"
done
cp "$samples/aac.aac" "$folder/adts/aac"
cp "$samples/flac.mp4" "$folder/fragments/flac"
printf '#tb 0: 1/44100\n#codec_id 0: vorbis\n#sample_rate 0: 44100\n0, 0, 0, 576, 406, 0xa7\n' >"$folder/framecrc/vorbis"
head -c 600 "$samples/mp3float.mp3" >"$folder/packager/sizes"
printf '{"name": "n", "author": "a", "album": null, "track": 3}' >"$folder/patch/fields"
printf 'Jóga 京都 1999' >"$folder/words/name"
printf 'filename c29uZy5mbGFj,name SsOzZ2E=,is_confidential' >"$folder/metadata/pairs"
