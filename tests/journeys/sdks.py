"""SDKs that are no dependency of ours: installed for the tests into a folder that is kept between runs."""

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from functools import cache
from pathlib import Path

import pytest

from cdp.embedded.layout import REPOSITORY

NODE = Path(__file__).parent / "node"
# Goes with the environment that it belongs to, and nobody else can put anything there.
KEPT = REPOSITORY / ".venv" / "sdks"
# Pins a release of `backoff` that the other SDKs cannot live with, so it has a folder of its own.
LEGACY = "analytics-python==1.4.post1"
PINS = ("package.json", "package-lock.json")
INSTALL_SECONDS = 300


def digest_of(files: Iterable[Path]) -> str:
    """Return the digest of what files hold."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run an installer; its words are kept for the reason of a skip."""
    try:
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"not done after {INSTALL_SECONDS} s")


@contextlib.contextmanager
def only_one(folder: Path) -> Generator[None, None, None]:
    """Let one process install at a time."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def kept(name: str, digest: str, install: Callable[[Path], None]) -> Path:
    """Return the folder, filled by `install` if no run before has done it."""
    folder = KEPT / f"{name}-{digest[:12]}"
    KEPT.mkdir(parents=True, exist_ok=True)
    with only_one(folder):
        if not (folder / ".complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            install(folder)
            (folder / ".complete").touch()
    return folder


@cache
def node_sdks() -> Path:
    """Return the folder with the Node SDKs, `send.mjs` and the bundle for browsers; skip loudly without npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("NPM IS MISSING, so no Node or browser SDK was tried. Install it: apt-get install nodejs npm")

    def install(folder: Path) -> None:
        for name in PINS:
            shutil.copy(NODE / name, folder)
        # `npm ci` wants addresses in the lock; `install` takes the locked versions and their digests all the same.
        quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--prefer-offline")
        done = run(npm, "install", *quiet, cwd=folder)
        if done.returncode:
            pytest.skip(f"THE NODE SDKS COULD NOT BE INSTALLED, so none was tried: {done.stderr.strip()[-300:]}")

    def build(folder: Path) -> None:
        for file in NODE.iterdir():
            shutil.copy(file, folder)
        (folder / "node_modules").symlink_to(installed / "node_modules")
        bundle = ["--bundle", "--format=iife", "--outfile=bundle.js", "--log-level=error"]
        built = run(str(installed / "node_modules/.bin/esbuild"), "browser.mjs", *bundle, cwd=folder)
        assert built.returncode == 0, built.stderr

    installed = kept("npm", digest_of(NODE / name for name in PINS), install)
    return kept("node", digest_of(sorted(NODE.iterdir())), build)


def begin_to_install() -> None:
    """Install the SDKs while other journeys run; those who need them wait for what is left of it."""

    def install() -> None:
        for sdk in (legacy_python_sdk, node_sdks):
            # Whoever needs it asks again, and says why it is missing.
            with contextlib.suppress(pytest.skip.Exception, AssertionError):
                sdk()

    threading.Thread(target=install, daemon=True, name="installing SDKs").start()


@cache
def legacy_python_sdk() -> Path:
    """Return the folder with analytics-python 1.4; skip loudly where the index cannot be reached."""

    def install(folder: Path) -> None:
        done = run(sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), LEGACY)
        if done.returncode:
            pytest.skip(f"{LEGACY} COULD NOT BE INSTALLED, so it was not tried: {done.stderr.strip()[-300:]}")

    return kept("python", hashlib.sha256(LEGACY.encode()).hexdigest(), install)
