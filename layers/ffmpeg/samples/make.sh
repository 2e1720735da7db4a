#!/bin/sh
# Makes the samples, a 440 Hz tone at half scale, with an ffmpeg that has every encoder.
# A sample is named DECODER[.what].EXTENSION; test.sh looks for the decoder in the name.
set -eu
cd "$(dirname "$0")"

tone() {
    rate=$1 seconds=$2
    shift 2
    ffmpeg -nostdin -v error -y -f lavfi -i "aevalsrc=0.5*sin(2*PI*440*t):s=$rate:d=$seconds" \
        -map_metadata -1 -fflags +bitexact -flags:a +bitexact "$@"
}

for codec in u8 s16le s24le s32le s64le f32le f64le alaw mulaw; do
    tone 8000 0.1 -c:a pcm_$codec pcm_$codec.wav
done
for codec in s8 s16be s24be s32be f32be f64be; do
    tone 8000 0.1 -c:a pcm_$codec pcm_$codec.aiff
done
tone 8000 0.1 -c:a pcm_s16le -f aiff pcm_s16le.sowt.aifc
tone 8000 0.1 -c:a pcm_s16le -rf64 always pcm_s16le.rf64.wav
tone 8000 0.1 -c:a pcm_s16le pcm_s16le.w64
tone 8000 0.1 -c:a pcm_s16le pcm_s16le.mov
tone 8000 0.1 -c:a flac -metadata_header_padding 0 flac.flac
tone 8000 0.1 -c:a flac flac.oga
tone 8000 0.1 -c:a flac -strict experimental flac.mp4
tone 8000 0.1 -c:a alac alac.m4a
tone 48000 0.5 -c:a aac -b:a 64k aac.aac
tone 48000 0.5 -c:a aac -b:a 64k aac.m4a
tone 48000 0.5 -c:a libmp3lame -b:a 64k mp3float.mp3
tone 48000 0.5 -c:a libopus -b:a 64k opus.opus
tone 48000 0.5 -c:a libopus -b:a 64k opus.mp4
tone 48000 0.5 -c:a libvorbis vorbis.ogg
