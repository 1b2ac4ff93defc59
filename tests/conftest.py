"""What every test may use. The servers are started by `tests.servers`, which pyproject.toml loads earlier."""

from collections.abc import Generator
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection
from xdist.scheduler import LoadScopeScheduling

# What shares something dear (one installation, the year of the demo's data) runs in one process of pytest-xdist.
TOGETHER = {
    "tests/journeys/": "journeys",
    "tests/upgrades/": "journeys",
    "tests/ingestion/test_demo_year.py": "year",
}


class Together(LoadScopeScheduling):
    """Gives each process test by test, but what belongs together to one of them.

    pytest-xdist's own groups (`--dist loadgroup`) are told by the end of a test's id, which pytest 9.2 no longer takes.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((group for start, group in TOGETHER.items() if nodeid.startswith(start)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Name the one who gives the tests out."""
    return Together(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Hash passwords fast: the real hash takes half a second by design, each time somebody of the cast is made."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def committed(transactional_db: None) -> Generator[None, None, None]:
    """Give a database in which commits are real, with what other such tests truncated; what this one leaves is gone."""
    if not apps.get_model("profiles", "IdentifierType").objects.exists():
        import_module("profiles.migrations.0003_identifier_types").add(apps, None)
    yield
    # Partitioned tables are not Django's, so that it does not empty them after the test.
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE profiles_event, profiles_change, consent_disclosure")
