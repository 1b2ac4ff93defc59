"""Identity on several connections at once: always one legal outcome, no orphan, no deadlock that a client sees."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.utils import timezone

from cdp.core.errors import CdpError
from consent.services.decisions import NewDecision, record_decision
from consent.services.purposes import create_purpose
from consent.services.requests import NewRequest, approve_request, create_request
from consent.services.running import run_privacy_requests
from ingestion.services.process import process_batch
from profiles.models import Edge, Identifier, IdentifierType, Merge, Profile
from profiles.queries.people import find_by_identifier, name_identifier
from profiles.services.blocking import block_edge, declare_different
from profiles.services.retrying import retry_deadlocks
from profiles.services.steward import merge_profiles, split_profile
from profiles.services.undoing import undo_merge
from tests.profiles import oracle
from tests.profiles.sending import alias, identify, partition, process, put, reasons, send, source, track

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 3


@pytest.fixture(autouse=True)
def identifier_types() -> Iterator[None]:
    """Give back what an earlier test of this kind has truncated."""
    if not IdentifierType.objects.exists():
        import_module("profiles.migrations.0003_identifier_types").add(apps, None)
    yield
    # Partitioned tables are not Django's, so that it does not empty them after the test.
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE profiles_event, profiles_change")


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Run acts at the same moment, each on a connection of its own; a refusal with a reason is an answer too."""
    gate = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        try:
            gate.wait()
            return act()
        except CdpError as refused:
            return refused
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(run, act) for act in acts]]


def work() -> int:
    """Process what waits, as one worker does."""
    done = 0
    while items := process_batch(now=timezone.now()):
        done += items
    return done


def uuid_of(type_key: str, value: str) -> str:
    found = find_by_identifier(named=name_identifier(type=type_key, value=value))
    assert found is not None
    return found.uuid


def whole() -> None:
    """Nothing may be left undone or lost: each person is as computed from scratch."""
    process(now=timezone.now())
    wanted = oracle.expected()
    for person in wanted.values():
        person.segments = set()
    assert oracle.actual(segments=False) == wanted
    assert oracle.faults() == []


def test_makes_one_profile_of_the_same_first_message_from_eight_clients() -> None:
    shop = source()
    for trial in range(ROUNDS):
        for _ in range(8):
            put([identify(f"new-{trial}", f"a-{trial}", email=f"new-{trial}@example.org")], origin=shop)
        at_once(*[work] * 8)
    assert partition() == {
        frozenset({f"user_id:new-{trial}", f"anonymous_id:a-{trial}", f"email:new-{trial}@example.org"})
        for trial in range(ROUNDS)
    }
    assert Profile.objects.count() == ROUNDS
    whole()


def test_makes_one_person_of_merges_that_cross() -> None:
    shop = source()
    for trial in range(ROUNDS):
        names = [f"left-{trial}", f"mid-{trial}", f"right-{trial}"]
        send(*[track("Seen", name) for name in names], origin=shop)
        ids = [uuid_of("user_id", name) for name in names]

        def join(*two: str) -> Merge:
            return merge_profiles(public_ids=list(two), reason="test", actor="test", now=timezone.now())

        put([alias(names[0], names[1])], origin=shop)
        put([alias(names[2], names[0])], origin=shop)
        at_once(
            lambda ids=ids: join(ids[0], ids[1]),
            lambda ids=ids: join(ids[1], ids[0]),
            lambda ids=ids: join(ids[2], ids[1]),
            work,
            work,
        )
        process(now=timezone.now())
        assert len({uuid_of("user_id", name) for name in names}) == 1
        # Two merges make one of three, whoever was first.
        assert Merge.objects.count() == 2 * (trial + 1)
    whole()


def test_erases_both_or_one_when_a_merge_is_faster_or_slower() -> None:
    shop = source()
    for trial in range(ROUNDS):
        names = [f"goes-number-{trial}", f"stays-number-{trial}"]
        send(*[identify(name, plan="pro") for name in names], origin=shop)
        ids = [uuid_of("user_id", name) for name in names]
        now = timezone.now()
        identity = name_identifier(type="user_id", value=names[0])
        request = create_request(new=NewRequest("erasure", [identity], "gdpr", now, "api", "test"), now=now)
        approve_request(request_id=str(request.id), actor="test", now=now)

        def join(ids: list[str] = ids) -> Merge:
            return merge_profiles(public_ids=ids, reason="test", actor="test", now=timezone.now())

        _, merged = at_once(lambda: run_privacy_requests(clock=timezone.now), join)
        run_privacy_requests(clock=timezone.now)
        request.refresh_from_db()
        assert request.status == "completed", request.steps
        assert find_by_identifier(named=identity) is None
        other = find_by_identifier(named=name_identifier(type="user_id", value=names[1]))
        # Merged before: they were one person, and that one is gone. Refused: the other one has everything.
        assert (other is None) == isinstance(merged, Merge)
    whole()


def test_undoes_once_and_keeps_the_sides_apart_whatever_arrives_meanwhile() -> None:
    shop = source()
    for trial in range(ROUNDS):
        user, browser = f"u-{trial}", f"a-{trial}"
        send(track("Seen", user), track("Seen", "", browser), identify(user, browser, plan="pro"), origin=shop)
        merge = Merge.objects.latest("id")

        def undo(merge: Merge = merge) -> Merge:
            return undo_merge(merge_id=merge.pk, actor="test", now=timezone.now())

        for _ in range(4):
            put([identify(user, browser), track("Seen", "", browser), track("Seen", user)], origin=shop)
        *undone, _, _ = at_once(undo, undo, work, work)
        assert [isinstance(one, Merge) for one in undone].count(True) == 1
        process(now=timezone.now())
        assert uuid_of("user_id", user) != uuid_of("anonymous_id", browser)
    assert set(reasons()) <= {"blocked edge"}
    whole()


def test_ends_with_one_or_two_people_when_a_merge_races_with_its_undo() -> None:
    shop = source()
    for trial in range(ROUNDS):
        names = [f"one-{trial}", f"two-{trial}", f"three-{trial}"]
        send(*[identify(name, plan=name) for name in names], origin=shop)
        ids = [uuid_of("user_id", name) for name in names]
        first = merge_profiles(public_ids=ids[:2], reason="test", actor="test", now=timezone.now())
        acts = [
            lambda first=first: undo_merge(merge_id=first.pk, actor="test", now=timezone.now()),
            lambda ids=ids: merge_profiles(public_ids=ids[1:], reason="test", actor="test", now=timezone.now()),
            lambda ids=ids: merge_profiles(public_ids=ids[:2], reason="test", actor="test", now=timezone.now()),
        ]
        at_once(*acts)
        assert len({uuid_of("user_id", name) for name in names}) in {1, 2}
        assert {uuid_of("user_id", names[0]), uuid_of("user_id", names[1])} <= set(ids)
    whole()


def test_splits_blocks_and_declares_beside_messages_and_decisions() -> None:
    create_purpose(key="marketing", fields={"name": "Marketing"}, actor="test", now=timezone.now())
    shop = source()
    for trial in range(ROUNDS):
        user, browser, mail = f"u-{trial}", f"a-{trial}", f"m-{trial}@example.org"
        send(identify(user, browser, email=mail), track("Seen", f"else-{trial}"), origin=shop)
        profile = uuid_of("user_id", user)
        ends = Identifier.objects.filter(value__in=[user, browser]).values("id")
        edge = Edge.objects.get(a__in=ends, b__in=ends)
        other = uuid_of("user_id", f"else-{trial}")
        put([identify(user, browser), identify(f"else-{trial}", browser), track("Seen", "", browser)], origin=shop)

        def decide(identifier: Any) -> Any:
            new = NewDecision("marketing", None, "granted", "test", identifier=identifier)
            return record_decision(new=new, now=timezone.now())

        named = [name_identifier(type="email", value=mail), name_identifier(type="anonymous_id", value=browser)]
        at_once(
            lambda profile=profile, mail=mail: split_profile(
                public_id=profile, identifiers=[("email", mail)], actor="test", now=timezone.now()
            ),
            lambda edge=edge: block_edge(edge_id=edge.pk, reason="test", actor="test", now=timezone.now()),
            lambda both=(profile, other): declare_different(
                public_ids=both, reason="test", actor="test", now=timezone.now()
            ),
            lambda named=named: decide(named[0]),
            lambda named=named: decide(named[1]),
            work,
        )
        people = {uuid_of("user_id", user), uuid_of("anonymous_id", browser), uuid_of("email", mail), other}
        assert len(people) >= 3
    whole()


def test_tries_again_what_lost_a_deadlock() -> None:
    send(track("Seen", "one"), track("Seen", "two"), origin=source())
    one, two = Profile.objects.order_by("id").values_list("pk", flat=True)
    both_hold_one = threading.Barrier(2)
    lock = "SELECT 1 FROM profiles_profile WHERE id = %s FOR UPDATE"
    attempts: list[int] = []

    def act(first: int, second: int) -> str:
        @retry_deadlocks
        def cross() -> str:
            attempts.append(first)
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL deadlock_timeout = '50ms'")
                cursor.execute(lock, [first])
                if attempts.count(first) == 1:
                    both_hold_one.wait(5)
                cursor.execute(lock, [second])
            return "done"

        return cross()

    assert at_once(lambda: act(one, two), lambda: act(two, one)) == ["done", "done"]
    assert len(attempts) == 3
