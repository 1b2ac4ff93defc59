"""What every test may use. The servers are started by `tests.servers`, which pyproject.toml loads earlier."""

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from django.test import TransactionTestCase
from xdist.scheduler import LoadScopeScheduling

# What shares something dear (one installation, a cluster, the year of the demo's data) runs in one process of
# pytest-xdist. Groups go first, the largest of them at once: so does what takes long, lest a process wait for it.
TOGETHER = {
    "tests/journeys/": "journeys",
    "tests/upgrades/": "journeys",
    "tests/embedded/test_servers.py": "servers",
    "tests/ingestion/test_demo_year.py": "year",
    "tests/profiles/test_large_people.py": "large people",
    "tests/site/test_masking.py": "masking",
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
    """Hash passwords fast: the real hash takes half a second by design, each time somebody of the cast is made.

    And take out what tests committed without Django's `flush`, which truncates all tables, full or not, in a second.
    """
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    TransactionTestCase._fixture_teardown = lambda _case: empty_tables()


# What Django makes of the code alone, and would make again after each test.
LASTING = ("django_migrations", "django_content_type", "auth_permission")
TABLES = """
SELECT quote_ident(relname) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> ALL(%s)
"""


def empty_tables() -> None:
    """Delete every row, those of partitioned tables too, which are not Django's.

    Reads that wait for their thread are written first: it would come when no test may reach the database.
    """
    import_module("cdp.core.services.audit").flush_reads()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(TABLES, [list(LASTING)])
        tables = [table for (table,) in cursor.fetchall()]
        cursor.execute(" UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT FROM {table})" for table in tables))
        filled = [table for (table,) in cursor.fetchall()]
        # Without triggers: neither those that keep rows from being deleted nor those that look at foreign keys.
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table in filled:
            cursor.execute(f"DELETE FROM {table}")


@pytest.fixture
def committed(transactional_db: None) -> None:
    """Give a database in which commits are real, with what other such tests took out."""
    if not apps.get_model("profiles", "IdentifierType").objects.exists():
        import_module("profiles.migrations.0003_identifier_types").add(apps, None)
