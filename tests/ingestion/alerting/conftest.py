"""Where mails go, and somebody who is told."""

import pytest

from ingestion.services.alerts import create_channel
from tests.ingestion.watching import (
    HERE,
)


@pytest.fixture
def outbox(settings, tmp_path):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    return tmp_path


@pytest.fixture
def ivo_is_told(outbox):
    return create_channel(kind="email", target="ivo@house.example", name="Ivo", actor="system", now=HERE)
