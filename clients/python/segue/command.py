"""The `segue` command.

Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 the server cannot be reached or asks to come back later.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

import segue

from .api import MusicApi
from .errors import SegueError, Unauthorized, Unavailable
from .song import Song


def main(arguments: list[str] | None = None) -> int:
    """Runs the command with these arguments (those of the process if None) and returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that knows no UTF-8 still shows every song.
            stream.reconfigure(errors="backslashreplace")
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.run is _add and options.name is not None and len(options.files) > 1:
        parser.error("--name can be given to one file only")
    try:
        api = MusicApi(getattr(options, "url", None), getattr(options, "key", None))
    except ValueError as error:
        parser.error(str(error))
    try:
        status: int = options.run(api, options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output, `head` perhaps, has seen enough; what is left must not be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return status


def printable(text: str) -> str:
    r"""The text with nothing in it that steers a terminal: names come from strangers' tags.

    Control characters, what breaks or reorders a line, and lone surrogates are escaped as `\u001b`, which JSON
    reads back.
    """
    return "".join(f"\\u{ord(character):04x}" if _steers(character) else character for character in text)


_REORDERING = frozenset(("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"))


def _steers(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in _REORDERING
    )


def _parser() -> argparse.ArgumentParser:
    server = argparse.ArgumentParser(add_help=False)
    # Suppressed defaults let both options stand before and after the subcommand.
    server.add_argument(
        "--url", default=argparse.SUPPRESS, help="the server's URL (default: SEGUE_URL, then port 8080 here)"
    )
    server.add_argument(
        "--key",
        default=argparse.SUPPRESS,
        help="its API key (default: SEGUE_API_KEY, which no process list shows)",
    )
    output = argparse.ArgumentParser(add_help=False)
    output.add_argument("--json", action="store_true", help="print one JSON object a line")

    parser = argparse.ArgumentParser(
        prog="segue", description="Add, list and remove the songs of a Segue server.", parents=[server]
    )
    parser.add_argument("--version", action="version", version=f"segue {segue.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    add = commands.add_parser("add", parents=[server, output], help="add audio files")
    add.add_argument("files", nargs="+", metavar="FILE")
    add.add_argument("--name", help="the song's name (default: from the file's tags, like the two below)")
    add.add_argument("--artist", "--author", dest="author")
    add.add_argument("--album")
    add.add_argument("--skip-existing", action="store_true", help="leave out files that the server has already")
    add.set_defaults(run=_add)

    listing = commands.add_parser("list", parents=[server, output], help="list songs, newest first")
    listing.add_argument(
        "-q", dest="words", metavar="WORDS", help="only those whose name, artists or album have these words"
    )
    listing.add_argument("--status", choices=("processing", "ready", "failed"), help="default: ready")
    listing.set_defaults(run=_list)

    show = commands.add_parser("show", parents=[server, output], help="show all that is known of a song")
    show.add_argument("id", metavar="ID")
    show.set_defaults(run=_show)

    remove = commands.add_parser("rm", parents=[server], help="delete songs")
    remove.add_argument("ids", nargs="+", metavar="ID")
    remove.set_defaults(run=_remove)

    address = commands.add_parser("url", parents=[server], help="print the URL to give to an HLS player")
    address.add_argument("id", metavar="ID")
    address.set_defaults(run=_address)
    return parser


def _add(api: MusicApi, options: argparse.Namespace) -> int:
    given = {"name": options.name, "author": options.author, "album": options.album}

    def add(file: str) -> None:
        present = api.made_of(file) if options.skip_existing else None
        song = present or api.add(file, **given)
        # A large file comes back while it is being made; whoever adds it wants to know how that ends.
        _print(api.wait_until_ready(song.id) if song.status == "processing" and not present else song, options)

    return _each(options.files, add)


def _list(api: MusicApi, options: argparse.Namespace) -> int:
    def songs(_: str) -> None:
        for song in api.songs(options.words, status=options.status):
            _print(song, options)

    return _each(["list"], songs)


def _show(api: MusicApi, options: argparse.Namespace) -> int:
    def show(id: str) -> None:
        song = api.song(id)
        if options.json:
            _print(song, options)
            return
        for name, value in _object(song).items():
            print(f"{printable(name)}: {printable(value) if isinstance(value, str) else _json(value)}")

    return _each([options.id], show)


def _remove(api: MusicApi, options: argparse.Namespace) -> int:
    return _each(options.ids, api.delete)


def _address(api: MusicApi, options: argparse.Namespace) -> int:
    return _each([options.id], lambda id: print(printable(api.song(id).stream_url)))


def _each(subjects: Iterable[str], action: Callable[[str], None]) -> int:
    """Does the action for every subject, whatever becomes of the others, and returns the exit status."""
    worst = 0
    for subject in subjects:
        try:
            action(subject)
        except BrokenPipeError:
            raise
        except (SegueError, OSError, ValueError) as error:
            message = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            if isinstance(error, Unauthorized):
                message += " (the key is taken from --key or SEGUE_API_KEY)"
            print(printable(f"segue: {subject}: {message}"), file=sys.stderr)
            worst = max(worst, 3 if isinstance(error, Unavailable) else 1)
    return worst


def _print(song: Song, options: argparse.Namespace) -> None:
    if options.json:
        print(_json(_object(song)))
        return
    note = "" if song.status == "ready" else f" ({song.status})"
    print(printable(f"{song.id}  {_clock(song.duration):>7}  {song.author} - {song.name}{note}"))


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes}:{second:02}"


def _object(song: Song) -> dict[str, Any]:
    """All that the server said of the song, its stream URL absolute."""
    return {**song.raw, "stream_url": song.stream_url}


def _json(value: object) -> str:
    return printable(json.dumps(value, ensure_ascii=False))
