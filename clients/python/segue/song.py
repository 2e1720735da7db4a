"""A song as the server describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Variant:
    """One bitrate of a song (RFC 8216, EXT-X-STREAM-INF). Bandwidths are in bits per second."""

    name: str
    bandwidth: int
    codecs: str
    average_bandwidth: int | None = None

    @classmethod
    def from_dict(cls, data: object) -> Variant:
        """Raises ValueError where `data` is not the JSON object of a variant."""
        if not isinstance(data, Mapping):
            raise ValueError("a variant must be a JSON object")
        for name in ("name", "bandwidth", "codecs"):
            if data.get(name) is None:
                raise ValueError(f"a variant must have {name!r}")
        return cls(**_known(cls, data))


@dataclass(frozen=True)
class Song:
    """A song. `duration` is in seconds, `progress` from 0 to 1, the times are RFC 3339.

    Fields that the server left out are None. `raw` is the whole JSON object as it was sent, so what a newer
    server adds can be read there.
    """

    id: str
    name: str
    author: str
    """The credit, as `artist`, its newer name, has it as well."""
    status: str
    """`processing`, `ready` or `failed`; only a ready song plays."""
    stream_url: str
    """Absolute URL of the multivariant playlist: what an HLS player wants."""
    artists: tuple[str, ...] = ()
    """The individual artists, at least one."""
    album: str | None = None
    album_artist: str | None = None
    track: int | None = None
    disc: int | None = None
    year: int | None = None
    genre: str | None = None
    duration: float | None = None
    error: str | None = None
    """Why the song failed, in words for whoever uploaded it."""
    progress: float | None = None
    revision: str | None = None
    variants: tuple[Variant, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """The file it was made from: `codec`, `sample_rate` (Hz), `bitrate` (bits per second), `bytes`, `sha256`, …"""
    created_at: str | None = None
    updated_at: str | None = None
    etag: str | None = field(default=None, compare=False)
    """For `MusicApi.update(…, if_match=song.etag)`; only on a song that was answered by itself, not in a list."""
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def artist(self) -> str:
        """The credit, such as `Björk feat. Tricky`."""
        return self.author

    @classmethod
    def from_dict(cls, data: object) -> Song:
        """Raises ValueError where `data` is not the JSON object of a song."""
        if not isinstance(data, Mapping):
            raise ValueError("a song must be a JSON object")
        # The credit has two names; a server may know one of them only.
        credit = data.get("author", data.get("artist"))
        for name in ("id", "name", "status", "stream_url"):
            if not isinstance(data.get(name), str):
                raise ValueError(f"a song must have the text {name!r}")
        if not isinstance(credit, str):
            raise ValueError("a song must have the text 'author'")
        artists = data.get("artists") or [credit]
        if not isinstance(artists, list) or not all(isinstance(artist, str) for artist in artists):
            raise ValueError("a song's artists must be a JSON array of texts")
        variants = data.get("variants") or []
        if not isinstance(variants, list):
            raise ValueError("a song's variants must be a JSON array")
        known = _known(cls, data, "etag", "raw")
        known["author"], known["artists"] = credit, tuple(artists)
        known["variants"] = tuple(map(Variant.from_dict, variants))
        known["source"] = data.get("source") or {}
        return cls(**known, raw=data)


def _known(kind: type[Song] | type[Variant], data: Mapping[str, Any], *besides: str) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}.difference(besides)
    return {name: value for name, value in data.items() if name in names}
