"""The life of a privacy request: every status, every act, every role."""

import itertools
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from consent import life
from consent.life import Act, Role
from consent.models import PrivacyRequest
from tests.world import api

pytestmark = pytest.mark.django_db

ALL = sorted(itertools.product(life.STATUSES, Act, Role))

# Told apart from the table under test: what each status lets happen, and by whom.
OFFICER = {
    "received": {"ask_identity", "verify", "extend", "reject", "cancel"},
    "awaiting_identity": {"ask_identity", "verify", "extend", "reject", "cancel"},
    "open": {"ask_identity", "approve", "extend", "reject", "cancel"},
    "approved": {"approve"},
    "running": {"approve"},
    "partial": {"approve"},
}
SUBJECT = {
    "received": {"verify", "cancel"},
    "awaiting_identity": {"verify", "cancel"},
    "open": {"cancel"},
}
SYSTEM = {
    "received": {"ask_identity", "cancel"},
    "awaiting_identity": {"ask_identity", "cancel"},
    "open": {"ask_identity", "cancel"},
    "approved": {"start"},
    "running": {"start", "finish", "fall_short"},
    # When the last recipient knows after all.
    "partial": {"finish"},
}
EXPECTED = {Role.OFFICER: OFFICER, Role.SUBJECT: SUBJECT, Role.SYSTEM: SYSTEM}


@pytest.mark.parametrize(("status", "act", "role"), ALL)
def test_allows_exactly_the_acts_of_a_status_to_a_role(status, act, role):
    allowed = act in EXPECTED[role].get(status, set())
    assert (life.follow(status=status, act=act, role=role) is not None) == allowed


def test_approves_nothing_that_was_never_verified():
    """Walk all edges: `approved` is reached through `open`, and `open` through `verify` alone."""
    into = {status: {act for (_, act), after in life.EDGES.items() if after == status} for status in life.STATUSES}
    assert into["approved"] == {"approve"}
    assert {start for (start, act), after in life.EDGES.items() if after == "approved"} == {
        "open",
        "approved",
        "partial",
    }
    assert {act for (start, act), after in life.EDGES.items() if after == "open" and start != "open"} == {"verify"}


def test_knows_the_statuses_of_the_table():
    assert set(life.STATUSES) == set(PrivacyRequest.Status.values)
    assert not [start for start, _ in life.EDGES if start in life.OVER]


# REST: what a key of each role gets for each act in each status.
STEPS = {
    "approve": None,
    "extend": {"reason": "many systems"},
    "reject": {"reason": "not you"},
    "cancel": {"reason": "taken back"},
}
KEYS = ("administrator", "compliance_officer", "marketer", "integrator", "privacy:read", "privacy:write")
MAY_WRITE = {"administrator", "compliance_officer", "privacy:write"}


@pytest.fixture
def make():
    def one(status, type="objection"):
        now = timezone.now()
        return PrivacyRequest.objects.create(
            id=uuid.uuid4(), type=type, status=status, received_at=now, due_at=now + timedelta(days=9)
        )

    return one


@pytest.mark.parametrize("key", KEYS)
def test_every_step_in_every_status_for_every_kind_of_key(make, key):
    client = api(key)
    for status, (step, body) in itertools.product(life.STATUSES, STEPS.items()):
        row = make(status)
        answer = client.post(f"/api/v1/privacy-requests/{row.pk}/{step}", body, format="json")
        expected = 403 if key not in MAY_WRITE else 200 if step in OFFICER.get(status, set()) else 409
        assert answer.status_code == expected, (key, status, step, answer.content)
        row.refresh_from_db()
        if expected != 200:
            assert row.status == status


def test_nobody_gets_anywhere_without_a_key(make):
    row = make("open")
    for step, body in STEPS.items():
        assert api().post(f"/api/v1/privacy-requests/{row.pk}/{step}", body, format="json").status_code == 401


class TestFourEyes:
    @pytest.fixture(autouse=True)
    def switched_on(self, settings):
        settings.CDP_FOUR_EYES = True

    def test_waits_for_somebody_else(self, make):
        row = make("open")
        first, second = api("compliance_officer", name="first"), api("compliance_officer", name="second")
        address = f"/api/v1/privacy-requests/{row.pk}/approve"
        answer = first.post(address).json()
        assert (answer["status"], answer["approvals"]) == ("open", 1)
        again = first.post(address)
        assert (again.status_code, again.json()["code"]) == (409, "privacy.second_approval_needed")
        assert second.post(address).json()["status"] == "approved"
        row.refresh_from_db()
        assert row.approvals == ["key:first", "key:second"]

    def test_is_off_by_default(self, make, settings):
        settings.CDP_FOUR_EYES = False
        row = make("open")
        answer = api("compliance_officer").post(f"/api/v1/privacy-requests/{row.pk}/approve")
        assert answer.json()["status"] == "approved"
