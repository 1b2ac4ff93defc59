"""Consent of merged and split profiles, in the database."""

import itertools
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.core.registries import MergePair, SplitPair
from consent.models import Current, Decision
from consent.queries.current import current_consents
from consent.services.gate import may_process
from consent.services.merging import ConsentMerging, preview_merge
from consent.services.purposes import create_purpose
from profiles.models import Work
from tests.consent.conftest import NOW, later
from tests.consent.test_record_decision import say

pytestmark = pytest.mark.django_db


def merge(kept, dropped):
    """Merge as the processor does, as far as consent is concerned."""
    pair = MergePair(kept.id, dropped.id, str(kept.uuid), str(dropped.uuid), 1, "m-1")
    dropped.identifiers.update(profile=kept)
    ConsentMerging().on_merge(pairs=[pair], now=later(60))


def split(kept, dropped, identifier_ids):
    pair = SplitPair(kept.id, dropped.id, tuple(identifier_ids))
    ConsentMerging().on_split(pairs=[pair], now=later(70))


def state(person, *, channel=None, at=100):
    verdict = may_process(profile_id=person.id, purpose="marketing", channel=channel, at=later(at))
    return verdict.state, verdict.allowed, verdict.reason


def cells(person):
    held = current_consents(profile_ids=[person.id], now=later(100)).get(person.id, [])
    return [(one.decision.purpose_id, one.decision.channel, one.decision.id, one.state, one.conflict) for one in held]


@pytest.mark.parametrize("objector_survives", [True, False])
def test_carries_an_objection_and_gives_both_sides_back(marketing, make_profile, objector_survives):
    a, b = make_profile(user_id="a"), make_profile(user_id="b")
    say(a, "objected", at=1)
    say(b, "granted", at=2)
    before = (cells(a), cells(b))
    kept, dropped = (a, b) if objector_survives else (b, a)
    moved = list(dropped.identifiers.values_list("id", flat=True))
    merge(kept, dropped)
    assert state(kept) == ("objected", False, "objected")
    assert not Current.objects.filter(profile_id=dropped.id).exists()
    split(kept, dropped, moved)
    assert (cells(a), cells(b)) == before


def test_takes_over_the_valid_grant_where_the_other_one_has_expired(marketing, make_profile):
    a, b = make_profile(user_id="a"), make_profile(user_id="b")
    say(a, "granted", at=5, expires_at=later(20))
    say(b, "granted", at=1)
    merge(a, b)
    assert state(a) == ("granted", True, "granted")


def test_shows_a_conflict_where_the_histories_give_no_answer(marketing, make_profile):
    a, b = make_profile(user_id="a"), make_profile(user_id="b")
    say(a, "withdrawn", at=5)
    say(b, "granted", at=5)
    merge(a, b)
    assert state(a) == ("withdrawn", False, "conflict")
    say(a, "granted", at=6)
    assert state(a) == ("granted", True, "granted")


def test_reads_a_channel_through_a_merge(marketing, make_profile):
    a, b = make_profile(user_id="a"), make_profile(user_id="b")
    say(a, "objected", at=1, channel="email")
    say(b, "granted", at=2)
    merge(a, b)
    assert state(a, channel="email")[0] == "objected"
    assert state(a, channel="sms") == ("granted", True, "granted")


def test_tells_the_followers_of_the_merged_profile(marketing, make_profile):
    a, b = make_profile(user_id="a"), make_profile(user_id="b")
    say(b, "granted", at=1)
    Work.objects.all().delete()
    merge(a, b)
    assert list(Work.objects.values_list("profile_id", "names")) == [(a.id, ["consent:marketing"])]


def test_sends_a_decision_of_the_merged_profile_back_with_its_identifier(marketing, make_profile):
    a, b = make_profile(user_id="a"), make_profile(email="b@example.org")
    moved = list(b.identifiers.values_list("id", flat=True))
    say(b, "granted", at=1)
    merge(a, b)
    # Recorded by the profile's id: the strongest identifier, a user_id, takes it along.
    say(a, "withdrawn", at=2, channel="sms")
    split(a, b, moved)
    assert [row.state for row in Decision.objects.filter(profile_id=b.id)] == ["granted"]
    assert [row.state for row in Decision.objects.filter(profile_id=a.id)] == ["withdrawn"]


def test_previews_what_a_merge_would_make_of_consents(marketing, make_profile):
    a, b = make_profile(user_id="a"), make_profile(user_id="b")
    say(a, "granted", at=1)
    say(b, "withdrawn", at=2)
    assert preview_merge(pair=(a.id, b.id), now=later(9)) == [
        {
            "purpose": "marketing",
            "channel": None,
            "left": "granted",
            "right": "withdrawn",
            "merged": "withdrawn",
            "conflict": False,
        }
    ]


def test_moves_any_number_of_histories_in_a_constant_number_of_statements(
    marketing, make_profile, django_assert_max_num_queries
):
    pairs = []
    for number in range(10):
        a, b = make_profile(user_id=f"a{number}"), make_profile(user_id=f"b{number}")
        say(a, "granted", at=1)
        say(b, "denied", at=2)
        pairs.append(MergePair(a.id, b.id, str(a.uuid), str(b.uuid), 1, "m"))
    with django_assert_max_num_queries(9):
        ConsentMerging().on_merge(pairs=pairs, now=later(60))


SAID = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["granted", "granted", "denied", "withdrawn", "objected", "pending"]),
        st.sampled_from([None, "email"]),
        st.sampled_from(["subject", "agent"]),
    ),
    min_size=1,
    max_size=10,
)
_names = itertools.count(1)
# How many stories are tried; more by the environment.
MERGES = int(os.environ.get("CONSENT_MERGES", "15"))


@settings(
    max_examples=MERGES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(said=SAID, order=st.permutations([0, 1, 2]))
def test_ends_alike_in_any_order_and_splits_back_exactly(db, make_profile, said, order):
    """Three people speak; merged in any order they come to one result, and taken apart to what they had."""
    create_purpose(key="marketing", fields={"name": "M", "channels": ["email"]}, actor="system", now=NOW)
    worlds = []
    for sequence in ([0, 1, 2], list(order)):
        people = [make_profile(user_id=f"p{next(_names)}") for _ in range(3)]
        for minute, (who, what, channel, actor) in enumerate(said):
            say(people[who], what, at=minute // 2, channel=channel, actor=actor)
        before = [cells(person) for person in people]
        moved = [list(person.identifiers.values_list("id", flat=True)) for person in people]
        kept = people[sequence[0]]
        for place in sequence[1:]:
            merge(kept, people[place])
        worlds.append([state(kept), state(kept, channel="email")])
        for place in sequence[1:]:
            split(kept, people[place], moved[place])
        assert [cells(person) for person in people] == before
    assert worlds[0] == worlds[1]
