"""`$session`: what a person did at one source without a longer silence."""

from datetime import UTC, datetime, timedelta

import pytest

from cdp.core.models import Job
from profiles.services.sessions import JOB, compute_sessions_again, prepare_sessions
from segments.language.evaluate import depends
from segments.language.parse import parse
from segments.language.person import Event
from segments.language.sessions import derive_sessions
from segments.queries.suggestions import read_property_names, read_suggestions
from tests.profiles.sending import NOW, send, source
from tests.segments.asking import catch_up, definition, did, identify, members, segment, track
from tests.world import api

GAP = timedelta(minutes=30)
AT = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)


def seen(*minutes: float, origin: str = "shop") -> list[Event]:
    return [Event(number, "Seen", AT + minute * MINUTE, source=origin) for number, minute in enumerate(minutes, 1)]


def test_a_silence_of_the_gap_ends_a_session():
    found = derive_sessions([*seen(0, 29, 58), Event(9, "Seen", AT + 88 * MINUTE, source="shop")], GAP)
    assert [(one.id, one.occurred_at, one.properties["events"]) for one in found] == [
        (1, AT, 3),
        (9, AT + 88 * MINUTE, 1),
    ]
    assert [one.properties["duration_seconds"] for one in found] == [58 * 60, 0]
    just = [Event(1, "A", AT), Event(2, "A", AT + GAP - TICK)]
    assert len(derive_sessions(just, GAP)) == 1


def test_each_source_has_sessions_of_its_own():
    found = derive_sessions([*seen(0, 20, 40), *seen(10, 50, origin="app")], GAP)
    assert sorted((one.properties["source"], one.properties["events"]) for one in found) == [
        ("app", 1),
        ("app", 1),
        ("shop", 3),
    ]


def test_a_session_has_campaign_and_context_of_its_first_event():
    first = Event(1, "Landed", AT, context={"campaign": {"name": "spring"}, "ip": "x"}, source="shop")
    later = Event(2, "Seen", AT + MINUTE, context={"campaign": {"name": "other"}}, source="shop")
    [found] = derive_sessions([later, first], GAP)
    assert (found.properties["campaign"], found.context) == ({"name": "spring"}, first.context)
    assert found.derived


def test_depends_on_every_event():
    assert depends(parse(definition(did("$session")))) >= {"event:*"}


VISITED = did("$session", "PT2H")
LONG = did("$session", where={"property": "duration_seconds", "op": "gte", "value": 1500})


@pytest.mark.django_db
def test_follows_events_that_prolong_begin_and_join_sessions():
    segment("long", LONG)
    segment("two", did("$session", measure={"fn": "count"}, op="gte", value=2))
    track("u1", "Seen", NOW)
    track("u1", "Seen", NOW + 40 * MINUTE)
    catch_up(NOW + 40 * MINUTE)
    assert (members("long"), members("two")) == (set(), {"u1"})
    # An event that arrives late lies between both and joins them.
    track("u1", "Seen", NOW + 20 * MINUTE, sent=NOW + 41 * MINUTE)
    catch_up(NOW + 41 * MINUTE)
    assert (members("long"), members("two")) == ({"u1"}, set())


@pytest.mark.django_db
def test_is_left_exactly_when_the_window_has_passed_its_beginning():
    segment("visited", VISITED)
    track("u1", "Seen", NOW)
    track("u1", "Seen", NOW + 20 * MINUTE)
    catch_up(NOW + timedelta(hours=2))
    assert members("visited") == {"u1"}
    catch_up(NOW + timedelta(hours=2) + TICK)
    assert members("visited") == set()


@pytest.mark.django_db
def test_calls_that_are_no_visits_make_no_session():
    segment("visited", VISITED)
    send({"type": "identify", "userId": "u1", "traits": {"plan": "pro"}}, {"type": "page", "userId": "u2"})
    catch_up(NOW + MINUTE)
    assert members("visited") == {"u2"}


@pytest.mark.django_db
def test_merging_people_joins_their_sessions():
    segment("long", LONG)
    one = source("browser")
    send({"type": "track", "event": "Seen", "anonymousId": "a"}, origin=one, at=NOW)
    send({"type": "track", "event": "Seen", "userId": "u1"}, origin=one, at=NOW + 25 * MINUTE)
    catch_up(NOW + 25 * MINUTE)
    assert members("long") == set()
    send({"type": "identify", "userId": "u1", "anonymousId": "a"}, origin=one, at=NOW + 26 * MINUTE)
    catch_up(NOW + 26 * MINUTE)
    assert members("long") == {"u1"}


@pytest.mark.django_db
def test_the_silence_is_a_setting(settings):
    segment("long", LONG)
    track("u1", "Seen", NOW)
    track("u1", "Seen", NOW + 45 * MINUTE)
    catch_up(NOW + 45 * MINUTE)
    assert members("long") == set()
    settings.CDP_SESSION_MINUTES = 60
    prepare_sessions()
    while not compute_sessions_again(Job.objects.get(kind=JOB)):
        pass
    catch_up(NOW + 46 * MINUTE)
    assert members("long") == {"u1"}


@pytest.mark.django_db
def test_is_offered_previewed_and_explained():
    track("u1", "Seen", NOW)
    track("u1", "Seen", NOW + 10 * MINUTE)
    assert "$session" in read_suggestions().events
    assert read_property_names(event="$session")["duration_seconds"] == "number"
    client = api("administrator")
    match = {
        **VISITED,
        "window": {"all_time": True},
        "where": {"property": "source", "op": "eq", "value": "server-source"},
    }
    shown = client.post("/api/v1/segments/preview", {"definition": definition(match)}, format="json").json()
    assert shown["count"] == 1
    assert "a session" in shown["sentence"]
    segment("visited", match)
    profile = shown["sample"][0]["id"]
    told = client.get(f"/api/v1/segments/visited/explain/{profile}").json()
    assert told["member"] is True


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("op", "value", "holds"),
    [
        ("eq", 600, True),
        ("eq", 600.5, False),
        ("ne", 600, False),
        ("in", [1, 600], True),
        ("not_in", [1, 600], False),
        ("gte", 600, True),
        ("lt", 600, False),
        ("between", [599.5, 600], True),
        ("gt", {"ref": "trait:patience"}, True),
        ("lt", {"ref": "trait:patience"}, False),
    ],
)
def test_numbers_of_a_session_are_compared_like_those_of_other_events(op, value, holds):
    identify("u1", patience=500)
    track("u1", "Seen", NOW)
    track("u1", "Seen", NOW + 10 * MINUTE)
    where = {"property": "duration_seconds", "op": op, "value": value, "cast": "number"}
    segment("long", did("$session", where=where), now=NOW + 11 * MINUTE)
    assert members("long") == ({"u1"} if holds else set())
