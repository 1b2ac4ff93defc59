"""Who and what tests of consent begin with; profiles are made directly, without collection."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from cdp.core.digests import LOOKUP_BYTES, identifier_digest
from consent.services.purposes import create_purpose
from profiles.models import Identifier, IdentifierType, Profile
from tests.ingestion.door import make_source
from tests.world import api

# Yesterday, which is over at any hour: history is partitioned by day, and partitions exist for days around the present.
NOW = datetime.now(UTC).replace(hour=1, minute=0, second=0, microsecond=0) - timedelta(days=1)


def later(minutes: float) -> datetime:
    """Return the instant that many minutes after `NOW`."""
    return NOW + timedelta(minutes=minutes)


@pytest.fixture
def shop(db):
    """The key of a source."""
    return make_source()


@pytest.fixture
def officer(db):
    """The compliance officer by REST."""
    return api("compliance_officer")


@pytest.fixture
def marketing(db):
    """A purpose that rests on consent, with channels."""
    fields = {"name": "Marketing", "channels": ["email", "sms"]}
    return create_purpose(key="marketing", fields=fields, actor="system", now=NOW)[0]


@pytest.fixture
def make_profile(db):
    """Return a function that makes a profile from identifiers such as `email="dana@example.org"`."""

    def make(**identifiers: str) -> Profile:
        profile = Profile.objects.create(uuid=uuid.uuid4(), created_at=NOW)
        for key, value in identifiers.items():
            Identifier.objects.create(
                type=IdentifierType.objects.get(key=key),
                lookup=identifier_digest(key, value)[:LOOKUP_BYTES],
                value=value,
                profile=profile,
                first_seen_at=NOW,
                source_id=1,
            )
        return profile

    return make
