"""The first run: from a clone without anything to a page that answers."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.benchmarks.product import REPOSITORY, BenchmarkFailed
from tests.benchmarks.report import Row

GIVE_UP_SECONDS = 900


def first_run(size: int) -> list[Row]:
    """Clone, `make up`, wait for `/healthz`; then stop, and start a second time (`size` is not used)."""
    del size
    folder = Path(tempfile.mkdtemp(prefix="cdp-first-run-"))
    try:
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(folder / "clone")], check=True)
        first, second = _up(folder / "clone"), _up(folder / "clone")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [
        Row("first run, clone to /healthz", "package cache as found", f"{first:,.0f} s", "≤ 180 s, warm cache"),
        Row("second `make up` to /healthz", "", f"{second:,.1f} s", "seconds"),
    ]


def _up(clone: Path) -> float:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CDP_", "VIRTUAL_ENV"))}
    env |= {"CDP_PORT": str(port), "CDP_DEMO": "0"}
    log = clone.parent / "up.log"
    with log.open("wb") as out:
        began_at = time.monotonic()
        process = subprocess.Popen(
            ["make", "up"], cwd=clone, env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            while not _answers(f"http://127.0.0.1:{port}/healthz"):
                if process.poll() is not None or time.monotonic() - began_at > GIVE_UP_SECONDS:
                    raise BenchmarkFailed(f"make up did not come up:\n{log.read_text(errors='replace')[-3000:]}")
                time.sleep(0.1)
            return time.monotonic() - began_at
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                process.wait(timeout=90)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
