"""The client and the command against a real gateway."""

from __future__ import annotations

import json
import random
import wave
from itertools import islice
from pathlib import Path
from urllib.request import urlopen

import pytest
from conftest import Run

import segue.api
from segue import MusicApi, NotFound, Rejected

PROGRAM = Path(__file__).with_name("predecessor_program.py")
NO_SONG = "0192f0c1-7d0a-7c3e-9a55-0d6f3c8a1b2c"


def test_a_program_written_for_the_predecessor_runs_unchanged(
    url: str, key: str, real_song: Path, author: str, run: Run
) -> None:
    result = run(str(PROGRAM), author, str(real_song), SEGUE_URL=url, SEGUE_API_KEY=key)
    assert result.returncode == 0, result.stderr
    # Each part of its output is a heading and lines.
    added, listed, printed, missing, deleted, left = (
        part.splitlines()[1:] for part in result.stdout.rstrip().split("\n\n")
    )
    for line, name in zip(added, ("First Song", "Second Song")):
        song = json.loads(line)
        assert (song["name"], song["author"]) == (name, author)
        assert f"{song['id']} {name} {author}" in listed
        assert song["id"] in [json.loads(line)["id"] for line in printed]
    assert len(added) == 2
    assert missing == ["{}"]
    assert [json.loads(line) for line in deleted] == [{"deleted": 1}, {"deleted": 1}, {"deleted": 0}]
    assert left == ["[]"]


def test_an_added_song_plays_from_its_stream_url(api: MusicApi, real_song: Path, author: str) -> None:
    song = api.add(real_song, name="Real", author=author, album="Album")
    song = api.wait_until_ready(song.id)
    assert (song.name, song.author, song.album, song.status) == ("Real", author, "Album", "ready")
    assert song.duration is not None and song.duration > 1
    assert song.source["bytes"] == real_song.stat().st_size
    assert song.variants and all(variant.bandwidth > 0 for variant in song.variants)
    with urlopen(song.stream_url) as playlist:
        assert playlist.read().startswith(b"#EXTM3U")


def test_a_large_file_goes_by_parts_and_comes_back_as_it_was(
    url: str, key: str, author: str, tmp_path: Path, api: MusicApi, run: Run
) -> None:
    path = tmp_path / "large.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(random.Random(1).randbytes(10_000_000))
    result = run("-m", "segue", "add", str(path), "--author", author, "--json", SEGUE_URL=url, SEGUE_API_KEY=key)
    assert result.returncode == 0, result.stderr
    song = json.loads(result.stdout)
    assert (song["name"], song["author"], song["status"]) == ("large", author, "ready")
    copy = tmp_path / "copy.wav"
    api.original(song["id"], copy)
    assert copy.read_bytes() == path.read_bytes()

    # Once more, it is there already.
    arguments = ("-m", "segue", "add", "--skip-existing", str(path), "--json")
    again = run(*arguments, SEGUE_URL=url, SEGUE_API_KEY=key)
    assert json.loads(again.stdout)["id"] == song["id"]
    assert [song["id"]] == [found.id for found in api.songs(author)]


def test_names_arrive_as_they_were_given(api: MusicApi, tone: Path, author: str) -> None:
    name = 'R&B + C = 100 % ?#/\\ "ü" 坂本 \N{MULTIPLE MUSICAL NOTES}'
    song = json.loads(api.insert(author, name, str(tone)))
    assert song["name"] == name
    assert json.loads(api.get(song["id"]))["name"] == name


def test_a_song_that_is_answered_at_once_becomes_ready(api: MusicApi, tone: Path, author: str) -> None:
    song = api.add(tone, name="Later", author=author, respond_async=True)
    assert song.status in ("processing", "ready")
    ready = api.wait_until_ready(song.id, timeout=60)
    assert (ready.status, ready.duration) == ("ready", pytest.approx(1.0, abs=0.001))


def test_the_list_is_one_array_of_all_pages(url: str, key: str, tone: Path, author: str) -> None:
    api = MusicApi(url, key, page_size=2)
    ids = [api.add(tone, name=f"Song {number}", author=author).id for number in range(5)]
    listed = [song["id"] for song in json.loads(api.list())]
    assert [id for id in listed if id in ids] == ids[::-1]
    assert len(listed) == len(set(listed))
    assert [song.id for song in api.songs(author)] == ids[::-1]
    assert [song.id for song in api.songs(author, limit=3)] == ids[:1:-1]
    assert [song.id for song in islice(api.songs(author), 1)] == ids[:-2:-1]
    assert list(api.songs(author, limit=0)) == []


def test_songs_are_found_by_words_album_and_status(api: MusicApi, tone: Path, author: str) -> None:
    first = api.add(tone, name="Ágætis byrjun", author=author, album=author + " one")
    second = api.add(tone, name="Svefn-g-englar", author=author, album=author + " two")
    assert [song.id for song in api.songs(f"AGÆ {author}")] == [first.id]
    assert [song.id for song in api.songs(album=author + " two")] == [second.id]
    assert list(api.songs(author, status="failed")) == []


def test_fields_change_and_go_and_a_stale_etag_is_refused(api: MusicApi, tone: Path, author: str) -> None:
    before = api.song(api.add(tone, name="Before", author=author, album="Album").id)
    assert before.etag
    after = api.update(before.id, if_match=before.etag, name="After", track=7, album=None)
    assert (after.name, after.track, after.album) == ("After", 7, None)
    with pytest.raises(Rejected) as refused:
        api.update(before.id, if_match=before.etag, name="Too late")
    assert refused.value.status == 412
    assert api.song(before.id).name == "After"


def test_a_song_may_have_several_artists_and_each_finds_it(api: MusicApi, tone: Path, author: str) -> None:
    song = api.add(tone, name="Duet", artist=author)
    assert (song.artist, song.author, song.artists) == (author, author, (author,))
    song = api.update(song.id, artists=[author, "Zoë Ångström"])
    assert (song.artist, song.artists) == (f"{author}, Zoë Ångström", (author, "Zoë Ångström"))
    assert [found.id for found in api.songs(f"{author} angstrom")] == [song.id]


def test_an_untagged_file_is_called_by_its_name(api: MusicApi, tone: Path, author: str, tmp_path: Path) -> None:
    path = tmp_path / "03 - Jóga.wav"
    path.write_bytes(tone.read_bytes())
    song = api.add(path, album=author)
    try:
        assert (song.name, song.artist) == ("Jóga", "Unknown artist")
    finally:
        api.delete(song.id)


def test_the_original_comes_back_byte_for_byte(
    api: MusicApi, tone: Path, author: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segue.api, "_PART", 10_000)  # several parts, the last one shorter
    song = api.add(tone, name="Original", author=author)
    copy = tmp_path / "copy.wav"
    api.original(song.id, copy)
    assert copy.read_bytes() == tone.read_bytes()
    assert list(tmp_path.iterdir()) == [copy]


def test_a_deleted_song_is_gone(api: MusicApi, tone: Path, author: str) -> None:
    song = api.add(tone, name="Gone", author=author)
    api.delete(song.id)
    with pytest.raises(NotFound):
        api.song(song.id)
    with pytest.raises(NotFound):
        api.delete(song.id)
    assert json.loads(api.remove(song.id)) == {"deleted": 0}
    assert list(api.songs(author)) == []


@pytest.mark.parametrize("id", [NO_SONG, "11111", "", ".", "..", "a/b", "../songs", "?limit=1", "%2e%2e", "\x1b", "é"])
def test_what_is_no_id_names_no_song(api: MusicApi, id: str, tmp_path: Path) -> None:
    assert api.get(id) == "{}"
    assert json.loads(api.remove(id)) == {"deleted": 0}
    with pytest.raises(NotFound):
        api.original(id, tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_audio_is_rejected_with_a_reason(api: MusicApi, author: str, tmp_path: Path) -> None:
    text = tmp_path / "text.mp3"
    text.write_text("these are words, not sounds\n" * 100)
    with pytest.raises(Rejected) as refused:
        api.add(text, name="Text", author=author)
    assert refused.value.status == 422
    assert refused.value.detail
    assert [song for status in ("ready", "processing", "failed") for song in api.songs(author, status=status)] == []


def test_the_command_adds_lists_shows_and_removes(url: str, key: str, tone: Path, author: str, run: Run) -> None:
    def segue(*arguments: str) -> str:
        result = run("-m", "segue", *arguments, SEGUE_URL=url, SEGUE_API_KEY=key)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    song = json.loads(segue("add", str(tone), "--name", "Tone", "--author", author, "--album", "A", "--json"))
    assert segue("list", "-q", author) == f"{song['id']}     0:01  {author} - Tone\n"
    assert json.loads(segue("list", "-q", author, "--json"))["id"] == song["id"]
    shown = segue("show", song["id"])
    assert f"author: {author}\n" in shown and "status: ready\n" in shown
    address = segue("url", song["id"]).strip()
    assert address == song["stream_url"] and address.startswith("http")
    with urlopen(address) as playlist:
        assert playlist.read().startswith(b"#EXTM3U")
    assert segue("rm", song["id"]) == ""
    assert segue("list", "-q", author) == ""


def test_the_command_goes_on_after_a_failure_and_says_so(
    url: str, key: str, tone: Path, author: str, run: Run, tmp_path: Path
) -> None:
    missing = str(tmp_path / "missing.mp3")
    result = run("-m", "segue", "add", missing, str(tone), "--author", author, "--url", url, SEGUE_API_KEY=key)
    assert result.returncode == 1
    assert result.stderr.startswith(f"segue: {missing}: No such file or directory\n")

    result = run("-m", "segue", "--url", url, "rm", NO_SONG, SEGUE_API_KEY=key)
    assert result.returncode == 1
    assert result.stderr.startswith(f"segue: {NO_SONG}: ")
