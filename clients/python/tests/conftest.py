"""What the tests share: a real gateway to talk to, and sound to send it."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import sys
import uuid
import wave
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import segue
from segue import MusicApi, NotFound

HOW = (
    "this test needs a running gateway and a piece of music: "
    "SEGUE_TEST_URL=http://127.0.0.1:8080 SEGUE_TEST_SONG=song.mp3 python -m pytest clients/python, "
    "or `make test`, which starts a gateway for it"
)


def variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        pytest.fail(f"{name} is not set: {HOW}", pytrace=False)
    return value


@pytest.fixture(scope="session")
def url() -> str:
    return variable("SEGUE_TEST_URL")


@pytest.fixture(scope="session")
def key() -> str:
    """The key of the gateway under test, which may need none."""
    return os.environ.get("SEGUE_TEST_KEY", "")


@pytest.fixture(scope="session")
def real_song() -> Path:
    return Path(variable("SEGUE_TEST_SONG"))


@pytest.fixture(scope="session")
def api(url: str, key: str) -> MusicApi:
    return MusicApi(url, key)


@pytest.fixture
def author(api: MusicApi) -> Iterator[str]:
    """An author nobody else has, whose songs are gone after the test."""
    author = "t" + uuid.uuid4().hex
    yield author
    for status in ("ready", "processing", "failed"):
        for song in list(api.songs(author, status=status)):
            with suppress(NotFound):
                api.delete(song.id)


@pytest.fixture(scope="session")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of 440 Hz: real audio that is ingested in no time. It has no tags."""
    path = tmp_path_factory.mktemp("tone") / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44100)
        samples = (round(8000 * math.sin(2 * math.pi * 440 * n / 44100)) for n in range(44100))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return path


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run() -> Run:
    """Runs Python with these arguments and variables in a process of its own, as a user would."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SEGUE_")}
        return subprocess.run(
            [sys.executable, *arguments],
            env={**kept, "PYTHONPATH": str(Path(segue.__file__).parent.parent), "PYTHONUTF8": "1", **variables},
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )

    return run
