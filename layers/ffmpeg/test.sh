#!/bin/sh
# Holds the built ffmpeg to what the layer promises, each promise a claim with a name:
#   test.sh [ARCHITECTURE] [--full]
# --full also builds from scratch, twice at once, with the fewest tools. MUSIC names a song to encode.
set -u
unset MAKEFLAGS MFLAGS MAKEOVERRIDES
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
host=$(uname -m | sed s/aarch64/arm64/)
architecture=${1:-$host}
other=$([ "$architecture" = arm64 ] && echo x86_64 || echo arm64)
full=${2:-}
cache=${SEGUE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/segue}
music=${MUSIC:-/usr/share/games/wesnoth/1.16/data/core/music/elf-land.ogg}
[ -f "$music" ] || music=$here/samples/vorbis.ogg
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
passed=0
failed=0

claim() {
    name=$1
    shift
    # Not a condition of `if`, for there set -e is ignored.
    output=$(
        set -e
        "$@" 2>&1
    )
    status=$?
    if [ $status -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok   $name"
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        echo "$output" | sed 's/^/     /'
    fi
}

# refuses PATTERN COMMAND...: the command fails and says PATTERN.
refuses() {
    pattern=$1
    shift
    if said=$("$@" 2>&1); then
        echo "not refused: $*"
        return 1
    fi
    echo "$said"
    echo "$said" | grep -q -e "$pattern"
}

empty() {
    [ -z "$(ls -A "$1" 2>/dev/null)" ] || {
        ls -lA "$1"
        return 1
    }
}

ffmpeg() {
    $emulator "$scratch/layer/bin/ffmpeg" -nostdin -hide_banner "$@"
}

listed() {
    awk -v kind="$1" '$1 == kind { print $3 ~ /^[^#]/ ? $3 : $2 } $1 == "implied-" kind { print $2 }' "$here/components" | sort
}

# What the binary says it has, one name a line.
present() {
    case $1 in
        protocol) ffmpeg -v error -protocols | awk '/^  / { print $1 }' | sort -u ;;
        bsf) ffmpeg -v error -bsfs | sed 1d | grep . ;;
        filter) ffmpeg -v error -filters | awk '$3 ~ /->/ { print $2 }' ;;
        *) ffmpeg -v error "-$1s" | sed '1,/^ *--/d' | awk '{ print $2 }' ;;
    esac | sort
}

has_exactly_the_listed() {
    listed "$1" >"$scratch/listed"
    present "$1" >"$scratch/present"
    [ -s "$scratch/listed" ]
    diff "$scratch/listed" "$scratch/present"
}

has_no_way_out() {
    if present demuxer | grep -E 'hls|dash|concat|imf|playlist|sdp|rtsp|image|lavfi|ffmetadata'; then return 1; fi
    if present muxer | grep -E 'hls|dash|segment|tee|rtp|fifo'; then return 1; fi
    if present protocol | grep -v -x -E 'file|pipe'; then return 1; fi
    if ffmpeg -v error -devices | sed '1,/^ *--/d' | grep .; then return 1; fi
}

refuses_playlists_and_addresses() {
    printf '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n%s\n' "$here/samples/aac.aac" >"$scratch/list.m3u8"
    printf "ffconcat version 1.0\nfile '%s'\n" "$here/samples/aac.aac" >"$scratch/list.ffconcat"
    refuses 'Invalid data' ffmpeg -i "$scratch/list.m3u8" -f null -
    refuses 'Unknown input format' ffmpeg -f hls -i "$scratch/list.m3u8" -f null -
    refuses 'Invalid data' ffmpeg -i "$scratch/list.ffconcat" -f null -
    for address in http://127.0.0.1:9/a.mp3 tcp://127.0.0.1:9 "concat:$here/samples/aac.aac" "subfile:$here/samples/aac.aac"; do
        refuses 'Protocol not found' ffmpeg -i "$address" -f null -
    done
}

has_no_video_codec() {
    if ffmpeg -v error -codecs | sed '1,/^ *--/d' | grep -E '^ (D.|.E)[^A]'; then return 1; fi
}

is_lgpl() {
    ffmpeg -v error -L | grep -q 'GNU Lesser General Public'
    if ffmpeg -v error -buildconf | grep -E 'enable-(gpl|version3|nonfree)'; then return 1; fi
    grep -q 'GNU LESSER GENERAL PUBLIC LICENSE' "$scratch/layer/share/ffmpeg/COPYING.LGPLv2.1"
}

# The binary quotes its own line.
carries_its_configure_line() {
    ffmpeg -v error -buildconf | tr -d "'" | awk '/^ *--/' | xargs >"$scratch/said"
    sed -n 's/^\.\/configure //p' "$scratch/layer/share/ffmpeg/CONFIGURE" | diff - "$scratch/said"
}

starts_in_an_empty_environment() {
    # shellcheck disable=SC2086 # none or one word
    env -i $emulator "$scratch/layer/bin/ffmpeg" -version
}

# Each sample is a 440 Hz tone at half scale: 800 samples if it is lossless, about 24,000 if not.
decodes_each_sample() {
    for sample in "$here"/samples/*.*; do
        case $sample in *.sh) continue ;; esac
        decoder=$(basename "$sample" | cut -d . -f 1)
        ffmpeg -v info -i "$sample" -f s16le -y "$scratch/samples.s16le" 2>"$scratch/log"
        grep -q -e "-> #0:0 ($decoder (native)" -e "-> #0:0 ([a-z0-9]* ($decoder)" "$scratch/log" || {
            echo "$sample is not decoded by $decoder"
            return 1
        }
        od -An -v -t d2 -w2 "$scratch/samples.s16le" | awk -v file="$sample" '
            { count++; power += $1 * $1 }
            END {
                level = count ? sqrt(power / count) : 0
                print file, count, level
                if (count != 800 && (count < 23800 || count > 25700)) exit 1
                if (level < 10900 || level > 12300) exit 1
            }'
    done
}

has_a_sample_of_each_decoder() {
    for decoder in $(listed decoder); do
        ls "$here/samples/$decoder."*
    done
}

samples_in() {
    ffmpeg -v error -i "$1" -ac 2 -f s16le - | wc -c | awk '{ print $1 / 4 }'
}

encodes_the_ladder() {
    ffmpeg -v error -i "$music" -filter_complex "[0:a:0]aresample=48000,aformat=channel_layouts=stereo,asplit=4[a][b][c][d]" \
        -map "[a]" -c:a aac -b:a 64k -f adts "$scratch/64.aac" \
        -map "[b]" -c:a aac -b:a 128k -f adts "$scratch/128.aac" \
        -map "[c]" -c:a aac -b:a 256k -f adts "$scratch/256.aac" \
        -map "[d]" -f s16le - >"$scratch/pcm"
    count=$(($(wc -c <"$scratch/pcm") / 4))
    [ $count -gt 20000 ]
    for rate in 64 128 256; do
        # The encoder adds one frame in front and fills up the last.
        decoded=$(samples_in "$scratch/$rate.aac")
        echo "$rate kb/s: $decoded samples of $count"
        [ "$decoded" -ge "$count" ]
        [ "$decoded" -le $((count + 3 * 1024)) ]
        # A short tone does not fill its rate.
        [ "$count" -gt 480000 ] || continue
        measured=$(($(wc -c <"$scratch/$rate.aac") * 8 / (count / 48)))
        echo "$rate kb/s: measured $measured"
        [ $measured -gt $((rate * 8 / 10)) ]
        [ $measured -lt $((rate * 11 / 10)) ]
    done
}

writes_a_fragment_per_frame() {
    ffmpeg -v error -i "$here/samples/vorbis.ogg" -c:a aac -f mp4 \
        -movflags +frag_every_frame+empty_moov+default_base_moof pipe:1 >"$scratch/fragments.mp4"
    fragments=$(grep -a -o moof "$scratch/fragments.mp4" | wc -l)
    echo "$fragments fragments"
    [ "$fragments" -ge 24 ]
    [ "$(samples_in "$scratch/fragments.mp4")" -ge 23800 ]
}

keeps_pcm_through() {
    source=$here/samples/pcm_s24le.wav
    ffmpeg -v error -i "$source" -c:a "$1" -f "$2" "$scratch/lossless.$2"
    ffmpeg -v error -i "$source" -map 0:a -c:a pcm_s24le -f data -y "$scratch/before"
    ffmpeg -v error -i "$scratch/lossless.$2" -map 0:a -c:a pcm_s24le -f data -y "$scratch/after"
    [ "$(wc -c <"$scratch/before")" -eq 2400 ]
    cmp "$scratch/before" "$scratch/after"
}

measures_and_mixes() {
    ffmpeg -v info -i "$here/samples/vorbis.ogg" \
        -af "pan=stereo|c0=c0|c1=c0,atrim=end_sample=24000,ebur128" -f null - 2>&1 | grep 'I: *-[0-9.]* LUFS'
}

refuses_a_wrong_tarball() {
    echo 'not ffmpeg' >"$scratch/bogus.tar.xz"
    SEGUE_CACHE=$1 FFMPEG_TARBALL=$scratch/bogus.tar.xz \
        refuses 'wrong checksum' "$here/build.sh" "$architecture" "$scratch/bogus"
    [ ! -e "$scratch/bogus" ]
}

leaves_nothing_of_a_wrong_tarball() {
    refuses_a_wrong_tarball "$scratch/cache"
    empty "$scratch/cache"
}

# A mirror's wrong file is stopped like a user's: the tarball in the cache stands for any download.
refuses_a_wrong_cached_tarball() {
    mkdir "$scratch/poisoned"
    version=$(sed -n 's/^version=//p' "$here/build.sh")
    echo 'not ffmpeg' >"$scratch/poisoned/ffmpeg-$version.tar.xz"
    SEGUE_CACHE=$scratch/poisoned refuses 'wrong checksum' "$here/build.sh" "$architecture" "$scratch/bogus"
    [ ! -e "$scratch/bogus" ]
    if ls -d "$scratch/poisoned/ffmpeg-build."* 2>/dev/null; then return 1; fi
}

refuses_an_unknown_architecture() {
    refuses 'x86_64 or arm64' "$here/build.sh" mips "$scratch/bogus"
}

names_the_missing_cross_compiler() {
    few_tools "$scratch/no-compiler"
    rm -f "$scratch/no-compiler/"*-linux-gnu-gcc
    elsewhere=$([ "$host" = arm64 ] && echo x86_64 || echo arm64)
    PATH=$scratch/no-compiler refuses 'apt-get install gcc-' "$here/build.sh" "$elsewhere" "$scratch/bogus"
}

# As SAM does: the chosen makefile, run in a copy of this folder.
sam_builds() {
    cd "$here"
    make -n -f "$architecture/Makefile" build-FfmpegLayer ARTIFACTS_DIR=/artifacts |
        grep -x "./build.sh '$architecture' '/artifacts'"
}

refuses_a_dynamic_binary() {
    echo 'int main(void) { return 0; }' >"$scratch/dynamic.c"
    "$compiler" -o "$scratch/dynamic" "$scratch/dynamic.c"
    refuses 'not statically linked' "$here/verify.sh" "$scratch/dynamic" "$architecture"
}

refuses_a_large_binary() {
    { cat "$scratch/layer/bin/ffmpeg" && head -c 8388608 /dev/zero; } >"$scratch/large"
    refuses 'more than 8388608' "$here/verify.sh" "$scratch/large" "$architecture"
}

# What the build may use, and so neither nasm nor curl nor flock.
few_tools() {
    mkdir -p "$1"
    for tool in sh awk basename cat chmod cmp cp cut dirname expr env grep head install ln ls mkdir mktemp mv nproc pr pwd \
        readelf rm sed sha256sum sort tail tar touch tr tty uname wc xz date make "$compiler" "${compiler%gcc}ar" \
        "${compiler%gcc}nm" "${compiler%gcc}ranlib" "${compiler%gcc}strip" "${compiler%gcc}as" "${compiler%gcc}ld"; do
        ln -sf "$(command -v "$tool")" "$1/$tool"
    done
}

# From a fresh copy of this folder, two at once.
builds_from_scratch() {
    cp -R "$here" "$scratch/copy"
    few_tools "$scratch/few"
    tarball=${FFMPEG_TARBALL:-$(ls "$cache"/ffmpeg-*.tar.xz)}
    for job in 1 2; do
        PATH=$scratch/few SEGUE_CACHE=$scratch/fresh FFMPEG_TARBALL=$tarball \
            "$scratch/copy/build.sh" "$architecture" "$scratch/job$job" &
        eval "job$job=$!"
    done
    # shellcheck disable=SC2154 # assigned by eval
    wait "$job1"
    # shellcheck disable=SC2154
    wait "$job2"
    cmp "$scratch/job1/bin/ffmpeg" "$scratch/job2/bin/ffmpeg"
    $emulator "$scratch/job1/bin/ffmpeg" -version
    ls -A "$scratch/fresh"
    [ "$(find "$scratch/fresh" -mindepth 1 -maxdepth 1 | wc -l)" -eq 1 ]
}

emulator=
machine=$(echo "$architecture" | sed s/arm64/aarch64/)
compiler=gcc
if [ "$architecture" != "$host" ]; then
    emulator=qemu-$machine-static
    compiler=$machine-linux-gnu-gcc
    command -v "$emulator" >/dev/null || {
        echo "$emulator not found; on Debian: apt-get install qemu-user-static" >&2
        exit 1
    }
fi
make -s -C "$here" install PREFIX="$scratch/layer" ARCHITECTURE="$architecture" || exit 1

for kind in demuxer muxer decoder encoder filter bsf protocol; do
    claim "has exactly the listed ${kind}s" has_exactly_the_listed $kind
done
claim "has no playlist, concatenation, network or device" has_no_way_out
claim "refuses playlists and addresses" refuses_playlists_and_addresses
claim "has no video or subtitle codec" has_no_video_codec
claim "is LGPL 2.1 and carries the licence" is_lgpl
claim "carries the configure line it was built with" carries_its_configure_line
claim "starts in an empty environment" starts_in_an_empty_environment
claim "is a static binary for $architecture within the size limit" "$here/verify.sh" "$scratch/layer/bin/ffmpeg" "$architecture"
claim "refuses a binary for another architecture" refuses "not built for $other" "$here/verify.sh" "$scratch/layer/bin/ffmpeg" "$other"
claim "refuses a dynamic binary" refuses_a_dynamic_binary
claim "refuses a binary over the size limit" refuses_a_large_binary
claim "refuses a file that is no binary" refuses "not an ELF binary" "$here/verify.sh" "$here/components" "$architecture"
claim "a wrong tarball stops the build and leaves nothing" leaves_nothing_of_a_wrong_tarball
claim "a wrong tarball stops the build whatever is cached" refuses_a_wrong_tarball "$cache"
claim "a wrong download stops the build" refuses_a_wrong_cached_tarball
claim "refuses an unknown architecture" refuses_an_unknown_architecture
claim "names the package of a missing cross compiler" names_the_missing_cross_compiler
claim "the makefile SAM is given builds for $architecture" sam_builds
claim "has a sample of each decoder" has_a_sample_of_each_decoder
claim "decodes each sample" decodes_each_sample
claim "encodes three bitrates and PCM in one process" encodes_the_ladder
claim "writes MP4 with a fragment per frame to a pipe" writes_a_fragment_per_frame
claim "FLAC is lossless" keeps_pcm_through flac flac
claim "WAV is lossless" keeps_pcm_through pcm_s24le wav
claim "measures loudness and mixes channels" measures_and_mixes
[ "$full" != --full ] || claim "builds from scratch twice at once without nasm, curl or flock" builds_from_scratch

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
