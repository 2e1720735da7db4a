"""One HTTP request, and its answer or an error that says what went wrong.

It speaks through `http.client`, for `urllib` loses the answer of a server that refuses an upload before having
read all of it, and follows redirects that turn a POST into a GET.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

from .errors import ApiError, Unavailable, error_from

_BLOCK = 256 * 1024


@dataclass(frozen=True)
class Answer:
    """An answer below 300."""

    status: int
    headers: HTTPMessage
    body: bytes

    def json(self) -> Any:
        """The body parsed; raises ApiError where it is not JSON."""
        try:
            return json.loads(self.body.decode())
        except ValueError as error:
            raise self.unexpected("the answer is not JSON") from error

    def text(self) -> str:
        """The body as it was sent, known to be JSON; raises ApiError where it is not."""
        self.json()
        return self.body.decode()

    def unexpected(self, detail: str) -> ApiError:
        """The error for an answer that is not in the contract."""
        return ApiError("this does not look like a Segue server", status=self.status, detail=detail)


class Transport:
    """Sends requests to one server, each over a connection of its own, so threads may share it."""

    def __init__(self, base_url: str, api_key: str | None, timeout: float) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{base_url!r} is not an http or https URL of a server")
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise ValueError("the API key has characters that no HTTP header can carry")
        self.base_url = base_url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or (443 if self._secure else 80)
        self._headers = {"Accept": "application/json", "User-Agent": "segue-music"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._timeout = timeout

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | BinaryIO | None = None,
        wait: float = 0.0,
        into: BinaryIO | None = None,
    ) -> Answer:
        """Sends `body`, a file block by block, and returns the answer; its body goes to `into` if that is given.

        `url` is below the base URL, or a link that the server gave. Waits for the answer at least `wait` seconds.
        Raises ApiError for an answer of 300 or more, and Unavailable where none comes.
        """
        connection = self._connection()
        try:
            with self._network():
                connection.connect()
                connection.sock.settimeout(max(wait, self._timeout))
                # A server that refuses an upload stops reading it. Its answer, already sent, says why.
                with suppress(BrokenPipeError, ConnectionResetError):
                    connection.request(method, _target(url), body, {**self._headers, **(headers or {})})
                response = connection.getresponse()
                if into is None or response.status >= 300:
                    content = response.read()
            if response.status >= 300:
                raise error_from(response.status, response.headers, content)
            if into is not None:
                content = b""
                for block in self._blocks(response):
                    into.write(block)
            return Answer(response.status, response.headers, content)
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        kind = HTTPSConnection if self._secure else HTTPConnection
        return kind(self._host, self._port, timeout=self._timeout, blocksize=_BLOCK)

    def _blocks(self, response: HTTPResponse) -> Iterator[bytes]:
        while True:
            with self._network():
                block = response.read(_BLOCK)
                if not block and response.length:
                    raise ConnectionError("the answer broke off")
            if not block:
                return
            yield block

    @contextmanager
    def _network(self) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException) as error:
            raise Unavailable(f"no answer from {self.base_url}", detail=str(error) or type(error).__name__) from error


def _target(url: str) -> str:
    # Of a link only path and query count: the key goes to no other host, and a server behind a gateway
    # need not know the name it is called by.
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


_LINK = re.compile(r'<([^<>]*)>((?:[^",]|"(?:[^"\\]|\\.)*")*)')
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')


def next_link(base: str, header: str | None) -> str | None:
    """The absolute URL of the link with relation `next` in a Link header (RFC 8288 section 3); None without one."""
    for target, parameters in _LINK.findall(header or ""):
        for name, quoted, token in _PARAMETER.findall(parameters):
            if name.lower() == "rel" and "next" in (quoted or token).lower().split():
                return urljoin(base, str(target))
    return None
