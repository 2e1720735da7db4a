"""Runs a command against a gateway of its own: with_gateway.py COMMAND...

The gateway listens on a free port, keeps its songs in a temporary folder, and stops with the command.
The command finds its URL in SEGUE_TEST_URL and a real piece of music in SEGUE_TEST_SONG.
"""

import glob
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MUSIC = "/usr/share/games/wesnoth/*/data/core/music/*.ogg"


def main() -> int:
    songs = sorted(glob.glob(MUSIC), key=os.path.getsize)
    if not songs:
        sys.exit("there is no music to test with: run `make prepare`")
    with tempfile.TemporaryDirectory(prefix="segue-test-") as folder:
        environment = os.environ | {
            "DATABASE_URL": f"sqlite:{folder}/segue.db",
            "LOG": "warn",
            "FFMPEG": str(ROOT / "target/ffmpeg/bin/ffmpeg"),
            "PORT": "0",
            "WORK_DIR": folder,
        }
        gateway = subprocess.Popen(
            [ROOT / "target/debug/gateway"], env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            greeting = gateway.stdout.readline()
            if not greeting:
                sys.exit("the gateway did not start")
            url = greeting.split()[-1].rstrip("/")
            tests = {"SEGUE_TEST_URL": url, "SEGUE_TEST_SONG": songs[len(songs) // 4]}
            return subprocess.run(sys.argv[1:], env=os.environ | tests, check=False).returncode
        finally:
            gateway.terminate()
            gateway.wait(timeout=30)


if __name__ == "__main__":
    sys.exit(main())
