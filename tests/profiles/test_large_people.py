"""People with very many events or identifiers: moved by a job, listed by pages, never in the way of others."""

import itertools

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cdp.core.services.jobs import run_jobs
from consent.services.requests import NewRequest, approve_request, create_request
from consent.services.running import run_privacy_requests
from profiles.models import Activity, Identifier, IdentifierType, Merge, Profile
from profiles.queries.people import name_identifier
from profiles.services.merging import EVENTS_AT_ONCE
from profiles.services.moving import is_moving
from profiles.services.splitting import recompute
from profiles.services.steward import merge_profiles
from tests.profiles import oracle
from tests.profiles.sending import NOW, events_of, identify, send, track
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db
MANY = EVENTS_AT_ONCE + 500
LOT = 10_000
_firsts = itertools.count(10_000_000, 100_000)

MORE_EVENTS = """
INSERT INTO profiles_event (id, profile_id, type, name, occurred_at, received_at, source_id, message_id, identifiers,
    traits)
SELECT %(first)s + n, i.profile_id, CASE WHEN n %% 100 = 0 THEN 2 ELSE 1 END,
    CASE WHEN n %% 100 = 0 THEN '' ELSE 'Seen' END,
    %(at)s - n * interval '1 minute', %(at)s, i.source_id, %(value)s || n, ARRAY[i.id],
    CASE WHEN n %% 100 = 0 THEN jsonb_build_object('visits', n, 'last_of', %(value)s) END
FROM generate_series(1, %(count)s) AS n, profiles_identifier i WHERE i.value = %(value)s
"""
MORE_IDENTIFIERS = """
WITH new AS (
    INSERT INTO profiles_identifier
        (type_id, lookup, value, profile_id, first_seen_at, source_id, verified, alias_state)
    SELECT t.id, decode(md5(n::text), 'hex'), 'browser-' || n, i.profile_id, %(at)s, i.source_id, false, 0
    FROM generate_series(1, %(count)s) AS n, profiles_identifier i, profiles_identifiertype t
    WHERE i.value = %(value)s AND t.key = 'anonymous_id' RETURNING id
)
INSERT INTO profiles_edge (a, b, kind, rule, message_id, source_id, created_at, state)
SELECT i.id, new.id, 1, 'identify', 'm', i.source_id, %(at)s, 1 FROM new, profiles_identifier i
WHERE i.value = %(value)s
"""


def somebody_with(value: str, events: int) -> str:
    """A person with many events, as if they had been sent; returns the public id."""
    send(identify(value, plan=value))
    with connection.cursor() as cursor:
        cursor.execute(MORE_EVENTS, {"first": next(_firsts), "at": NOW, "count": events, "value": value})
        holder = Identifier.objects.get(value=value).profile
        recompute(cursor, [holder.pk])
    return str(holder.uuid)


def whole() -> None:
    """Each person is as computed from scratch."""
    wanted = oracle.expected()
    for person in wanted.values():
        person.segments = set()
    assert oracle.actual(segments=False) == wanted
    assert oracle.faults() == []


def work() -> None:
    while run_jobs():
        pass


def test_takes_messages_of_both_sides_while_events_are_moved_by_a_merge_and_its_undo():
    ids = [somebody_with("one", MANY), somebody_with("two", MANY + 50)]
    client = api("identity:write", "profiles:read")
    before = {one: client.get(f"/api/v1/profiles/{one}").json() for one in ids}
    merge = client.post("/api/v1/profiles/merge", {"profile_ids": ids, "reason": "same"}, format="json").json()
    assert merge["state"] == "pending"
    send(track("Late", "one"), track("Late", "two"), identify("one", "a1"))
    # The timeline is whole although the events have not been moved.
    newest = client.get(f"/api/v1/profiles/{ids[0]}/events?limit=1000").json()["results"]
    assert [one["name"] for one in newest].count("Late") == 2
    refused = client.post(f"/api/v1/merges/{merge['id']}/undo")
    assert (refused.status_code, refused.json()["code"]) == (409, "profile.busy")
    work()
    assert client.get(f"/api/v1/merges/{merge['id']}").json()["state"] == "done"
    assert events_of("user_id", "one") == 2 * MANY + 50 + 5
    whole()
    undone = client.post(f"/api/v1/merges/{merge['id']}/undo").json()
    assert (undone["state"], undone["undone_by"] != "") == ("pending", True)
    send(track("Later", "one"), track("Later", "two"))
    work()
    assert client.get(f"/api/v1/merges/{merge['id']}").json()["state"] == "done"
    whole()
    assert (events_of("user_id", "one"), events_of("user_id", "two")) == (MANY + 4, MANY + 53)
    for one in ids:
        after = client.get(f"/api/v1/profiles/{one}").json()
        assert after["traits"] == before[one]["traits"]
        assert after["first_seen_at"] == before[one]["first_seen_at"]


def test_moves_each_event_to_its_person_when_a_merge_overtakes_an_undo():
    ids = [somebody_with("one", MANY), somebody_with("two", 20), somebody_with("three", 30)]
    merge = merge_profiles(public_ids=ids[:2], reason="same", actor="test", now=NOW)
    work()
    client = api("identity:write")
    assert client.post(f"/api/v1/merges/{merge.pk}/undo").json()["state"] == "pending"
    # While the events wait to be moved, the profile that they are under is merged into another one.
    merge_profiles(public_ids=[ids[0], ids[2]], reason="same", actor="test", now=NOW)
    work()
    whole()
    assert (events_of("user_id", "one"), events_of("user_id", "two")) == (MANY + 32, 21)
    assert not Merge.objects.filter(state=Merge.State.PENDING).exists()


def test_erases_what_is_still_to_be_moved_and_nobody_elses():
    ids = [somebody_with("number-one", MANY), somebody_with("number-two", 40)]
    merge = merge_profiles(public_ids=ids, reason="same", actor="test", now=NOW)
    work()
    api("identity:write").post(f"/api/v1/merges/{merge.pk}/undo")
    with connection.cursor() as cursor:
        assert is_moving(cursor, [Identifier.objects.get(value="number-two").profile_id])
    identity = name_identifier(type="user_id", value="number-two")
    request = create_request(new=NewRequest("erasure", [identity], "gdpr", NOW, "api", "test"), now=NOW)
    approve_request(request_id=str(request.pk), actor="test", now=NOW)
    run_privacy_requests(clock=timezone.now)
    request.refresh_from_db()
    assert request.status == "completed", [step for step in request.steps if step["remaining"]]
    work()
    whole()
    assert events_of("user_id", "number-one") == MANY + 1
    assert Profile.objects.count() == 1


def test_shows_and_extends_a_person_with_ten_thousand_identifiers():
    IdentifierType.objects.filter(key="anonymous_id").update(value_limit=None)
    send(identify("hub", email="hub@example.org"))
    with connection.cursor() as cursor:
        cursor.execute(MORE_IDENTIFIERS, {"at": NOW, "count": LOT, "value": "hub"})
    person = str(Profile.objects.get().uuid)
    client = api("profiles:read", "identity:write")
    shown = client.get(f"/api/v1/profiles/{person}").json()
    # The strongest are shown with the profile; the list holds them all.
    assert len(shown["identifiers"]) == 1_000
    assert shown["identifiers"][0]["type"] == "user_id"
    counted, address = 0, f"/api/v1/profiles/{person}/identifiers?limit=1000"
    while address:
        page = client.get(address).json()
        counted, address = counted + len(page["results"]), page["next"]
    assert counted == LOT + 2
    graph = client.get(f"/api/v1/profiles/{person}/graph").json()
    assert (graph["complete"], len(graph["edges"]), graph["confidence"]) == (False, 1_000, 0.85)
    browser = signed_in("ada")
    for path in ("", "/graph", "/links", "/identifiers", "/origin"):
        with CaptureQueriesContext(connection) as statements:
            answer = browser.get(f"/profiles/{person}{path}")
        assert answer.status_code == 200
        assert len(statements) <= 15, path
        assert len(answer.content) < 200_000, path
    with CaptureQueriesContext(connection) as statements:
        send(identify("hub", "one-more"), track("Seen", "", "one-more"))
    assert all(len(one["sql"]) < 20_000 for one in statements)
    assert Activity.objects.get().event_count == 3
