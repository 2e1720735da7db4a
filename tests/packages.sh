#!/usr/bin/env bash
# Installs what the tests take from the distribution: a stock ffmpeg, which makes the inputs and is
# tested beside the layer's, a few hours of free music, a browser, and other players.
set -euo pipefail

installed() {
    dpkg-query --show --showformat '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

missing=()
command -v ffmpeg >/dev/null || missing+=(ffmpeg)
[ -d /usr/share/games/wesnoth ] || missing+=(wesnoth-1.16-music)
command -v chromium >/dev/null || missing+=(chromium)
command -v node >/dev/null && command -v npm >/dev/null || missing+=(nodejs npm)
command -v nasm >/dev/null || missing+=(nasm)
command -v mpv >/dev/null || missing+=(mpv)
# Without its interfaces.
command -v vlc >/dev/null || missing+=(vlc-bin vlc-plugin-base)
command -v gst-launch-1.0 >/dev/null || missing+=(gstreamer1.0-tools)
# HTTP, HLS, and AAC, each in a set of plugins of its own.
for set in base good bad; do
    installed "gstreamer1.0-plugins-$set" || missing+=("gstreamer1.0-plugins-$set")
done
installed gstreamer1.0-libav || missing+=(gstreamer1.0-libav)
[ "${#missing[@]}" -eq 0 ] && exit 0

echo "installing ${missing[*]}" >&2
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "the tests need the packages ${missing[*]}: install them, or run as root on Debian or Ubuntu" >&2
    exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
