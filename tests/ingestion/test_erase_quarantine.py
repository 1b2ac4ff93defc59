"""Erasing quarantined payloads: the person's, and nobody else's."""

import pytest

from cdp.core.registries import Subject
from ingestion.models import Message, Quarantined
from ingestion.personal_data import QuarantinedMessages
from tests.profiles.sending import send

pytestmark = pytest.mark.django_db


def subject(*identifiers):
    return Subject(profile_ids=(), uuids=(), identifiers=identifiers, identifier_ids=(), lookups=())


def test_erases_payloads_that_name_the_person():
    send({"type": "track", "userId": "42"}, {"type": "track", "userId": 42}, {"type": "track", "userId": "1420"})
    store = QuarantinedMessages()
    assert store.count(subject=subject(("user_id", "42"))) == 2
    assert store.erase(subject=subject(("user_id", "42")), limit=10) == 2
    assert Quarantined.objects.count() == 1
    assert sorted(Message.objects.values_list("reason", flat=True)) == ["erased", "erased", "no_event_name"]


def test_finds_a_long_identifier_within_a_text():
    send({"type": "track", "userId": "x", "properties": {"note": "write to dana@example.org today"}})
    assert QuarantinedMessages().count(subject=subject(("email", "dana@example.org"))) == 1
