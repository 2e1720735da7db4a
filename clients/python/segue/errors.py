"""What can go wrong between a program and its songs."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from email.message import Message
from email.utils import parsedate_to_datetime
from http import HTTPStatus


class SegueError(Exception):
    """Everything this package raises about songs and servers."""


class IngestFailed(SegueError):
    """The song reached the server, but could not be made playable. The message is the server's reason."""


class ApiError(SegueError):
    """The server refused, failed, or gave an answer that is not in its contract.

    `status` is the HTTP status, None when no answer came. `type`, `title` and `detail` are those of
    `application/problem+json` (RFC 9457); where a gateway answered in the server's place they hold what it said.
    """

    def __init__(
        self,
        title: str,
        *,
        status: int | None = None,
        type: str = "about:blank",
        detail: str | None = None,
    ) -> None:
        super().__init__(f"{title}: {detail}" if detail else title)
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail


class Rejected(ApiError):
    """The request cannot succeed as it is (4xx)."""


class NotFound(Rejected):
    """There is no such song (404)."""


class Unauthorized(Rejected):
    """The API key is missing or wrong (401)."""


class Unavailable(ApiError):
    """The same request may succeed later: 429, 502, 503, 504, or no answer at all.

    `retry_after` is the number of seconds the server asks to wait, None when it names none.
    """

    retry_after: float | None = None


def error_from(status: int, headers: Message, body: bytes) -> ApiError:
    """The error that an answer of 300 or more stands for."""
    problem = _object(body)
    title = _text(problem, "title") or _phrase(status)
    # API Gateway's own answers say {"message": …}.
    detail = _text(problem, "detail") or _text(problem, "message")
    if 300 <= status < 400:
        # Following would turn a POST into a GET, or carry the key to another host.
        detail = f"the server redirects to {headers.get('Location')}: use the URL it really has"
    elif status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and not problem.get("detail"):
        detail = "the song is larger than this server, or the gateway before it, takes in one request"

    error = _kind(status)(title, status=status, type=_text(problem, "type") or "about:blank", detail=detail)
    if isinstance(error, Unavailable):
        error.retry_after = seconds(headers.get("Retry-After"))
    return error


def seconds(retry_after: str | None) -> float | None:
    """A Retry-After value (RFC 9110 section 10.2.3), seconds or a date, as seconds from now; None if it is neither."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except (TypeError, ValueError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())


def _kind(status: int) -> type[ApiError]:
    if status in (429, 502, 503, 504):
        return Unavailable
    if status == HTTPStatus.NOT_FOUND:
        return NotFound
    if status == HTTPStatus.UNAUTHORIZED:
        return Unauthorized
    return Rejected if 400 <= status < 500 else ApiError


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"status {status}"


def _object(body: bytes) -> dict[str, object]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(problem: dict[str, object], name: str) -> str | None:
    value = problem.get(name)
    return value if isinstance(value, str) and value else None
