"""Data directories for tests of the embedded servers."""

import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from cdp.embedded import stop_servers


@pytest.fixture
def make_data_dir() -> Generator[Callable[[], Path], None, None]:
    """Make data directories whose servers are stopped and whose files are gone after the test.

    Not below `tmp_path`: pytest keeps that private, and as root the servers run as somebody else.
    """
    made: list[Path] = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="cdp-test-")).resolve())
        return made[-1]

    yield make
    for data_dir in made:
        stop_servers(data_dir)
        pointer = data_dir / "postgres.location"
        if pointer.exists():
            shutil.rmtree(pointer.read_text().strip())
        shutil.rmtree(data_dir)


@pytest.fixture
def data_dir(make_data_dir: Callable[[], Path]) -> Path:
    """Make one data directory."""
    return make_data_dir()
