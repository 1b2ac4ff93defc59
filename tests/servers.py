"""The servers of a test run: one embedded PostgreSQL and Valkey in a temporary directory.

Loaded by `-p tests.servers` (pyproject.toml) and not by conftest.py, because pytest-django reads the
settings, and with them the addresses, before any conftest.py is imported.
"""

import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from cdp.embedded import export_environment, release_servers
from cdp.embedded.environment import keep_bytecode
from cdp.embedded.layout import REPOSITORY

_DATA_DIR = "CDP_TESTS_DATA_DIR"


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Generator[None, None, None]:
    """Start the servers before anybody reads the settings; pytest-xdist inherits the environment."""
    keep_bytecode(REPOSITORY / ".venv" / "bytecode")
    if _DATA_DIR not in os.environ and not {"--help", "-h", "--version", "-V"} & set(args):
        data_dir = Path(tempfile.mkdtemp(prefix="cdp-tests-")).resolve()
        os.environ[_DATA_DIR] = str(data_dir)
        for name in [name for name in os.environ if name.startswith("CDP_") and name not in _KEPT]:
            del os.environ[name]
        export_environment(data_dir=data_dir, profile="tests")
        early_config.add_cleanup(lambda: _clean(data_dir))
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        # Files are searched for traces of a person: those of another process's tests are not this one's.
        own = Path(os.environ[_DATA_DIR]) / worker
        (own / "static").mkdir(parents=True, exist_ok=True)
        os.environ["CDP_DATA_DIR"] = str(own)
    yield


# Servers of the caller's own may be tested against; every other setting is the product's default.
_KEPT = frozenset({_DATA_DIR, "CDP_DATABASE_URL", "CDP_BROKER_URL", "CDP_TESTS_SPARK"})


def _clean(data_dir: Path) -> None:
    release_servers(data_dir)
    shutil.rmtree(data_dir, ignore_errors=True)
    del os.environ[_DATA_DIR]
