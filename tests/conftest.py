"""What every test may use. The servers are started by `tests.servers`, which pyproject.toml loads earlier."""

from collections.abc import Generator
from importlib import import_module

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection


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
        cursor.execute("TRUNCATE profiles_event, profiles_change")
