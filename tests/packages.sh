#!/usr/bin/env bash
# Installs what the tests take from the distribution: a stock ffmpeg, which makes the inputs and is
# tested beside the layer's, a few hours of free music, and what runs clients in JavaScript.
set -euo pipefail

missing=()
command -v ffmpeg >/dev/null || missing+=(ffmpeg)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
[ -d /usr/share/games/wesnoth ] || missing+=(wesnoth-1.16-music)
[ "${#missing[@]}" -eq 0 ] && exit 0

echo "installing ${missing[*]}" >&2
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "the tests need the packages ${missing[*]}: install them, or run as root on Debian or Ubuntu" >&2
    exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
