"""Identity through the processor: the cases of other systems, with this product's choices."""

import itertools

import pytest

from profiles.models import AbsorbedId, Activity, Change, ChangeKind, Edge, Identifier, Merge, Profile
from tests.profiles.sending import NOW, alias, events_of, identify, outcomes, partition, reasons, send, source, track

pytestmark = pytest.mark.django_db

IOS = {"device": {"type": "ios", "id": "ios_abc123"}}
ANDROID = {"device": {"type": "android", "id": "and_1a2b3c4d"}}
JOURNEY = [
    {"type": "track", "event": "App Opened", "anonymousId": "anon_123", "context": IOS},
    {"type": "track", "event": "ShoeA Clicked", "anonymousId": "anon_123", "context": IOS},
    {"type": "identify", "anonymousId": "anon_123", "userId": "abc123def", "context": IOS},
    {"type": "identify", "anonymousId": "anon_456", "userId": "abc123def", "context": ANDROID},
    {"type": "identify", "anonymousId": "anon_789", "userId": "abc123def", "context": ANDROID},
]
JOURNEY_IDS = frozenset(
    {
        "user_id:abc123def",
        "anonymous_id:anon_123",
        "anonymous_id:anon_456",
        "anonymous_id:anon_789",
        "ios.id:ios_abc123",
        "android.id:and_1a2b3c4d",
    }
)


@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("order", list(itertools.permutations(range(5)))[::17])
def test_joins_devices_and_sessions_of_one_person_in_any_order(order, one_by_one):
    send(*[JOURNEY[number] for number in order], one_by_one=one_by_one)
    assert partition() == {JOURNEY_IDS}
    assert Profile.objects.count() == 1
    assert events_of("user_id", "abc123def") == 5
    assert Activity.objects.get().event_count == 5


@pytest.mark.parametrize("one_by_one", [True, False])
def test_leaves_the_weakest_identifier_out_at_a_limit(one_by_one):
    send(
        identify("abc123", email="jane@example1.com"),
        {**identify("abc456", email="jane@example1.com"), "messageId": "second"},
        one_by_one=one_by_one,
    )
    assert partition() == {frozenset({"user_id:abc123", "email:jane@example1.com"}), frozenset({"user_id:abc456"})}
    assert reasons() == ["user_id limit"]
    assert events_of("user_id", "abc456") == 1


def test_joins_two_user_ids_where_the_limit_allows_two():
    from profiles.models import IdentifierType

    IdentifierType.objects.filter(key="user_id").update(value_limit=2)
    send(identify("abc123", email="jane@example1.com"), identify("abc456", email="jane@example1.com"))
    assert Profile.objects.count() == 1
    assert reasons() == []


@pytest.mark.parametrize(
    "value",
    ["0", "000-000", "-1", "null", "anonymous", "   ", "undefined", '"undefined"', "[object Object]", "false"],
)
def test_never_makes_a_placeholder_an_identifier(value):
    send(identify(value, "aX"), identify(value, "aY"), one_by_one=False)
    assert partition() == {frozenset({"anonymous_id:aX"}), frozenset({"anonymous_id:aY"})}
    assert outcomes() == {"accepted": 2}


@pytest.mark.parametrize("one_by_one", [True, False])
def test_merges_when_a_late_link_arrives_and_keeps_the_older_id(one_by_one):
    first = {"type": "track", "event": "e", "anonymousId": "4b0d", "timestamp": "2026-03-01T00:00:00Z"}
    late = [{"type": "track", "event": "e", "context": {"device": {"id": "6d92"}}, "anonymousId": ""}] * 5
    link = {"type": "identify", "userId": "alice", "context": {"device": {"id": "6d92"}}, "messageId": "e8"}
    send(first, identify("alice", "4b0d"), *late, one_by_one=one_by_one)
    older = Identifier.objects.get(value="4b0d").profile
    newer = Identifier.objects.get(value="6d92").profile
    send(link, one_by_one=one_by_one)
    survivor = Profile.objects.get()
    assert survivor.uuid == older.uuid
    assert AbsorbedId.objects.get().uuid == newer.uuid
    merge = Merge.objects.get()
    assert (merge.survivor_uuid, merge.absorbed_uuid, merge.message_id) == (older.uuid, newer.uuid, "e8")
    assert events_of("user_id", "alice") == 8
    # One row of history for the one merge; the side with five events kept its internal id.
    assert Change.objects.filter(kind=ChangeKind.MERGED, profile_id=survivor.pk).count() == 1
    assert survivor.pk == newer.pk
    send(link)
    assert Merge.objects.count() == 1
    assert events_of("user_id", "alice") == 8


def test_refuses_an_anonymous_id_that_is_another_persons_user_id():
    send(identify("u1"), identify("u2"), identify("u2", "u1"))
    assert partition() == {frozenset({"user_id:u1"}), frozenset({"user_id:u2"})}
    assert reasons() == ["anonymous_id is the user_id of another profile"]
    assert events_of("user_id", "u2") == 2


@pytest.mark.parametrize("one_by_one", [True, False])
def test_gives_a_shared_devices_second_user_a_profile_of_their_own(one_by_one):
    send(
        identify("master", "session"), identify("guest", "session"), track("Seen", "", "session"), one_by_one=one_by_one
    )
    assert partition() == {frozenset({"user_id:master", "anonymous_id:session"}), frozenset({"user_id:guest"})}
    assert events_of("user_id", "master") == 2
    assert reasons() == ["user_id limit"]


ALIASES = [
    identify("", "anon1") | {"userId": "u1"},
    identify("u2", "anon2"),
    identify("u2", "anon3"),
    alias("u2", "u1"),
]


@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_lets_a_secret_alias_join_two_user_ids_in_any_order(order, one_by_one):
    send(*[ALIASES[number] for number in order], one_by_one=one_by_one)
    expected = {"user_id:u1", "user_id:u2", "anonymous_id:anon1", "anonymous_id:anon2", "anonymous_id:anon3"}
    assert partition() == {frozenset(expected)}
    assert reasons() == []


def test_refuses_a_public_alias_to_an_identified_profile():
    browser = source("browser")
    send(identify("u1"), identify("u2"), alias("u2", "u1"), origin=browser)
    assert partition() == {frozenset({"user_id:u1"}), frozenset({"user_id:u2"})}
    assert reasons() == ["alias from a public key to an identified profile"]


def test_lets_a_public_alias_join_an_anonymous_id():
    send(track("Seen", "", "a1"), alias("u1", "a1"), origin=source("browser"))
    assert partition() == {frozenset({"user_id:u1", "anonymous_id:a1"})}
    assert Merge.objects.count() == 0


def test_stores_an_edge_with_message_rule_and_time():
    send({**identify("u1", "a1"), "messageId": "m-edge"})
    edge = Edge.objects.get()
    assert (edge.message_id, edge.rule, edge.state) == ("m-edge", "identify", Edge.State.ACTIVE)
    assert edge.created_at == NOW


def test_keeps_the_most_recent_trait_and_forgets_an_unset_one():
    old = {**identify("u1", plan="free", city="Ulm"), "timestamp": "2026-03-01T00:00:00Z"}
    new = {**identify("u1", plan="pro", city=None), "timestamp": "2026-03-02T00:00:00Z"}
    send(new, old)
    profile = Profile.objects.get()
    assert profile.traits == {"plan": "pro"}
    assert set(profile.trait_meta) == {"plan", "city"}


@pytest.mark.parametrize("one_by_one", [True, False])
def test_counts_a_repeated_message_as_a_duplicate(one_by_one):
    message = {**track("Seen", "u1"), "messageId": "once"}
    send(message, message, message, one_by_one=one_by_one)
    assert outcomes() == {"accepted": 1}
    from ingestion.models import Message

    assert Message.objects.get().copies == 3
    assert events_of("user_id", "u1") == 1


def test_lets_a_corrected_message_follow_a_quarantined_one_with_the_same_id():
    send({"type": "track", "userId": "u1", "messageId": "fixable"})
    assert outcomes() == {"quarantined": 1}
    send({**track("Seen", "u1"), "messageId": "fixable"})
    assert outcomes() == {"accepted": 1}
    assert events_of("user_id", "u1") == 1
