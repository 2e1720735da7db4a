#!/bin/sh
# Builds the layer's ffmpeg, static and audio only, unless the cache has it:
#   build.sh ARCHITECTURE PREFIX
# leaves PREFIX/bin/ffmpeg and, in PREFIX/share/ffmpeg, its licence and configure line.
set -eu

version=7.1.5
sha256=de668509caf9e35e3cd162473441fdb29538c6d96ed080292b3cf9e6fc5d558f
upstream=https://ffmpeg.org/releases/ffmpeg-$version.tar.xz

# make's own variables would reach ffmpeg's makefiles, and compiler flags its configure.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL CFLAGS CPPFLAGS LDFLAGS
export LC_ALL=C

fail() {
    echo "ffmpeg layer: $*" >&2
    exit 1
}

say() {
    echo "ffmpeg layer: $*" >&2
}

here=$(cd "$(dirname "$0")" && pwd)
architecture=${1:-}
prefix=${2:-}
[ -n "$prefix" ] || fail "usage: build.sh ARCHITECTURE PREFIX"

case $architecture in
    x86_64) machine=x86_64 package=gcc-x86-64-linux-gnu ;;
    arm64) machine=aarch64 package=gcc-aarch64-linux-gnu ;;
    *) fail "architecture is x86_64 or arm64, not '$architecture'" ;;
esac

if [ "$(uname -m)" = $machine ]; then
    toolchain=
    compiler=gcc
    package=gcc
else
    toolchain="--enable-cross-compile --target-os=linux --arch=$machine --cross-prefix=$machine-linux-gnu-"
    compiler=$machine-linux-gnu-gcc
fi
command -v $compiler >/dev/null || fail "$compiler not found; on Debian: apt-get install $package"

assembler=
if [ "$architecture" = x86_64 ]; then
    if command -v nasm >/dev/null; then
        assembler=$(nasm --version)
    else
        toolchain="$toolchain --disable-x86asm"
    fi
fi

verify_checksum() {
    actual=$(sha256sum <"$1")
    actual=${actual%% *}
    [ "$actual" = $sha256 ] || fail "$1 has the wrong checksum, nothing was built
  expected SHA-256 $sha256
  actual   SHA-256 $actual"
}

# Distributions keep upstream's release beside their packages: ask the machine's own mirror, as apt does.
download_from_distribution() {
    helper=/usr/lib/apt/apt-helper
    [ -x $helper ] || return 1
    # shellcheck disable=SC1091
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016 # the dollars are apt's
    for mirror in $(apt-get indextargets --format '$(RELEASE) $(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk -v release="$release" '($1 == release || $2 == release) && $3 == "main" { print $4 }' | sort -u); do
        $helper -o APT::Sandbox::User=root download-file "${mirror}pool/main/f/ffmpeg/ffmpeg_$version.orig.tar.xz" "$1" >&2 && return
    done
    return 1
}

download() {
    download_from_distribution "$1" && return
    say "not on the distribution's mirror, trying $upstream"
    curl --fail --location --silent --show-error --output "$1" "$upstream" ||
        fail "could not download $upstream; fetch it elsewhere and set FFMPEG_TARBALL=path"
}

components() {
    awk -v kind="$1" '$1 == kind { printf "%s%s", separator, $2; separator = "," }' "$here/components"
}

run_logged() {
    "$@" >"$work/log" 2>&1 && return
    tail -n 20 "$work/log" >&2
    fail "'$1' failed"
}

build() {
    echo 'int main(void) { return 0; }' >"$work/probe.c"
    $compiler -static -o "$work/probe" "$work/probe.c" -lm 2>/dev/null ||
        fail "$compiler cannot link statically; install the static C library (libc6-dev, glibc-static)"

    options="--prefix=/usr --disable-everything --disable-autodetect --disable-network --disable-iamf
        --disable-programs --enable-ffmpeg --disable-doc --disable-debug
        --disable-avdevice --disable-swscale --disable-postproc --disable-pixelutils
        --extra-ldflags=-static $toolchain"
    for kind in demuxer decoder parser encoder muxer filter bsf protocol; do
        options="$options --enable-$kind=$(components $kind)"
    done

    tar -xJf "$tarball" -C "$work"
    mkdir "$work/build"
    cd "$work/build"
    # Relative, so that the binary does not hold the path of a temporary directory.
    # shellcheck disable=SC2086 # options are words
    run_logged ../ffmpeg-$version/configure $options
    ! grep 'did not match anything' "$work/log" >&2 || fail "components names something ffmpeg does not have"
    run_logged make -j "$(nproc)" ffmpeg

    mkdir -p "$work/output/bin" "$work/output/share/ffmpeg"
    cp ffmpeg "$work/output/bin/"
    cp ../ffmpeg-$version/COPYING.LGPLv2.1 "$work/output/share/ffmpeg/"
    {
        echo "# ffmpeg $version, unmodified: $upstream"
        echo "# SHA-256 $sha256"
        # shellcheck disable=SC2086
        echo ./configure $options
    } >"$work/output/share/ffmpeg/CONFIGURE"
    "$here/verify.sh" "$work/output/bin/ffmpeg" "$architecture"
}

[ -z "${FFMPEG_TARBALL:-}" ] || verify_checksum "$FFMPEG_TARBALL"

cache=${SEGUE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/segue}
key=$({
    cat "$here/build.sh" "$here/components"
    echo "$architecture $assembler"
    $compiler --version
} | sha256sum | cut -c 1-32)
built=$cache/ffmpeg-$key

if [ ! -d "$built" ]; then
    mkdir -p "$cache"
    # Two builds at once are correct, for each renames what it finished; the lock saves the second its work.
    if command -v flock >/dev/null; then
        exec 9>"$cache/ffmpeg.lock"
        flock 9
    fi
fi
if [ ! -d "$built" ]; then
    work=$(mktemp -d "$cache/ffmpeg-build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM

    tarball=${FFMPEG_TARBALL:-$cache/ffmpeg-$version.tar.xz}
    if [ ! -f "$tarball" ]; then
        download "$work/source.tar.xz"
        verify_checksum "$work/source.tar.xz"
        mv "$work/source.tar.xz" "$tarball"
    fi
    verify_checksum "$tarball"

    [ "$architecture" != x86_64 ] || [ -n "$assembler" ] || say "nasm not found: building without SIMD assembly, encoding will be slower"
    say "building ffmpeg $version for $architecture, about a minute"
    (build)
    mv -T "$work/output" "$built" 2>/dev/null || [ -d "$built" ]
fi

"$here/verify.sh" "$built/bin/ffmpeg" "$architecture"
mkdir -p "$prefix/bin" "$prefix/share/ffmpeg"
cp "$built/share/ffmpeg/"* "$prefix/share/ffmpeg/"
# Renamed into place, because the old one may be running.
cp "$built/bin/ffmpeg" "$prefix/bin/ffmpeg.$$"
mv -f "$prefix/bin/ffmpeg.$$" "$prefix/bin/ffmpeg"
