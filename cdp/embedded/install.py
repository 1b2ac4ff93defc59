"""Fill the virtual environment from the lock files; run by the Makefile with the system's Python, as a script.

Standard library only, and nothing of this project: none of it is installed yet. A stamp per lock file makes the next
run a matter of milliseconds.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = REPOSITORY / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"

_WITHOUT_IT = {
    "demo": "The demo data's packages could not be installed; the product runs without demo data.",
    "matching": (
        "Fuzzy matching is off: its packages are compiled when they are installed, and that failed. Install a C "
        "compiler and Python's headers\n(Debian: apt-get install build-essential python3-dev; macOS: xcode-select "
        "--install), then run the command again.\nEverything else works without it."
    ),
    "splink": "Splink's packages could not be installed; fuzzy matching works without its challenger.",
}


def main(parts: list[str]) -> int:
    """Install the named parts (``base``, ``demo``, ``matching``, ``splink``, ``dev``); answers the exit status."""
    if not _make_environment():
        return 1
    for part in parts:
        if not _install(part) and part not in _WITHOUT_IT:
            _say(f"The packages of requirements/{part}.txt could not be installed: pip's last lines above say why.")
            return 1
    return 0


def _make_environment() -> bool:
    version = "%d.%d" % sys.version_info[:2]  # noqa: UP031 - read by old Pythons too
    stamp = ENVIRONMENT / ".python"
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == version:
        return True
    if not _has_venv():
        _say(
            "Python's module venv is not installed. On Debian: apt-get install "
            f"python{version}-venv (or python3-venv), then run the command again."
        )
        return False
    if PYTHON.exists() and _version_of(PYTHON) == version:
        stamp.write_text(version)
        return True
    _say(f"Making .venv with Python {version}")
    if ENVIRONMENT.exists():
        shutil.rmtree(ENVIRONMENT)
    if subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=False).returncode != 0:
        _say(f"{ENVIRONMENT} could not be made. Is the directory writable and the disk not full?")
        return False
    stamp.write_text(version)
    # Makes the project importable from anywhere, as an editable install would.
    for site in ENVIRONMENT.glob("lib/python*/site-packages"):
        (site / "cdp.pth").write_text(f"{REPOSITORY}\n")
    return True


def _install(part: str) -> bool:
    lock = REPOSITORY / "requirements" / f"{part}.txt"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp = ENVIRONMENT / f".installed-{part}"
    if stamp.exists() and stamp.read_text() == digest:
        return True
    if part == "matching" and stamp.exists() and stamp.read_text() == _failed(digest) and not shutil.which("cc"):
        _say(_WITHOUT_IT[part])
        return False
    _say(f"Installing requirements/{part}.txt")
    # Python compiles what is imported when it is imported: a third of the time less for the first start.
    command = [
        str(PYTHON),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--quiet",
        "--no-compile",
        "--require-hashes",
    ]
    done = subprocess.run([*command, "-r", str(lock)], check=False, cwd=str(REPOSITORY))
    if done.returncode == 0:
        stamp.write_text(digest)
        return True
    if part in _WITHOUT_IT:
        stamp.write_text(_failed(digest))
        _say(_WITHOUT_IT[part])
    return False


def _failed(digest: str) -> str:
    return f"failed {digest}"


def _has_venv() -> bool:
    tried = subprocess.run([sys.executable, "-c", "import venv, ensurepip"], capture_output=True, check=False)
    return tried.returncode == 0


def _version_of(python: Path) -> str:
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([str(python), "-c", program], capture_output=True, text=True, check=False).stdout.strip()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
