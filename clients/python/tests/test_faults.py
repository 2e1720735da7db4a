"""What a real gateway cannot be made to answer, from a small server on loopback that answers just that."""

from __future__ import annotations

import json
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

from segue import ApiError, IngestFailed, MusicApi, Rejected, Unauthorized, Unavailable

SONG = {
    "id": "0192f0c1-7d0a-7c3e-9a55-0d6f3c8a1b2c",
    "name": "Song",
    "author": "Author",
    "status": "ready",
    "variants": [],
    "source": {},
    "stream_url": "/stream/0192f0c1-7d0a-7c3e-9a55-0d6f3c8a1b2c/outputlist.m3u8",
}


class Server(ThreadingHTTPServer):
    """Gives the answers it holds, one a request, the last one for ever, and keeps the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.received = 0
        self.reads_bodies = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, status: int, body: object = b"", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.append((status, {"Content-Length": str(len(content)), **named}, content))


class Handler(BaseHTTPRequestHandler):
    server: Server

    def handle_any(self) -> None:
        self.server.requests.append((self.command, self.path, dict(self.headers)))
        left = int(self.headers.get("Content-Length", 0)) if self.server.reads_bodies else 0
        while left > 0:
            block = self.rfile.read(min(left, 1 << 16))
            if not block:
                break
            left -= len(block)
            self.server.received += len(block)
        status, headers, body = self.server.answers[0]
        if len(self.server.answers) > 1:
            del self.server.answers[0]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = handle_any

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def big_file(tmp_path: Path) -> Path:
    """64 MiB that take no room on the disk."""
    path = tmp_path / "big.flac"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    return path


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="no answer from http") as error:
        MusicApi(f"http://127.0.0.1:{closed_port()}").list()
    assert (error.value.status, error.value.retry_after) == (None, None)


def test_a_busy_server_is_unavailable_and_says_for_how_long(server: Server) -> None:
    server.answer(503, {"title": "database unavailable"}, Retry_After="7")
    with pytest.raises(Unavailable, match="database unavailable") as error:
        MusicApi(server.url).song("x")
    assert (error.value.status, error.value.retry_after) == (503, 7.0)


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(server: Server) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(Unavailable, match="timed out"):
            MusicApi(f"http://127.0.0.1:{mute.getsockname()[1]}", timeout=0.2).list()


@pytest.mark.parametrize("body", [b"<html>It works!</html>", b"", b"\xff\xfe", b'{"not": "a song"}', b"7", b"[[]]"])
def test_an_answer_that_is_not_in_the_contract_is_an_error(server: Server, body: bytes) -> None:
    server.answer(200, body)
    api = MusicApi(server.url)
    with pytest.raises(ApiError, match="does not look like a Segue server"):
        api.song("x")
    with pytest.raises(ApiError, match="does not look like a Segue server"):
        list(api.songs())


@pytest.mark.parametrize("body", [b"<html>It works!</html>", b"", b"\xff\xfe"])
def test_text_is_json_or_an_error(server: Server, body: bytes) -> None:
    server.answer(200, body)
    api = MusicApi(server.url)
    for call in (api.list, lambda: api.get("x"), lambda: api.remove("x"), lambda: api.insert("a", "n", __file__)):
        with pytest.raises(ApiError, match="not JSON"):
            call()


def test_text_is_as_the_server_sent_it(server: Server) -> None:
    text = '[ {"id" :"1", "name":"\u00e9", "duration": 1.50} ]'
    server.answer(200, text.encode())
    assert MusicApi(server.url).list() == text


def test_an_answer_that_breaks_off_is_unavailable_and_leaves_no_file(server: Server, tmp_path: Path) -> None:
    server.answer(206, b"half", Content_Length="8", Content_Range="bytes 0-7/8")
    path = tmp_path / "song.mp3"
    with pytest.raises(Unavailable, match="broke off"):
        MusicApi(server.url).original("x", path)
    server.answers.clear()
    server.answer(200, b"[", Content_Length="8")
    with pytest.raises(Unavailable):
        MusicApi(server.url).list()
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_the_original_that_was_not_asked_for_is_an_error(server: Server, tmp_path: Path) -> None:
    server.answer(206, b"abcd", Content_Range="bytes 4-7/8")
    with pytest.raises(ApiError, match="not the part"):
        MusicApi(server.url).original("x", tmp_path / "song.mp3")
    assert list(tmp_path.iterdir()) == []


def test_the_original_of_a_server_without_ranges_is_taken_whole(server: Server, tmp_path: Path) -> None:
    server.answer(200, b"whole")
    MusicApi(server.url).original("x", tmp_path / "song.mp3")
    assert (tmp_path / "song.mp3").read_bytes() == b"whole"


def test_the_key_is_sent_as_a_bearer_token_and_a_wrong_one_is_unauthorized(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer(401, {"title": "unauthorized"}, WWW_Authenticate="Bearer")
    with pytest.raises(Unauthorized):
        MusicApi(server.url, "from-argument").remove("x")
    monkeypatch.setenv("SEGUE_API_KEY", "from-environment")
    with pytest.raises(Unauthorized):
        MusicApi(server.url).remove("x")
    sent = [headers["Authorization"] for _, _, headers in server.requests]
    assert sent == ["Bearer from-argument", "Bearer from-environment"]


def test_the_key_goes_to_no_other_host(server: Server) -> None:
    other = f"http://127.0.0.1:{closed_port()}"
    server.answer(200, [SONG], Link=f'<{other}/stage/songs?cursor=2>; rel="next"')
    server.answer(200, [SONG])
    api = MusicApi(server.url + "/stage/", "secret")
    assert len(list(api.songs())) == 2
    assert [path for _, path, _ in server.requests] == ["/stage/songs?limit=1000", "/stage/songs?cursor=2"]
    server.answers.clear()
    server.answer(302, Location=other)
    with pytest.raises(ApiError, match=f"redirects to {other}"):
        api.list()


def test_pages_are_asked_for_as_they_are_used(server: Server) -> None:
    server.answer(200, [SONG], Link='<?cursor=2>; rel="next"')
    songs = MusicApi(server.url).songs()
    assert server.requests == []
    assert next(songs).name == "Song"
    assert len(server.requests) == 1
    assert next(songs).name == "Song"
    assert [path for _, path, _ in server.requests] == ["/songs?limit=1000", "/songs?cursor=2"]


def test_a_song_is_streamed_from_disk(server: Server, big_file: Path) -> None:
    server.answer(201, SONG)
    tracemalloc.start()
    try:
        assert json.loads(MusicApi(server.url).insert("author", "name", big_file)) == SONG
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert server.received == big_file.stat().st_size
    assert peak < 4 << 20
    method, path, headers = server.requests[0]
    assert (method, path) == ("POST", "/songs?name=name&author=author")
    assert headers["Content-Length"] == str(big_file.stat().st_size)
    assert "Transfer-Encoding" not in headers


def test_a_refusal_in_the_middle_of_an_upload_is_heard(server: Server, big_file: Path) -> None:
    server.reads_bodies = False
    server.answer(413, b'{"message":"Request Too Long"}')
    with pytest.raises(Rejected, match="larger than this server") as error:
        MusicApi(server.url).insert("Author", "Song", str(big_file))
    assert error.value.status == 413


@pytest.mark.parametrize(
    ("file", "kind"),
    [("a.mp3", "audio/mpeg"), ("a.txt", "application/octet-stream"), ("a", "application/octet-stream")],
)
def test_audio_is_sent_as_what_its_name_says(server: Server, tmp_path: Path, file: str, kind: str) -> None:
    (tmp_path / file).write_bytes(b"sound")
    server.answer(202, {**SONG, "status": "processing"})
    assert MusicApi(server.url).add(tmp_path / file, respond_async=True).status == "processing"
    headers = server.requests[0][2]
    assert (headers["Content-Type"], headers["Prefer"]) == (kind, "respond-async")


def test_waiting_goes_on_through_a_busy_server_and_ends_when_the_song_is_ready(server: Server) -> None:
    server.answer(200, {**SONG, "status": "processing"})
    server.answer(503, Retry_After="0")
    server.answer(200, SONG)
    assert MusicApi(server.url).wait_until_ready("x").status == "ready"
    assert len(server.requests) == 3


def test_waiting_ends_when_the_song_failed_or_time_is_up(server: Server) -> None:
    server.answer(200, {**SONG, "status": "failed", "error": "it ends in the middle"})
    with pytest.raises(IngestFailed, match="it ends in the middle"):
        MusicApi(server.url).wait_until_ready("x")
    server.answers.clear()
    server.answer(200, {**SONG, "status": "processing"})
    with pytest.raises(TimeoutError):
        MusicApi(server.url).wait_until_ready("x", timeout=0.3)


def test_the_command_shows_no_control_character(server: Server, run: Run) -> None:
    hostile = {**SONG, "name": "\x1b[2J\r\n\x9b\x7f\u202e", "author": "\ud800\x07", "error": "\x1b"}
    server.answer(200, [hostile])
    for arguments in (["list"], ["list", "--json"]):
        result = run("-m", "segue", *arguments, "--url", server.url)
        assert result.returncode == 0
        assert result.stdout.count("\n") == 1
        assert result.stdout.rstrip("\n").isprintable()
    assert json.loads(result.stdout)["name"] == hostile["name"]

    server.answers.clear()
    server.answer(200, hostile)
    shown = run("-m", "segue", "show", "x", "--url", server.url)
    assert all(line.isprintable() for line in shown.stdout.split("\n"))

    server.answers.clear()
    server.answer(422, {"title": "\x1b[2J", "detail": "\x1b[31m"})
    refused = run("-m", "segue", "rm", "\x1b", "--url", server.url)
    assert refused.returncode == 1
    assert refused.stderr == "segue: \\u001b: \\u001b[2J: \\u001b[31m\n"


def test_a_terminal_without_utf8_shows_every_song(server: Server, run: Run) -> None:
    server.answer(200, [{**SONG, "name": "坂本"}])
    result = run("-m", "segue", "list", "--url", server.url, PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, "")
    assert "\\u5742\\u672c" in result.stdout


def test_the_command_tells_kinds_of_failure_by_its_exit_status(server: Server, run: Run) -> None:
    gone = f"http://127.0.0.1:{closed_port()}"
    result = run("-m", "segue", "list", "--url", gone)
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.startswith(f"segue: list: no answer from {gone}")

    server.answer(401)
    result = run("-m", "segue", "rm", "x", "--url", server.url)
    assert result.returncode == 1
    assert "SEGUE_API_KEY" in result.stderr

    for wrong in (["--url", "ftp://x", "list"], ["add", "a", "b", "--name", "n"], ["add"], [], ["dance"]):
        result = run("-m", "segue", *wrong)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith("usage: segue")


def test_the_command_ends_quietly_when_its_reader_has_seen_enough(server: Server, run: Run) -> None:
    server.answer(200, [SONG] * 5000)  # more than a pipe holds
    reader = (
        "import subprocess, sys\n"
        "command = [sys.executable, '-m', 'segue', 'list', '--url', sys.argv[1]]\n"
        "segue = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
        "segue.stdout.readline()\n"
        "segue.stdout.close()\n"
        "print(segue.wait(), segue.stderr.read())\n"
    )
    assert run("-c", reader, server.url).stdout == "0 b''\n"


def test_a_part_whose_answer_is_lost_is_not_sent_twice(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "large.wav"
    path.write_bytes(bytes(6 * 1024 * 1024))
    where = {"Location": "/uploads/1", "Segue-Song": SONG["id"]}
    server.answers += [
        (201, {"Content-Length": "0", **where}, b""),
        (503, {"Content-Length": "0", "Retry-After": "0"}, b""),
        (200, {"Content-Length": "0", "Upload-Offset": "4194304"}, b""),
        (204, {"Upload-Offset": "6291456"}, b""),
    ]
    server.answer(200, {**SONG, "status": "processing"})
    song = MusicApi(server.url, "key").add(path, name="N\u00e4me")
    assert song.status == "processing"
    asked = [(method, path) for method, path, _ in server.requests]
    upload = "/uploads/1"
    assert asked == [
        ("POST", "/uploads"),
        ("PATCH", upload),
        ("HEAD", upload),
        ("PATCH", upload),
        ("GET", f"/songs/{SONG['id']}"),
    ]
    headers = [headers for _, _, headers in server.requests]
    assert headers[0]["Upload-Metadata"] == "name TsOkbWU=,filename bGFyZ2Uud2F2"
    assert [headers[1]["Upload-Offset"], headers[3]["Upload-Offset"]] == ["0", "4194304"]
    assert server.received == 6 * 1024 * 1024
