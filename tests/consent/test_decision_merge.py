"""The rules of histories that a merge has joined."""

import itertools
import os
import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from consent.decision import LEGITIMATE_INTERESTS, REFUSALS, cells, may_process, merge, stand
from tests.consent.histories import Ledger, minute


def outcome(person, *, channel=None, at=1000):
    standing = stand(person.history, purpose="marketing", channel=channel)
    return standing.state_at(minute(at)), standing.conflict


def both_ways(ledger, one, other):
    """Return the outcome of a merge, which must be the same in both directions."""
    there, back = outcome(ledger.merged(one, other)), outcome(ledger.merged(other, one))
    assert there == back
    return there


def test_lets_a_later_withdrawal_beat_an_earlier_grant_of_the_other_side():
    ledger = Ledger()
    a, b = ledger.person("a"), ledger.person("b")
    a.says("granted", 1)
    b.says("withdrawn", 2)
    assert both_ways(ledger, a, b) == ("withdrawn", False)


def test_lets_a_later_grant_of_the_subject_win_over_a_denial_or_withdrawal():
    ledger = Ledger()
    a, b = ledger.person("a"), ledger.person("b")
    a.says("withdrawn", 1)
    b.says("granted", 2)
    assert both_ways(ledger, a, b) == ("granted", False)


def test_keeps_an_objection_against_a_later_grant_of_the_other_side():
    ledger = Ledger()
    a, b = ledger.person("a"), ledger.person("b")
    a.says("objected", 1)
    b.says("granted", 2)
    assert both_ways(ledger, a, b) == ("objected", False)


def test_lifts_an_objection_by_a_grant_recorded_for_the_merged_profile():
    ledger = Ledger()
    a, b = ledger.person("a"), ledger.person("b")
    a.says("objected", 1)
    b.says("granted", 2)
    together = ledger.merged(a, b)
    together.says("granted", 3)
    assert outcome(together) == ("granted", False)


def test_lifts_an_objection_by_a_grant_recorded_for_the_objecting_profile():
    ledger = Ledger()
    a, b = ledger.person("a"), ledger.person("b")
    a.says("objected", 1)
    a.says("granted", 2)
    b.says("denied", 0)
    assert both_ways(ledger, a, b) == ("granted", False)


def test_flags_a_conflict_where_the_later_grant_is_not_the_subjects():
    ledger = Ledger()
    a, b = ledger.person("a"), ledger.person("b")
    a.says("denied", 1)
    grant = b.says("granted", 2, actor="import")
    assert not grant.conflict
    assert both_ways(ledger, a, b) == ("denied", True)


def test_flags_a_conflict_at_equal_times_with_the_most_restrictive_state():
    ledger = Ledger()
    for restrictive in ("denied", "withdrawn", "objected"):
        a, b = ledger.person("a"), ledger.person("b")
        a.says(restrictive, 5)
        b.says("granted", 5)
        assert both_ways(ledger, a, b) == (restrictive, True)
    a, b, c = (ledger.person(name) for name in "abc")
    a.says("denied", 5)
    b.says("withdrawn", 5)
    c.says("granted", 5)
    assert outcome(ledger.merged(a, b, c)) == ("withdrawn", True)


def test_settles_a_conflict_by_the_subjects_next_grant():
    ledger = Ledger()
    a, b = ledger.person("a"), ledger.person("b")
    a.says("withdrawn", 5)
    b.says("granted", 5)
    together = ledger.merged(a, b)
    together.says("granted", 6)
    assert outcome(together) == ("granted", False)


def test_never_overwrites_by_unknown():
    ledger = Ledger()
    a, b = ledger.person("a"), ledger.person("b")
    a.says("granted", 1)
    assert both_ways(ledger, a, b) == ("granted", False)


def test_passes_over_an_expired_grant_where_the_other_side_has_a_valid_one():
    ledger = Ledger()
    a, b = ledger.person("a"), ledger.person("b")
    a.says("granted", 5, until=50)
    b.says("granted", 1)
    assert both_ways(ledger, a, b) == ("granted", False)
    b = ledger.person("b")
    b.says("granted", 1, until=40)
    assert both_ways(ledger, a, b) == ("expired", False)


def test_takes_a_newer_shorter_grant_of_the_same_side_at_its_word():
    a = Ledger().person("a")
    a.says("granted", 1)
    a.says("granted", 2, until=50)
    assert outcome(a) == ("expired", False)


def test_keeps_an_objection_for_all_channels_against_the_other_sides_grant_for_one():
    ledger = Ledger()
    a, b = ledger.person("a"), ledger.person("b")
    a.says("objected", 1)
    b.says("granted", 2, channel="email")
    assert outcome(ledger.merged(a, b), channel="email") == ("objected", False)
    a, b = ledger.person("a"), ledger.person("b")
    a.says("objected", 1, channel="email")
    b.says("granted", 2)
    together = ledger.merged(a, b)
    assert outcome(together, channel="email") == ("objected", False)
    assert outcome(together, channel="sms") == ("granted", False)
    assert leaf(together.history, "email") == "objected"


def test_reads_a_channel_on_its_own_where_only_there_the_objection_was_lifted():
    ledger = Ledger()
    a, b = ledger.person("a"), ledger.person("b")
    a.says("objected", 1)
    a.says("granted", 2, channel="email")
    b.says("granted", 3)
    together = ledger.merged(a, b)
    assert outcome(together, channel="sms") == ("objected", False)
    assert outcome(together, channel="email") == ("granted", False)
    assert leaf(together.history, "email") == "granted"


def test_heeds_an_objection_on_another_basis_whatever_was_said_after_it():
    ledger = Ledger()
    a, b = ledger.person("a"), ledger.person("b")
    a.says("objected", 1)
    b.says("pending", 2)
    standing = stand(ledger.merged(a, b).history, purpose="marketing", channel=None)
    assert not may_process(standing=standing, legal_basis=LEGITIMATE_INTERESTS, restricted=False, now=minute(9)).allowed


def leaf(history, channel, at=1000):
    """Read current consent as other apps do: the greatest of the channel's row and that of all channels."""
    rows = cells(history)
    held = [rows[key] for key in {("marketing", channel), ("marketing", None)} if key in rows]
    if not held:
        return "unknown"
    row = max(held, key=lambda r: (r.effective_at, r.recorded_at, r.standing.decided_by.id))
    return row.standing.state_at(minute(at))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["granted", "granted", "denied", "withdrawn", "objected", "pending", "merge"]),
        st.sampled_from([None, None, "email", "sms"]),
        st.sampled_from(["subject", "subject", "agent"]),
        st.integers(0, 6),  # minutes between act and record
        st.sampled_from([None, None, 20, 2000]),
        st.booleans(),  # whether the clock moves on
    ),
    max_size=14,
)


def lived(steps):
    """Return the people of a random story: who was merged shares a history from then on."""
    ledger = Ledger()
    people = {name: ledger.person(name) for name in "abc"}
    clock = 10
    for name, said, channel, actor, late, until, ticks in steps:
        clock += ticks
        if said == "merge":
            other = {"a": "b", "b": "c", "c": "a"}[name]
            if people[name] is not people[other]:
                gone = (people[name], people[other])
                together = ledger.merged(*gone)
                people = {key: together if any(p is g for g in gone) else p for key, p in people.items()}
        else:
            people[name].says(said, clock, occurred=clock - late, channel=channel, actor=actor, until=until)
    return ledger, people


CHANNELS = (None, "email", "sms", "post")


def everything(history):
    return [
        (s.decided_by and s.decided_by.id, s.conflict, s.objected)
        for s in (stand(history, purpose="marketing", channel=channel) for channel in CHANNELS)
    ]


# How many histories each rule is tried on; more by the environment.
several = settings(max_examples=int(os.environ.get("CONSENT_HISTORIES", "100")), deadline=None)


@several
@given(STEPS)
def test_merges_in_any_order_to_the_same_result(steps):
    _, people = lived(steps)
    histories = [people[name].history for name in "abc"]
    expected = everything(merge(*histories))
    for a, b, c in itertools.permutations(histories):
        assert everything(merge(merge(a, b), c)) == expected
        assert everything(merge(a, merge(b, c))) == expected
    assert everything(merge(*histories, *histories)) == expected


@several
@given(STEPS, st.randoms(use_true_random=False))
def test_does_not_depend_on_the_order_in_which_rows_are_read(steps, chance: random.Random):
    _, people = lived(steps)
    history = list(merge(*(person.history for person in people.values())))
    expected = everything(history)
    chance.shuffle(history)
    assert everything(history) == expected


@several
@given(STEPS)
def test_gives_current_rows_that_read_like_the_history(steps):
    _, people = lived(steps)
    history = merge(*(person.history for person in people.values()))
    for channel in CHANNELS:
        for at in (0, 15, 25, 3000):
            said = stand(history, purpose="marketing", channel=channel).state_at(minute(at))
            assert leaf(history, channel, at) == said


@several
@given(STEPS)
def test_takes_the_greatest_decision_where_one_subject_speaks_for_one_history(steps):
    ledger = Ledger()
    eve = ledger.person("eve")
    for place, (_, said, channel, _, late, until, _) in enumerate(s for s in steps if s[1] != "merge"):
        eve.says(said, 10 + place, occurred=10 + place - late, channel=channel, until=until)
    for channel in CHANNELS:
        relevant = [d for d in eve.history if d.channel in (None, channel)]
        greatest = max(relevant, key=lambda d: d.order, default=None)
        standing = stand(eve.history, purpose="marketing", channel=channel)
        assert standing.decided_by == greatest
        assert not standing.conflict


@several
@given(STEPS)
def test_never_lifts_a_refusal_by_a_merge_alone_unless_the_subject_granted_later(steps):
    _, people = lived(steps)
    sides = {id(p): p.history for p in people.values()}.values()
    joined = stand(merge(*sides), purpose="marketing", channel=None)
    if joined.state_at(minute(3000)) != "granted" or joined.conflict:
        return
    for side in sides:
        own = stand(side, purpose="marketing", channel=None)
        said = own.decided_by
        if said is None or said.state not in REFUSALS:
            continue
        assert said.state != "objected"
        later = [
            d
            for other in sides
            for d in other
            if d.state == "granted"
            and d.actor == "subject"
            and d.channel is None
            and d.effective_at > said.effective_at
        ]
        assert later


@several
@given(STEPS)
def test_gives_both_sides_back_when_a_merge_is_taken_apart(steps):
    _, people = lived(steps)
    before = {name: everything(person.history) for name, person in people.items()}
    together = merge(*(person.history for person in people.values()))
    for name, person in people.items():
        own = {decision.id for decision in person.history}
        assert everything([decision for decision in together if decision.id in own]) == before[name]


def test_keeps_who_followed_whom_when_a_split_takes_the_middle_away():
    ledger = Ledger()
    eve = ledger.person("eve")
    eve.says("objected", 1)
    middle = eve.says("pending", 2)
    eve.says("granted", 3)
    left = [replace(d, elsewhere=True) if d.id == middle.id else d for d in eve.history]
    assert stand(left, purpose="marketing", channel=None).state_at(minute(9)) == "granted"
