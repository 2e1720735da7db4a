"""Reads each file named as a playlist, strictly. Prints how many segments or variants each has."""

import pathlib
import sys

import m3u8

for path in sys.argv[1:]:
    text = pathlib.Path(path).read_text(encoding="utf-8")
    playlist = m3u8.M3U8(text, strict=True)
    print(len(playlist.playlists) if playlist.is_variant else len(playlist.segments))
