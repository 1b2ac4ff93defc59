"""What every test may use. The servers are started by `tests.servers`, which pyproject.toml loads earlier."""

import pytest
from django.conf import settings


def pytest_configure(config: pytest.Config) -> None:
    """Hash passwords fast: the real hash takes half a second by design, each time somebody of the cast is made."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
