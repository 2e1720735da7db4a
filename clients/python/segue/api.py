"""MusicApi: the songs of one Segue server."""

from __future__ import annotations

import base64
import hashlib
import json
import mimetypes
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urljoin

from .errors import IngestFailed, NotFound, Rejected, Unavailable
from .song import Song
from .transport import Answer, Transport, next_link

# A server answers an upload when the song can be played, which may take as long as a Lambda function may run.
_INGEST_SECONDS = 900.0
# One answer of a Lambda function is at most 6 MB, and so is one request.
_PART = 4 * 1024 * 1024
# How often a part is sent again, and the longest pause before it, in seconds.
_TRIES = 8
_LONGEST_PAUSE = 10.0


class MusicApi:
    """A client of one server; threads may share it.

    `base_url` falls back to the variable SEGUE_URL, then to http://127.0.0.1:8080; `api_key` to SEGUE_API_KEY, then
    to none. `timeout` is the seconds to wait for a connection and for an answer; `page_size` the songs to ask for
    at once, at most 1000. Raises ValueError for a URL or key that cannot be one.

    `insert`, `list`, `get` and `remove` return JSON text; the other methods return `Song`s. All raise ApiError.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 30.0,
        page_size: int = 1000,
    ) -> None:
        base_url = base_url or os.environ.get("SEGUE_URL") or "http://127.0.0.1:8080"
        api_key = api_key or os.environ.get("SEGUE_API_KEY") or None
        self._transport = Transport(base_url, api_key, timeout)
        self._songs_url = self._transport.base_url + "/songs"
        self.page_size = page_size

    # JSON text, for programs written for the predecessor.

    def insert(self, author: str, music_name: str, song_path: str | os.PathLike[str]) -> str:
        """Adds the audio file and returns the song."""
        return self._post(song_path, {"name": music_name, "author": author}).text()

    def list(self) -> str:
        """All songs that are ready, newest first, as one array."""
        pages = [*self._pages({})]
        if len(pages) == 1:
            return pages[0][0].text()
        return json.dumps([song for _, songs in pages for song in songs])

    def get(self, music_id: str) -> str:
        """The song, or `{}` where there is none."""
        try:
            return self._transport.send("GET", self._url(music_id)).text()
        except NotFound:
            return "{}"

    def remove(self, music_id: str) -> str:
        """Deletes the song: `{"deleted": 1}`, or `{"deleted": 0}` where there is none."""
        try:
            return self._transport.send("DELETE", self._url(music_id)).text()
        except NotFound:
            return '{"deleted": 0}'

    # Songs.

    def songs(
        self,
        q: str | None = None,
        album: str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Song]:
        """The newest songs (an album's by disc and track), at most `limit`, asked for page by page as they are used.

        `q` finds songs in which each of its words begins a word of name, artists or album. Without `status`
        (`processing`, `ready`, `failed`) they are the ready ones.
        """
        if limit is not None and limit <= 0:
            return
        left = limit
        wanted = {"q": q, "album": album, "status": status}
        for answer, songs in self._pages(wanted, limit):
            for data in songs[:left]:
                yield self._song(answer, data)
            if left is not None:
                left -= len(songs)
                if left <= 0:
                    return

    def song(self, id: str) -> Song:
        """The song, whatever its status. Raises NotFound."""
        return self._only(self._transport.send("GET", self._url(id)))

    def add(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        author: str | None = None,
        album: str | None = None,
        artist: str | None = None,
        respond_async: bool = False,
    ) -> Song:
        """Sends an audio file and returns the song, ready, unless the server takes longer than its gateway allows.

        Fields that are not given come from the file's tags; a missing title is the file name.
        `artist` and `author` are two names of the credit. With `respond_async` the song returns at once, processing:
        see `wait_until_ready`. Raises Rejected for a file that is not audio (status 422) or too large (413).

        A file of more than 4 MiB goes by parts, which a broken connection does not lose, and is processing when it
        returns; then what is not audio becomes a song that failed.
        """
        fields = {"name": name, "author": _credit(artist, author), "album": album}
        if Path(path).stat().st_size > _PART:
            return self._upload(Path(path), fields)
        fields["filename"] = Path(path).name
        return self._only(self._post(path, fields, {"Prefer": "respond-async"} if respond_async else {}))

    def made_of(self, path: str | os.PathLike[str]) -> Song | None:
        """A song that was made of this very file, ready or on its way; None if there is none."""
        digest = hashlib.sha256()
        with Path(path).open("rb") as file:
            while block := file.read(_PART):
                digest.update(block)
        for status in ("ready", "processing"):
            wanted = {"sha256": digest.hexdigest(), "status": status}
            for answer, songs in self._pages(wanted, 1):
                for data in songs:
                    return self._song(answer, data)
        return None

    def update(self, id: str, *, if_match: str | None = None, **fields: str | int | Sequence[str] | None) -> Song:
        """Changes descriptive fields (`name`, `artist`, `artists`, `album`, `track`, …); None removes one.

        A new `artist` alone is the one artist; new `artists` alone are credited with commas between them.

        With the ETag `if_match` only if the song has not changed since, else it raises Rejected (status 412).
        """
        headers = {"Content-Type": "application/merge-patch+json"}
        if if_match is not None:
            headers["If-Match"] = if_match
        body = json.dumps(fields).encode()
        return self._only(self._transport.send("PATCH", self._url(id), headers=headers, body=body))

    def delete(self, id: str) -> None:
        """Deletes the song; it is unplayable at once. Raises NotFound."""
        self._transport.send("DELETE", self._url(id))

    def wait_until_ready(self, id: str, timeout: float = _INGEST_SECONDS) -> Song:
        """The song once it can be played.

        Raises IngestFailed if it never will, and TimeoutError after `timeout` seconds. A server that is busy is
        asked again; one that cannot be reached at all is not.
        """
        deadline = time.monotonic() + timeout
        pause = 0.2
        while True:
            try:
                song = self.song(id)
            except Unavailable as error:
                if error.status is None:
                    raise
                pause = max(pause, error.retry_after or 0.0)
            else:
                if song.status == "ready":
                    return song
                if song.status == "failed":
                    raise IngestFailed(song.error or f"song {id} failed")
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"song {id} is not ready after {timeout:g} s")
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 5.0)

    def original(self, id: str, path: str | os.PathLike[str]) -> None:
        """Writes the file that was sent in to `path`, replacing it once all is there. Raises NotFound."""
        path = Path(path)
        partial = path.with_name(path.name + ".part")
        try:
            with partial.open("wb") as file:
                total = None
                while total is None or file.tell() < total:
                    start = file.tell()
                    part = {"Accept": "*/*", "Range": f"bytes={start}-{start + _PART - 1}"}
                    answer = self._transport.send("GET", self._url(id) + "/original", headers=part, into=file)
                    if answer.status == 200 and start == 0:
                        break  # whole, from a server or a proxy that knows no ranges
                    total = _total(answer, start, file.tell())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _post(
        self,
        path: str | os.PathLike[str],
        fields: dict[str, str | None],
        headers: dict[str, str] | None = None,
    ) -> Answer:
        with Path(path).open("rb") as file:
            kind = mimetypes.guess_type(os.fspath(path))[0] or ""
            headers = {
                **(headers or {}),
                "Content-Type": kind if kind.startswith("audio/") else "application/octet-stream",
                "Content-Length": str(os.fstat(file.fileno()).st_size),
            }
            url = f"{self._songs_url}?{_query(fields)}"
            return self._transport.send("POST", url, headers=headers, body=file, wait=_INGEST_SECONDS)

    def _upload(self, path: Path, fields: dict[str, str | None]) -> Song:
        """Sends a file by the tus protocol 1.0.0, part by part, each as often as it takes."""
        given = {**fields, "filename": path.name}
        about = [f"{name} {base64.b64encode(v.encode()).decode()}" for name, v in given.items() if v is not None]
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            headers = {"Upload-Length": str(size), "Upload-Metadata": ",".join(about)}
            answer = self._tus("POST", self._transport.base_url + "/uploads", headers)
            url = urljoin(self._transport.base_url, answer.headers.get("Location", ""))
            offset, tries = 0, 0
            while offset < size:
                try:
                    if tries:
                        # What arrived of a part whose answer did not, the server knows.
                        offset = _offset(self._tus("HEAD", url, {}))
                        if offset == size:
                            break
                    file.seek(offset)
                    part = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
                    offset = _offset(self._tus("PATCH", url, part, file.read(_PART)))
                    tries = 0
                except Unavailable as error:
                    tries += 1
                    if tries == _TRIES:
                        raise
                    time.sleep(error.retry_after or min(0.5 * 2**tries, _LONGEST_PAUSE))
                except Rejected as error:
                    # Another try of ours, of which no answer came, was quicker.
                    if error.status != 409 or tries == _TRIES - 1:
                        raise
                    tries += 1
        return self.song(answer.headers.get("Segue-Song", ""))

    def _tus(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        return self._transport.send(method, url, headers={"Tus-Resumable": "1.0.0", **headers}, body=body)

    def _pages(self, wanted: dict[str, Any], limit: int | None = None) -> Iterator[tuple[Answer, Sequence[Any]]]:
        wanted = {**wanted, "limit": min(self.page_size, limit or self.page_size)}
        url: str | None = f"{self._songs_url}?{_query(wanted)}"
        while url:
            answer = self._transport.send("GET", url)
            songs = answer.json()
            if not isinstance(songs, list):
                raise answer.unexpected("a page of songs must be a JSON array")
            yield answer, songs
            url = next_link(url, ", ".join(answer.headers.get_all("Link", [])))

    def _song(self, answer: Answer, data: object) -> Song:
        try:
            song = Song.from_dict(data)
        except ValueError as error:
            raise answer.unexpected(str(error)) from error
        return replace(song, stream_url=urljoin(self._transport.base_url + "/", song.stream_url))

    def _only(self, answer: Answer) -> Song:
        return replace(self._song(answer, answer.json()), etag=answer.headers.get("ETag"))

    def _url(self, id: str) -> str:
        # Dots alone would climb out of /songs, and nothing at all would name every song.
        if not id.strip("."):
            raise NotFound("no such song", status=404, detail=f"{id!r} cannot be an id")
        return f"{self._songs_url}/{quote(id, safe='')}"


def _query(fields: Mapping[str, Any]) -> str:
    return urlencode({name: value for name, value in fields.items() if value is not None})


def _credit(artist: str | None, author: str | None) -> str | None:
    if artist is not None and author is not None and artist != author:
        raise ValueError("artist and author are two names of one field, and differ")
    return author if artist is None else artist


def _offset(answer: Answer) -> int:
    try:
        return int(answer.headers.get("Upload-Offset", ""))
    except ValueError as error:
        raise answer.unexpected("the answer does not say how much has arrived") from error


def _total(answer: Answer, start: int, end: int) -> int:
    """The length of the whole, in bytes, of which `answer` brought the part from `start` to before `end`."""
    part = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers.get("Content-Range", ""))
    if not part or not int(part[1]) == start < end == int(part[2]) + 1:
        raise answer.unexpected("the answer is not the part of the file that was asked for")
    return int(part[3])
