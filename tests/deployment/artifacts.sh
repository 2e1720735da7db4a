#!/usr/bin/env bash
# What `sam build` left: each bootstrap at most 18 MB and for a glibc that provided.al2023 has, the
# layer beside them, and far less than the 250 MB that Lambda unpacks.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=.aws-sam/build
status=0
fail() {
    echo "$*" >&2
    status=1
}

for function in CrudFunction StreamingFunction; do
    file=$build/$function/bootstrap
    size=$(stat --format=%s "$file")
    glibc=$(readelf --version-info "$file" | grep --only-matching 'GLIBC_[0-9.]*' | sort --unique --version-sort | tail -1)
    echo "$function: $size bytes, needs $glibc"
    [ "$size" -le 18000000 ] || fail "$file is larger than 18 MB"
    [ "$(printf '%s\nGLIBC_2.34\n' "$glibc" | sort --version-sort | tail -1)" = GLIBC_2.34 ] ||
        fail "$file needs $glibc, and provided.al2023 has GLIBC_2.34"
    others=$(find "$build/$function" -type f ! -name bootstrap)
    [ -z "$others" ] || fail "$function carries $others"
done

[ -x $build/FfmpegLayer/bin/ffmpeg ] || fail "the layer has no bin/ffmpeg"
total=$(du --summarize --bytes $build | cut -f1)
echo "everything: $total bytes"
[ "$total" -le 60000000 ] || fail "$build takes more than 60 MB"
exit $status
