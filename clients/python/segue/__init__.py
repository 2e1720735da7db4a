"""Segue from Python: songs go in, HTTP Live Streaming comes out.

`MusicApi` is the client, `Song` what it returns, and everything it raises is a `SegueError`.
"""

from .api import MusicApi
from .errors import ApiError, IngestFailed, NotFound, Rejected, SegueError, Unauthorized, Unavailable
from .song import Song, Variant

__version__ = "0.1.0"

__all__ = [
    "ApiError",
    "IngestFailed",
    "MusicApi",
    "NotFound",
    "Rejected",
    "SegueError",
    "Song",
    "Unauthorized",
    "Unavailable",
    "Variant",
]
