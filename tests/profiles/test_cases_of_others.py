"""How other systems decide about identity, with this product's choices, through the public API only and five ways:

one message per request; all in one batch; shuffled where the order does not matter; every message twice; eight clients
that each send everything at once, with two workers. A case names what it sends with a prefix of its own, so that
several can be tried on one database.
"""

import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client

from ingestion.services.process import process_batch
from profiles.models import IdentifierType
from tests.ingestion.door import basic, make_source
from tests.world import api

Item = dict[str, Any]
CLIENTS = 8
BLOCKED = [
    "0", "000-000", "-1", "null", "anonymous", "   ", "undefined", '"undefined"', "[object Object]",
    '"[object Object]"', "false",
]  # fmt: skip


class House:
    """The product from outside. `send` sends in the way under test; with `any_order` it may shuffle."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.key = make_source("shop", "server")
        self.public_key = make_source("site", "browser")
        self.rest = api("administrator")
        self.sent = 0
        self.began = datetime.now(UTC) - timedelta(hours=1)

    def dated(self, item: Item) -> Item:
        """Give an item a time and a message id of its own, unless it has them."""
        self.sent += 1
        at = (self.began + timedelta(seconds=self.sent)).isoformat()
        return {"messageId": f"m-{self.way}-{self.sent}", "timestamp": at, **item}

    def send(self, *items: Item, any_order: bool = False, key: str | None = None) -> list[Item]:
        """Send items and let them be processed; return them as they were sent."""
        dated = [self.dated(item) for item in items]
        key = key or self.key
        order = list(dated)
        if self.way == "shuffled" and any_order:
            random.Random(self.sent).shuffle(order)
        if self.way == "one batch":
            self._post({"batch": order}, key)
            process()
        elif self.way == "eight clients":
            self._all_at_once(order, key)
        else:
            for item in order:
                self._post({"batch": [item]}, key)
                if self.way == "every message twice":
                    self._post({"batch": [item]}, key)
                process()
        return dated

    def _post(self, body: Any, key: str) -> None:
        answer = Client().post(
            "/v1/batch", json.dumps(body), content_type="application/json", HTTP_AUTHORIZATION=basic(key)
        )
        assert (answer.status_code, answer.json()) == (200, {"success": True})

    def _all_at_once(self, items: list[Item], key: str) -> None:
        ready = threading.Barrier(CLIENTS + 2)
        over = threading.Event()

        def bring() -> None:
            try:
                ready.wait()
                for item in items:
                    self._post({"batch": [item]}, key)
            finally:
                connection.close()

        def work() -> None:
            try:
                ready.wait()
                while not over.is_set():
                    process_batch(now=datetime.now(UTC))
            finally:
                connection.close()

        with ThreadPoolExecutor(CLIENTS + 2) as pool:
            clients = [pool.submit(bring) for _ in range(CLIENTS)]
            workers = [pool.submit(work) for _ in range(2)]
            try:
                for client in clients:
                    client.result()
            finally:
                over.set()
            for worker in workers:
                worker.result()
        process()

    def find(self, identifier: str) -> Item | None:
        """Return the profile that holds TYPE:VALUE."""
        type_key, _, value = identifier.partition(":")
        answer = self.rest.post(
            "/api/v1/profiles/lookup", {"identifier": {"type": type_key, "value": value}}, format="json"
        )
        return answer.json() if answer.status_code == 200 else None

    def person(self, *identifiers: str) -> Item:
        """Return the one profile that holds exactly these identifiers."""
        found = [self.find(one) for one in identifiers]
        assert None not in found, identifiers
        assert len({one["id"] for one in found if one is not None}) == 1, identifiers
        person = found[0]
        assert person is not None
        assert sorted(f"{one['type']}:{one['value']}" for one in person["identifiers"]) == sorted(identifiers)
        return person

    def of(self, person: Item, what: str) -> list[Item]:
        """Return a list that belongs to a person, the newest first."""
        return self.rest.get(f"/api/v1/profiles/{person['id']}/{what}?limit=1000").json()["results"]

    def refusals(self, person: Item) -> list[str]:
        """Return why what was not joined with a person, once each."""
        found = self.rest.get("/api/v1/identity/refusals", {"profile": person["id"], "limit": 1000}).json()["results"]
        return sorted({f"{one['identifier']['type']}: {one['reason']}" for one in found})

    def outcome(self, item: Item, source: str = "shop") -> Item:
        """Return what became of a message."""
        return self.rest.get(f"/api/v1/messages/{item['messageId']}", {"source": source}).json()

    def decide(self, identifier: str, purpose: str, state: str, **more: Any) -> Any:
        """Record a decision."""
        type_key, _, value = identifier.partition(":")
        body = {"identifier": {"type": type_key, "value": value}, "purpose": purpose, "state": state, **more}
        return self.rest.post("/api/v1/consents", body, format="json")

    def purpose(self, key: str) -> str:
        """Make a purpose."""
        body = {"key": key, "name": key, "legal_basis": "consent", "channels": ["email"]}
        assert self.rest.post("/api/v1/purposes", body, format="json").status_code in (200, 201)
        return key

    def stands(self, person: Item, purpose: str) -> tuple[bool, str]:
        """Return whether a purpose is allowed for a person, and its state."""
        found = self.rest.get("/api/v1/consents/check", {"profile": person["id"], "purpose": purpose}).json()
        return found["allowed"], found["state"]


def process() -> None:
    """Process until nothing waits."""
    while process_batch(now=datetime.now(UTC)):
        pass


def device(kind: str, value: str) -> Item:
    """Return a context with a device."""
    return {"device": {"type": kind, "id": value}}


def identify(user: str = "", anonymous: str = "", **more: Any) -> Item:
    """Return an identify."""
    return {"type": "identify", "userId": user, "anonymousId": anonymous, **more}


def track(name: str, user: str = "", anonymous: str = "", **more: Any) -> Item:
    """Return a track."""
    return {"type": "track", "event": name, "userId": user, "anonymousId": anonymous, **more}


def case_1_joins_devices_and_sessions(house: House, p: str) -> None:
    house.send(
        track("App Opened", "", f"{p}anon_123", context=device("ios", f"{p}ios_abc123")),
        track("ShoeA Clicked", "", f"{p}anon_123", context=device("ios", f"{p}ios_abc123")),
        identify(f"{p}abc123def", f"{p}anon_123", context=device("ios", f"{p}ios_abc123")),
        identify(f"{p}abc123def", f"{p}anon_456", context=device("android", f"{p}and_1a2b3c4d")),
        identify(f"{p}abc123def", f"{p}anon_789", context=device("android", f"{p}and_1a2b3c4d")),
        any_order=True,
    )
    anonymous = [f"anonymous_id:{p}anon_{number}" for number in (123, 456, 789)]
    person = house.person(f"user_id:{p}abc123def", *anonymous, f"ios.id:{p}ios_abc123", f"android.id:{p}and_1a2b3c4d")
    assert len(house.of(person, "events")) == 5


def case_1b_attributes_earlier_pages(house: House, p: str) -> None:
    pages = [{"type": "page", "name": f"Page {number}", "anonymousId": f"{p}anon1"} for number in (1, 2, 3)]
    house.send(*pages, identify(f"{p}user1", f"{p}anon1", traits={"email": f"{p}test@example.com"}), any_order=True)
    named = (f"user_id:{p}user1", f"anonymous_id:{p}anon1", f"email:{p}test@example.com")
    person = house.person(*named)
    assert len(house.of(person, "events")) == 4
    merges = len(house.of(person, "merges"))
    house.send(track("Seen", f"{p}user1", f"{p}anon1"))
    assert len(house.of(house.person(*named), "events")) == 5
    assert len(house.of(person, "merges")) == merges


def case_2_leaves_the_weakest_out_at_a_limit(house: House, p: str) -> None:
    mail = f"{p}jane@example1.com"
    house.send(identify(f"{p}abc123", traits={"email": mail}), identify(f"{p}abc456", traits={"email": mail}))
    first = house.person(f"user_id:{p}abc123", f"email:{mail}")
    second = house.person(f"user_id:{p}abc456")
    assert [len(house.of(one, "events")) for one in (first, second)] == [1, 1]
    assert house.refusals(first) == ["email: user_id limit"]


def case_3_never_takes_a_placeholder_for_an_identifier(house: House, p: str) -> None:
    sent = house.send(*[
        identify(value, f"{p}{side}{number}") for number, value in enumerate(BLOCKED) for side in ("x", "y")
    ], *[identify(f"{p}{side}{number}", value) for number, value in enumerate(BLOCKED) for side in ("v", "w")],
        any_order=True)  # fmt: skip
    for number, _ in enumerate(BLOCKED):
        for side in ("x", "y"):
            house.person(f"anonymous_id:{p}{side}{number}")
        for side in ("v", "w"):
            house.person(f"user_id:{p}{side}{number}")
    for value in BLOCKED:
        for kind in ("user_id", "anonymous_id"):
            assert house.find(f"{kind}:{value}") is None
    first = house.outcome(sent[0])
    assert (first["outcome"], bool(first["warnings"])) == ("accepted", True)


def case_5_merges_late_and_keeps_the_older_id(house: House, p: str) -> None:
    late = [track("Seen", context=device("ios", f"{p}6d92"))] * 5
    house.send(track("Seen", "", f"{p}4b0d"), identify(f"{p}alice", f"{p}4b0d"), *late)
    older, newer = house.find(f"anonymous_id:{p}4b0d"), house.find(f"ios.id:{p}6d92")
    assert older is not None
    assert newer is not None
    (link,) = house.send(identify(f"{p}alice", context=device("ios", f"{p}6d92")))
    person = house.person(f"anonymous_id:{p}4b0d", f"user_id:{p}alice", f"ios.id:{p}6d92")
    assert person["id"] == older["id"]
    assert house.rest.get(f"/api/v1/profiles/{newer['id']}").json()["id"] == older["id"]
    assert person["merged_ids"] == [newer["id"]]
    (merge,) = house.of(person, "merges")
    assert (merge["survivor_id"], merge["absorbed_id"], merge["message_id"]) == (
        older["id"],
        newer["id"],
        link["messageId"],
    )
    assert len(house.of(person, "events")) == 8
    assert [one["kind"] for one in house.of(person, "changes")].count("merged") == 1


def case_7_never_joins_two_known_people_unasked(house: House, p: str) -> None:
    house.send(identify(f"{p}u1"), identify(f"{p}u2"), identify(f"{p}u2", f"{p}u1"), identify(f"{p}u3", f"{p}u1"))
    people = [house.person(f"user_id:{p}{name}") for name in ("u1", "u2", "u3")]
    assert [len(house.of(one, "events")) for one in people] == [1, 2, 1]
    assert house.refusals(people[1]) == ["anonymous_id: anonymous_id is the user_id of another profile"]
    ids = [one["id"] for one in people[:2]]
    body = {"profile_ids": ids, "reason": "they said so"}
    assert api("profiles:read").post("/api/v1/profiles/merge", body, format="json").status_code == 403
    made = house.rest.post("/api/v1/profiles/merge", body, format="json").json()
    assert (made["kind"], bool(made["actor"])) == ("steward", True)
    person = house.person(f"user_id:{p}u1", f"user_id:{p}u2")
    assert {house.rest.get(f"/api/v1/profiles/{one}").json()["id"] for one in ids} == {person["id"]}


def case_7b_keeps_a_session_with_its_first_user(house: House, p: str) -> None:
    IdentifierType.objects.filter(key="email").update(value_limit=1)
    master, event, known = (f"{p}{name}@example.org" for name in ("master", "event", "known"))
    house.send(
        identify("", f"{p}session", traits={"email": master}),
        identify("", f"{p}other", traits={"email": known}),
        identify("", f"{p}session", traits={"email": event}),
        identify("", f"{p}session", traits={"email": known}),
    )
    first = house.person(f"anonymous_id:{p}session", f"email:{master}")
    assert len(house.of(first, "events")) == 1
    assert len(house.of(house.person(f"email:{event}"), "events")) == 1
    assert len(house.of(house.person(f"anonymous_id:{p}other", f"email:{known}"), "events")) == 2
    assert house.refusals(first) == ["anonymous_id: email limit"]
    IdentifierType.objects.filter(key="email").update(value_limit=5)


def case_9_makes_one_component(house: House, p: str) -> None:
    house.send(
        identify(f"{p}u1", f"{p}anon1"),
        {"type": "page", "userId": f"{p}u2", "anonymousId": f"{p}anon2"},
        {"type": "screen", "userId": f"{p}u2", "anonymousId": f"{p}anon3"},
        {"type": "alias", "userId": f"{p}u2", "previousId": f"{p}u1"},
        any_order=True,
    )
    house.person(f"user_id:{p}u1", f"user_id:{p}u2", *[f"anonymous_id:{p}anon{number}" for number in (1, 2, 3)])


def case_9_needs_two_identifiers_in_a_link_call(house: House, p: str) -> None:
    def link(*pair: tuple[str, str]) -> int:
        item = house.dated({"mergeProperties": [{"type": kind, "value": value} for kind, value in pair]})
        answer = Client().post(
            "/v1/merge", json.dumps(item), content_type="application/json", HTTP_AUTHORIZATION=basic(house.key)
        )
        process()
        return answer.status_code

    mail, phone = ("email", f"{p}one@example.org"), ("phone", "+4915123456789")
    bad = [link(mail), link(mail, phone, ("user_id", f"{p}u")), link(mail, ("phone", ""))]
    assert bad == [400, 400, 400]
    assert house.find(":".join(mail)) is None
    assert link(mail, ("user_id", f"{p}u")) == 200
    house.person(":".join(mail), f"user_id:{p}u")


def case_9b_finds_the_same_people_in_records(house: House, p: str) -> None:
    def record(mail: str, phone: str) -> Item:
        return {"type": "identify", "traits": {"email": f"{p}{mail}", "phone": phone}}

    # Numbers of their own for each way, so that several can be tried on one database.
    area = f"+49151{sum(map(ord, p)) % 900 + 100}"
    house.send(
        *[record("john@doe.email", f"{area}11111")] * 2,
        *[record("john@doe.email", f"{area}22222")] * 2,
        *[record("anna@munic.email", f"{area}33333")] * 2,
        record("jane@gabriel.email", f"{area}44444"),
        record("jane.gabriel@gmail.com", f"{area}44444"),
        any_order=True,
    )
    house.person(f"email:{p}john@doe.email", f"phone:{area}11111", f"phone:{area}22222")
    house.person(f"email:{p}anna@munic.email", f"phone:{area}33333")
    house.person(f"email:{p}jane@gabriel.email", f"email:{p}jane.gabriel@gmail.com", f"phone:{area}44444")


def case_9c_keeps_the_latest_statement(house: House, p: str) -> None:
    house.send(
        identify(f"{p}u1", traits={"last_active": "2026-03-02"}, timestamp="2026-03-02T00:00:00Z"),
        identify(f"{p}u1", traits={"last_active": "2026-03-01"}, timestamp="2026-03-01T00:00:00Z"),
        identify("", f"{p}a1", traits={"last_active": "2026-03-03"}, timestamp="2026-03-03T00:00:00Z"),
        identify(f"{p}u1", f"{p}a1", traits={"seen": True}, timestamp="2026-03-04T00:00:00Z"),
        any_order=True,
    )
    person = house.person(f"user_id:{p}u1", f"anonymous_id:{p}a1")
    assert person["traits"]["last_active"]["value"] == "2026-03-03"


def case_20a_keeps_purposes_apart(house: House, p: str) -> None:
    house.send(identify(f"{p}u1"))
    first, second = house.purpose(f"{p}one"), house.purpose(f"{p}two")
    for purpose in (first, second):
        assert house.decide(f"user_id:{p}u1", purpose, "granted").status_code == 201
    person = house.person(f"user_id:{p}u1")
    assert [house.stands(person, purpose) for purpose in (first, second)] == [(True, "granted")] * 2
    assert len(house.of(person, "consents")) == 2


def case_20b_takes_a_later_yes_and_nothing_from_silence(house: House, p: str) -> None:
    purpose = house.purpose(f"{p}ads")
    house.rest.patch(f"/api/v1/purposes/{purpose}", {"consent_categories": [f"{p}cat"]}, format="json")

    def said(answer: bool | None, anonymous: str) -> Item:
        given = {} if answer is None else {"consent": {"categoryPreferences": {f"{p}cat": answer}}}
        return {
            "type": "track", "event": "Segment Consent Preference Updated" if given else "Seen",
            "userId": f"{p}u1", "anonymousId": anonymous, "context": given,
        }  # fmt: skip

    named = (f"user_id:{p}u1", f"anonymous_id:{p}phone", f"anonymous_id:{p}desktop")
    house.send(said(False, f"{p}phone"), said(None, f"{p}desktop"))
    assert house.stands(house.person(*named), purpose)[0] is False
    house.send(said(True, f"{p}desktop"))
    assert house.stands(house.person(*named), purpose) == (True, "granted")


def case_20c_lets_the_last_answer_stand(house: House, p: str) -> None:
    house.send(identify(f"{p}e68a"))
    purpose = house.purpose(f"{p}all")
    for state in ("granted", "denied"):
        house.decide(f"user_id:{p}e68a", purpose, state)
    person = house.person(f"user_id:{p}e68a")
    # A denial while it is granted is a withdrawal.
    assert house.stands(person, purpose) == (False, "withdrawn")


def case_20d_carries_an_objection_through_a_merge_and_back(house: House, p: str) -> None:
    house.send(identify(f"{p}a"), track("Seen", "", f"{p}b"))
    purpose = house.purpose(f"{p}news")
    house.decide(f"user_id:{p}a", purpose, "objected")
    house.decide(f"anonymous_id:{p}b", purpose, "granted")
    before = [house.stands(house.person(one), purpose) for one in (f"user_id:{p}a", f"anonymous_id:{p}b")]
    house.send(identify(f"{p}a", f"{p}b"))
    person = house.person(f"user_id:{p}a", f"anonymous_id:{p}b")
    assert house.stands(person, purpose)[0] is False
    (merge,) = house.of(person, "merges")
    assert house.rest.post(f"/api/v1/merges/{merge['id']}/undo").status_code == 200
    assert [house.stands(house.person(one), purpose) for one in (f"user_id:{p}a", f"anonymous_id:{p}b")] == before
    assert before[1] == (True, "granted")


def case_20e_takes_over_the_grant_that_is_still_valid(house: House, p: str) -> None:
    house.send(identify(f"{p}a"), track("Seen", "", f"{p}b"))
    purpose = house.purpose(f"{p}letters")
    past = datetime.now(UTC) - timedelta(days=1)
    long_ago = (past - timedelta(days=9)).isoformat()
    house.decide(f"user_id:{p}a", purpose, "granted", occurred_at=long_ago, expires_at=past.isoformat())
    house.decide(f"anonymous_id:{p}b", purpose, "granted")
    house.send(identify(f"{p}a", f"{p}b"))
    assert house.stands(house.person(f"user_id:{p}a", f"anonymous_id:{p}b"), purpose) == (True, "granted")


def case_23_stores_a_message_once(house: House, p: str) -> None:
    body = {"type": "track", "event": "Seen", "userId": f"{p}u1", "properties": {"n": 1}}
    house.send({**body, "messageId": f"{p}same"}, {**body, "messageId": f"{p}other"}, any_order=True)
    person = house.person(f"user_id:{p}u1")
    assert len(house.of(person, "events")) == 2
    times = {"every message twice": 2, "eight clients": CLIENTS}.get(house.way, 1)
    assert house.outcome({"messageId": f"{p}same"})["copies"] == times
    long = house.send({**body, "messageId": "x" * 513})
    missing = house.send({"type": "group", "userId": f"{p}u1", "groupId": ""})
    assert [house.outcome(item)["outcome"] for item in missing] == ["quarantined"]
    assert len(house.of(person, "events")) == 2, long


CASES: list[Callable[[House, str], None]] = [
    value for name, value in sorted(globals().items()) if name.startswith("case_")
]
WAYS = ["one per request", "one batch", "shuffled", "every message twice"]


@pytest.mark.django_db
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_decides_as_the_table_of_choices_says(case: Callable[[House, str], None], way: str) -> None:
    case(House(way), "c-")


@pytest.fixture
def identifier_types() -> Iterator[None]:
    """Give back what an earlier test of this kind has truncated."""
    if not IdentifierType.objects.exists():
        import_module("profiles.migrations.0003_identifier_types").add(apps, None)
    yield
    # Partitioned tables are not Django's, so that it does not empty them after the test.
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE profiles_event, profiles_change")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("identifier_types")
def test_decides_the_same_for_eight_clients_at_once() -> None:
    # One database for all cases: to empty it takes longer than a case.
    house = House("eight clients")
    for case in CASES:
        case(house, f"{case.__name__.split('_')[1]}-{len(case.__name__)}-")
