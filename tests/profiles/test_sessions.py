"""Kept sessions are those of the events, whatever comes in whatever order, and whoever turns out to be whom.

SESSION_EXAMPLES=2000 looks for new examples; without it the same ones are tried in each run.
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, event, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from cdp.core.models import Job
from consent.services.requests import NewRequest, approve_request, create_request
from consent.services.retention import run_rule, save_rule
from consent.services.running import run_privacy_requests
from profiles.errors import BadSplit, CannotUndo
from profiles.models import Merge, Profile, SessionGap
from profiles.queries.people import name_identifier
from profiles.services.sessions import JOB, compute_sessions_again, prepare_sessions
from profiles.services.steward import split_profile
from profiles.services.undoing import undo_merge
from tests.profiles import oracle
from tests.profiles.sending import process, put, send, source

SEARCH = int(os.environ.get("SESSION_EXAMPLES", "0"))
NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
# Just the gap, a microsecond on either side of it, and what lies between.
MOMENTS = [timedelta(minutes=n) for n in (0, 10, 29, 30, 45, 59, 60, 90, 100, 150)]
MOMENTS += [timedelta(minutes=30) - timedelta(microseconds=1), timedelta(minutes=60) + timedelta(microseconds=1)]
AROUND = NOW - timedelta(hours=4)


@st.composite
def visits(draw: Any) -> dict[str, Any]:
    """One call of a few people, at one of the moments at which a session can begin, go on or end."""
    kind = draw(st.sampled_from(["track", "track", "page", "screen", "identify"]))
    body: dict[str, Any] = {"type": kind, "userId": draw(st.sampled_from(["", "u1", "u2"]))}
    body["anonymousId"] = draw(st.sampled_from(["a1", "a2"] if not body["userId"] else ["", "a1", "a2"]))
    body["timestamp"] = (AROUND + draw(st.sampled_from(MOMENTS))).isoformat()
    if kind == "track":
        body["event"] = draw(st.sampled_from(["Seen", "Bought"]))
    if draw(st.booleans()):
        body["context"] = {"campaign": {"name": draw(st.sampled_from(["spring", "summer"]))}}
    return body


class House:
    """Runs acts on people."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.sources = [source("server"), source("browser")]

    def send(self) -> None:
        for body in self.data.draw(st.lists(visits(), min_size=1, max_size=6)):
            put([body], origin=self.data.draw(st.sampled_from(self.sources)), at=NOW)
            if self.data.draw(st.booleans()):
                process(now=NOW)
        process(now=NOW)

    def undo(self) -> None:
        merges = list(Merge.objects.filter(undone_at=None).order_by("id"))
        if merges:
            try:
                undo_merge(merge_id=self.data.draw(st.sampled_from(merges)).pk, actor="test", now=NOW)
            except CannotUndo:
                event("an undo that found nothing to separate")

    def split(self) -> None:
        people = list(Profile.objects.order_by("id"))
        if people:
            profile = self.data.draw(st.sampled_from(people))
            held = [(one.type.key, one.value) for one in profile.identifiers.select_related("type").order_by("id")]
            chosen = [self.data.draw(st.sampled_from(held))]
            try:
                split_profile(public_id=str(profile.uuid), identifiers=chosen, actor="test", now=NOW)
            except BadSplit:
                event("a split of the only identifier")

    def erase(self) -> None:
        named = name_identifier(type="user_id", value=self.data.draw(st.sampled_from(["u1", "u2"])))
        now = timezone.now()
        request = create_request(new=NewRequest("erasure", [named], "gdpr", now, "api", "test"), now=now)
        approve_request(request_id=str(request.pk), actor="test", now=now)
        run_privacy_requests(clock=timezone.now)

    def forget(self) -> None:
        rule = save_rule(kind="event", name="Bought", fields={"keep_days": 1}, actor="test", now=NOW)
        run_rule(rule=rule, clock=lambda: NOW + timedelta(days=2))


ACTS = st.sampled_from(["send", "send", "send", "send", "undo", "split", "erase", "forget"])


class Sessions(TestCase):
    """What holds after any acts."""

    @hypothesis_settings(
        max_examples=SEARCH or 60, derandomize=not SEARCH, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.data())
    def test_are_those_of_the_events_after_any_acts(self, data: st.DataObject) -> None:
        with transaction.atomic():
            house = House(data)
            for _ in range(data.draw(st.integers(2, 8))):
                getattr(house, data.draw(ACTS))()
                assert oracle.kept_sessions() == oracle.derived_sessions()
            event(f"sessions: {min(len(oracle.kept_sessions()), 6)}")
            transaction.set_rollback(True)


@pytest.mark.django_db
@pytest.mark.parametrize("one_by_one", [True, False])
def test_end_with_a_silence_of_the_whole_gap_and_not_a_microsecond_before(one_by_one):
    for user, silence in (("u1", 30 * MINUTE), ("u2", 30 * MINUTE - timedelta(microseconds=1))):
        calls = [{"type": "page", "userId": user, "timestamp": at.isoformat()} for at in (AROUND, AROUND + silence)]
        send(*calls, one_by_one=one_by_one)
    assert oracle.kept_sessions() == oracle.derived_sessions()
    assert sorted(row[5] for row in oracle.kept_sessions()) == [1, 1, 2]


@pytest.mark.django_db
def test_a_batch_costs_one_statement_for_its_sessions(django_assert_max_num_queries):
    send({"type": "page", "userId": "u0"})
    with django_assert_max_num_queries(60) as few:
        send(*[{"type": "page", "userId": f"u{n}"} for n in range(3)], one_by_one=False)
    with django_assert_max_num_queries(60) as many:
        send(*[{"type": "page", "userId": f"v{n}"} for n in range(60)], one_by_one=False)
    assert len(few) == len(many)
    assert sum("profiles_session" in query["sql"] for query in many) == 1


@pytest.mark.django_db
def test_are_computed_anew_when_the_silence_that_ends_them_was_changed(settings):
    for minutes in (0, 40, 90):
        send({"type": "page", "userId": "u1", "timestamp": (AROUND + minutes * MINUTE).isoformat()})
    prepare_sessions()
    assert not Job.objects.filter(kind=JOB).exists()
    settings.CDP_SESSION_MINUTES = 45
    prepare_sessions()
    prepare_sessions()
    job = Job.objects.get(kind=JOB)
    while not compute_sessions_again(job):
        pass
    assert oracle.kept_sessions() == oracle.derived_sessions(timedelta(minutes=45))
    assert len(oracle.kept_sessions()) == 2
    assert SessionGap.objects.get().minutes == 45
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM profiles_session")
        assert cursor.fetchone() == (2,)
