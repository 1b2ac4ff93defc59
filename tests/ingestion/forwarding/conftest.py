"""Another system beside, and a source that forwards to it."""

from datetime import timedelta

import pytest

from ingestion.services import forward_bodies
from tests.ingestion.door import make_source
from tests.ingestion.forwarding.line import forward
from tests.listening import LOCAL, OtherServer


@pytest.fixture(autouse=True)
def _open_to_this_machine(settings, monkeypatch):
    settings.CDP_OUTGOING_ALLOW = LOCAL
    # A busy machine takes seconds from one line of a test to the next; what a delay does has tests of its own.
    monkeypatch.setattr(forward_bodies, "DELAY", timedelta(hours=1))


@pytest.fixture
def other():
    with OtherServer() as server:
        yield server


@pytest.fixture
def shop(other):
    """Return the write key of a source that forwards to the other system."""
    key = make_source()
    forward(other)
    return key
