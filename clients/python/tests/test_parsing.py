"""What needs no server: headers, problems and songs out of their text."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from email.message import Message
from email.utils import format_datetime

import pytest

import segue
from segue import ApiError, MusicApi, NotFound, Rejected, Song, Unauthorized, Unavailable, Variant
from segue.command import printable
from segue.errors import error_from, seconds
from segue.transport import next_link

BASE = "https://music.example/prod/songs?limit=2"

SONG = {
    "id": "0192f0c1-7d0a-7c3e-9a55-0d6f3c8a1b2c",
    "name": "Knolls",
    "author": "Ryan Reilly",
    "album": None,
    "duration": 213.5,
    "status": "ready",
    "variants": [
        {"name": "128", "bandwidth": 131072, "average_bandwidth": 129000, "codecs": "mp4a.40.2", "gain": -3.0},
    ],
    "source": {"codec": "vorbis", "sample_rate": 44100},
    "stream_url": "/stream/0192f0c1-7d0a-7c3e-9a55-0d6f3c8a1b2c/outputlist.m3u8",
    "created_at": "2026-01-02T03:04:05Z",
    "mood": "calm",
    "etag": "a field of a newer server, not the header",
}


@pytest.mark.parametrize(
    "header",
    [
        '<?cursor=a%2Cb&limit=2>; rel="next"',
        "<?cursor=a%2Cb&limit=2>;rel=next",
        "<?cursor=a%2Cb&limit=2> ; title=x ; REL = NEXT",
        '<?cursor=a%2Cb&limit=2>; rel="last next"',
        '<?cursor=1>; rel="prev", <?cursor=a%2Cb&limit=2>; rel="next"',
        '<?cursor=1>; rel=prev; title="a, <b>; rel=next", <?cursor=a%2Cb&limit=2>; rel="next"',
        "</prod/songs?cursor=a%2Cb&limit=2>; rel=next",
        "<https://music.example/prod/songs?cursor=a%2Cb&limit=2>; rel=next",
    ],
)
def test_the_next_page_is_found_in_every_form_a_link_header_may_have(header: str) -> None:
    assert next_link(BASE, header) == "https://music.example/prod/songs?cursor=a%2Cb&limit=2"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "<?cursor=1>",
        '<?cursor=1>; rel="prev"',
        '<?cursor=1>; rel="nextest"',
        "cursor=1; rel=next",
        '<?cursor=1>; title="rel=next"',
        '<?cursor=1>; title="; rel=next"',
        '<?cursor=1>; rel=prev; a="',
    ],
)
def test_without_a_link_to_the_next_page_there_is_none(header: str | None) -> None:
    assert next_link(BASE, header) is None


def test_the_credit_has_two_names_and_the_artists_are_at_least_one() -> None:
    song = Song.from_dict(SONG)
    assert (song.artist, song.author, song.artists) == ("Ryan Reilly", "Ryan Reilly", ("Ryan Reilly",))
    renamed = {name: value for name, value in SONG.items() if name != "author"}
    song = Song.from_dict({**renamed, "artist": "A feat. B", "artists": ["A", "B"]})
    assert (song.artist, song.author, song.artists) == ("A feat. B", "A feat. B", ("A", "B"))
    for wrong in ({"author": 1}, {"artists": "A"}, {"artists": [1]}):
        with pytest.raises(ValueError):
            Song.from_dict({**SONG, **wrong})
    with pytest.raises(ValueError):
        MusicApi("http://127.0.0.1:1").add(__file__, artist="A", author="B")


def test_a_song_keeps_what_a_newer_server_says_of_it() -> None:
    song = Song.from_dict(SONG)
    assert (song.id, song.name, song.author) == (SONG["id"], "Knolls", "Ryan Reilly")
    assert (song.duration, song.album, song.genre) == (213.5, None, None)
    assert song.variants == (Variant("128", 131072, "mp4a.40.2", 129000),)
    assert song.source["codec"] == "vorbis"
    assert song.raw["mood"] == "calm"
    assert song.raw["variants"][0]["gain"] == -3.0
    assert song.etag is None


def test_a_song_cannot_be_changed_and_can_be_a_key() -> None:
    song = Song.from_dict(SONG)
    with pytest.raises(dataclasses.FrozenInstanceError):
        song.name = "Other"  # type: ignore[misc]
    assert {song: 1}[Song.from_dict(SONG)] == 1


NOT_VARIANTS = [{"a": 1}, 7, [7], [{}]]


@pytest.mark.parametrize(
    "data",
    [
        *[None, [], "song", 7, {}],
        *[{**SONG, "id": 7}, {**SONG, "name": None}, {**SONG, "status": []}],
        *[{**SONG, "variants": variants} for variants in NOT_VARIANTS],
    ],
)
def test_what_is_not_a_song_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="must"):
        Song.from_dict(data)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected),
        (401, Unauthorized),
        (404, NotFound),
        (412, Rejected),
        (413, Rejected),
        (422, Rejected),
        (429, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
        (500, ApiError),
        (599, ApiError),
    ],
)
def test_an_error_is_of_the_kind_its_status_says(status: int, kind: type[ApiError]) -> None:
    error = error_from(status, Message(), b"")
    assert type(error) is kind
    assert error.status == status
    assert str(status) in str(error)


def test_a_problem_is_read_field_by_field() -> None:
    body = b'{"type": "/problems/not-audio", "title": "not audio", "status": 422, "detail": "the file is text"}'
    error = error_from(422, Message(), body)
    assert (error.type, error.title, error.detail) == ("/problems/not-audio", "not audio", "the file is text")
    assert str(error) == "not audio: the file is text"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff\xfe", b"null", b'{"title": 7, "detail": []}'])
def test_an_error_needs_no_problem_to_be_told(body: bytes) -> None:
    error = error_from(500, Message(), body)
    assert (error.title, error.type, error.detail) == ("500 Internal Server Error", "about:blank", None)


def test_what_a_gateway_says_in_the_servers_place_is_told() -> None:
    assert str(error_from(503, Message(), b'{"message": "Service Unavailable"}')).endswith(": Service Unavailable")
    assert "larger than this server" in str(error_from(413, Message(), b'{"message": "Request Too Long"}'))
    assert "at most 4 MiB" in str(error_from(413, Message(), b'{"title": "too large", "detail": "at most 4 MiB"}'))


def test_retry_after_is_seconds_whether_sent_as_number_or_date() -> None:
    assert seconds("5") == 5.0
    assert seconds(format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), usegmt=True)) == pytest.approx(
        3600, abs=5
    )
    assert seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert seconds(None) is seconds("soon") is seconds("") is seconds("-5") is None


@pytest.mark.parametrize(
    "url", ["ftp://host", "file:///etc/passwd", "host:8080", "http://", "http://h:x", "http://h?a=1"]
)
def test_a_base_url_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        MusicApi(url)


@pytest.mark.parametrize("key", ["a\r\nX-Evil: 1", "schl\u00fcssel"])
def test_a_key_that_no_header_can_carry_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="API key"):
        MusicApi("http://127.0.0.1:1", key)


def test_nothing_that_steers_a_terminal_is_printable() -> None:
    assert printable("\x1b[2J\x07\x7f\x9b") == r"\u001b[2J\u0007\u007f\u009b"
    assert printable("a\nb\tc\u2028d") == r"a\u000ab\u0009c\u2028d"
    assert printable("abc\u202efdp.exe") == r"abc\u202efdp.exe"
    assert printable("\udcff") == r"\udcff"


def test_names_of_all_the_world_stay_readable() -> None:
    for name in ("Sigur Rós: Ágætis byrjun", "می‌خواهم", "坂本龍一", "👩‍🎤", "non\u00a0breaking"):
        assert printable(name) == name


def test_everything_the_package_names_is_there() -> None:
    assert all(hasattr(segue, name) for name in segue.__all__)
