"""A source that names a required purpose: granted goes on, refused is suppressed, unknown is held."""

from datetime import timedelta

import pytest

from ingestion.models import Held, InboxEntry, Message
from ingestion.services.held import release_held
from profiles.models import Identifier, Profile
from tests.profiles.sending import NOW, events_of, identify, outcomes, process, send, source, track
from tests.world import api

pytestmark = pytest.mark.django_db


@pytest.fixture
def analytics():
    """A source whose messages need the purpose analytics."""
    answer = api("consents:write").post(
        "/api/v1/purposes", {"key": "analytics", "name": "Analytics", "legal_basis": "consent"}, format="json"
    )
    assert answer.status_code == 201, answer.content
    return source("server", key="site", required_purpose="analytics")


def decide(state, user="u1"):
    """Record a decision for a known person, who is known from another source."""
    send(identify(user))
    profile = Identifier.objects.get(value=user).profile
    answer = api("consents:write").post(
        "/api/v1/consents",
        {"profile_id": str(profile.uuid), "purpose": "analytics", "state": state, "actor": "subject"},
        format="json",
    )
    assert answer.status_code == 201, answer.content


def test_holds_an_unknown_persons_message_without_making_a_profile(analytics):
    send(track("Seen", "u1", secret="word"), origin=analytics)
    assert outcomes() == {"held": 1}
    assert Profile.objects.count() == 0
    assert b"word" not in bytes(Held.objects.get().sealed)


def test_processes_held_messages_on_a_grant(analytics):
    send(track("Seen", "u1"), origin=analytics)
    decide("granted")
    assert release_held(now=NOW) == 1
    process()
    assert outcomes() == {"accepted": 2}
    assert events_of("user_id", "u1") == 2
    assert Held.objects.count() == 0
    assert {row.copies for row in Message.objects.all()} == {1}


def test_suppresses_held_messages_on_a_refusal(analytics):
    send(track("Seen", "u1"), origin=analytics)
    decide("denied")
    release_held(now=NOW)
    assert outcomes() == {"accepted": 1, "suppressed": 1}
    assert Message.objects.get(source_id=analytics.pk).reason == "consent"


def test_suppresses_what_was_held_for_too_long(analytics):
    send(track("Seen", "u1"), origin=analytics)
    assert release_held(now=NOW + timedelta(days=29)) == 0
    assert release_held(now=NOW + timedelta(days=30)) == 1
    assert outcomes() == {"suppressed": 1}


def test_lets_messages_of_someone_who_agreed_pass(analytics):
    decide("granted")
    send(track("Seen", "u1"), origin=analytics)
    assert outcomes() == {"accepted": 2}


def test_suppresses_messages_of_someone_who_refused(analytics):
    decide("denied")
    send(track("Seen", "u1"), origin=analytics)
    assert outcomes() == {"accepted": 1, "suppressed": 1}


def test_lets_the_consent_event_itself_pass(analytics):
    event = track("Segment Consent Preference Updated", "u1")
    send({**event, "context": {"consent": {"categoryPreferences": {"analytics": True}}}}, origin=analytics)
    send(track("Seen", "u1"), origin=analytics)
    assert outcomes() == {"accepted": 2}


def test_counts_stay_equal_to_what_was_received(analytics):
    send(track("Seen", "u1"), track("Seen", "u1"), origin=analytics, one_by_one=False)
    decide("granted")
    for _ in range(2):
        release_held(now=NOW)
        status = api("sources:read").get("/api/v1/ingestion/status").json()
        row = next(row for row in status["per_source"] if row["source"] == "site")
        parts = ("pending", "accepted", "duplicate", "rejected", "quarantined", "suppressed", "held")
        assert row["received"] == sum(row[part] for part in parts) == 2
        process()
    assert InboxEntry.objects.count() == 0
