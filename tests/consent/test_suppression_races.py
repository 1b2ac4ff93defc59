"""Erasure against collection, and a decision against a merge, on two connections at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone

from cdp.core import registries
from consent.models import Decision
from consent.queries.suppressions import find_suppressed
from consent.services.decisions import NewDecision, record_decision
from consent.services.gate import may_process
from consent.services.purposes import create_purpose
from consent.services.requests import NewRequest, approve_request, create_request
from consent.services.running import run_privacy_requests
from consent.services.suppressions import suppress_identifier
from ingestion.services import screen
from profiles.errors import NoSuchProfile
from profiles.models import Identifier, Profile
from profiles.queries.people import find_by_identifier, name_identifier
from profiles.services.steward import merge_profiles
from tests.profiles.sending import identify, process, put, send, source, track

pytestmark = pytest.mark.usefixtures("committed")


def at_once(*acts):
    """Run functions at the same moment, each on a connection of its own, and return what they return."""
    gate = threading.Barrier(len(acts))

    def run(act):
        try:
            gate.wait()
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(run, act) for act in acts]]


@pytest.fixture
def slow_look_up(monkeypatch):
    """Leave time between the look-up of suppressions and the write, so that a race has room."""

    def look_up(named):
        found = find_suppressed(named)
        time.sleep(0.05)
        return found

    monkeypatch.setattr(registries, "suppression_checks", [look_up])
    monkeypatch.setattr(screen, "suppression_checks", [look_up])


def test_lets_no_profile_slip_in_beside_a_suppression(slow_look_up):
    shop = source()
    for trial in range(20):
        named = name_identifier(type="user_id", value=f"racer-{trial}")
        put([track("Seen", f"racer-{trial}")], origin=shop)

        def suppress(named=named, pause=0.005 * (trial % 10)):
            time.sleep(pause)
            suppress_identifier(named=named, reason="test", actor="system", now=timezone.now())
            return find_by_identifier(named=named) is not None

        there_at_commit, _ = at_once(suppress, lambda: process(now=timezone.now()))
        # What is there later was there when the suppression was committed: nothing came after it.
        assert (find_by_identifier(named=named) is not None) == there_at_commit


def test_erases_whatever_arrives_meanwhile(slow_look_up):
    shop = source()
    for trial in range(5):
        name = f"runner-number-{trial}"
        send(identify(name, email=f"{name}@example.org"), origin=shop)
        now = timezone.now()
        identity = name_identifier(type="user_id", value=name)
        request = create_request(new=NewRequest("erasure", [identity], "gdpr", now, "api", "system"), now=now)
        approve_request(request_id=str(request.id), actor="system", now=now)
        put([track("Late", name) for _ in range(20)], origin=shop)
        at_once(lambda: process(now=timezone.now()), lambda: run_privacy_requests(clock=timezone.now))
        process(now=timezone.now())
        run_privacy_requests(clock=timezone.now)
        request.refresh_from_db()
        assert (request.status, [step for step in request.steps if step["remaining"]]) == ("completed", [])
    assert not Identifier.objects.exists()
    assert not Profile.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM profiles_event")
        assert cursor.fetchone()[0] == 0


def test_keeps_a_withdrawal_that_races_with_a_merge():
    create_purpose(key="marketing", fields={"name": "Marketing"}, actor="system", now=timezone.now())
    shop = source()
    for trial in range(5):
        names = [f"left-{trial}", f"right-{trial}"]
        people = []
        for name in names:
            send(identify(name), origin=shop)
            people.append(find_by_identifier(named=name_identifier(type="user_id", value=name)))
        for state, person in (("granted", people[0]), ("granted", people[1])):
            new = NewDecision("marketing", None, state, "system", profile_uuid=person.uuid)
            record_decision(new=new, now=timezone.now())
        withdrawal = NewDecision("marketing", None, "withdrawn", "system", profile_uuid=people[1].uuid)

        def withdraw(new=withdrawal):
            try:
                return record_decision(new=new, now=timezone.now())
            except NoSuchProfile:
                return None

        def join(both=people):
            return merge_profiles(
                public_ids=[one.uuid for one in both], reason="test", actor="system", now=timezone.now()
            )

        withdrawn, _ = at_once(withdraw, join)
        assert withdrawn is not None
        survivor = find_by_identifier(named=name_identifier(type="user_id", value=names[0]))
        verdict = may_process(profile_id=survivor.profile_id, purpose="marketing", channel=None, at=timezone.now())
        assert (verdict.allowed, verdict.state) == (False, "withdrawn")


def test_gives_concurrent_decisions_one_line_of_history():
    create_purpose(key="marketing", fields={"name": "Marketing"}, actor="system", now=timezone.now())
    send(identify("dana-1"), origin=source())
    person = find_by_identifier(named=name_identifier(type="user_id", value="dana-1"))

    def say(state):
        new = NewDecision("marketing", None, state, "system", profile_uuid=person.uuid)
        return record_decision(new=new, now=timezone.now())

    at_once(*[lambda state=state: say(state) for state in ("granted", "withdrawn", "granted", "denied")])
    rows = list(Decision.objects.order_by("id"))
    assert [row.follows for row in rows] == [[], *([row.id] for row in rows[:-1])]
