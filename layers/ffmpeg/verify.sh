#!/bin/sh
# Refuses a binary that Lambda could not run or a layer should not carry:
#   verify.sh FILE ARCHITECTURE
set -eu
export LC_ALL=C

file=$1
architecture=$2
limit=$((8 * 1024 * 1024))

fail() {
    echo "ffmpeg layer: $file $*" >&2
    exit 1
}

case $architecture in
    x86_64) machine='X86-64' ;;
    arm64) machine='AArch64' ;;
    *) fail "cannot be for '$architecture': architecture is x86_64 or arm64" ;;
esac

header=$(readelf --file-header "$file" 2>/dev/null) || fail "is not an ELF binary"
echo "$header" | grep -q "Machine:.*$machine" || fail "is not built for $architecture"
! readelf --program-headers "$file" | grep -q 'INTERP\|DYNAMIC' || fail "is not statically linked"
size=$(wc -c <"$file")
[ "$size" -le $limit ] || fail "has $size bytes, more than $limit"
