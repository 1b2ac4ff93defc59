"""The rules of one history: effect, order, expiry, actors, the gate."""

import pytest

from consent.decision import (
    CONSENT,
    CONTRACT,
    LEGITIMATE_INTERESTS,
    Standing,
    effective_at,
    may_process,
    recorded_state,
    stand,
)
from consent.errors import UnknownState
from tests.consent.histories import Ledger, minute


@pytest.fixture
def eve():
    return Ledger().person("eve")


def state(person, *, channel=None, at=1000, **when):
    return stand(person.history, purpose="marketing", channel=channel, **when).state_at(minute(at))


def test_counts_a_grant_from_the_earlier_of_act_and_record():
    assert effective_at(state="granted", occurred_at=minute(1), recorded_at=minute(5)) == minute(1)
    assert effective_at(state="granted", occurred_at=minute(9), recorded_at=minute(5)) == minute(5)


@pytest.mark.parametrize("refusal", ["withdrawn", "objected"])
def test_counts_a_withdrawal_from_its_record(refusal):
    assert effective_at(state=refusal, occurred_at=minute(1), recorded_at=minute(5)) == minute(5)


def test_counts_a_denial_like_a_grant_where_nothing_was_granted():
    assert effective_at(state="denied", occurred_at=minute(1), recorded_at=minute(5)) == minute(1)


def test_reads_a_denial_while_granted_as_a_withdrawal(eve):
    eve.says("granted", 10)
    denial = eve.says("denied", 20, occurred=1)
    assert denial.state == "withdrawn"
    assert denial.effective_at == minute(20)
    assert state(eve) == "withdrawn"


def test_reads_a_denial_after_expiry_as_a_denial(eve):
    eve.says("granted", 10, until=15)
    assert eve.says("denied", 20).state == "denied"


def test_reads_a_denial_for_one_channel_as_a_withdrawal_when_all_channels_are_granted(eve):
    eve.says("granted", 10)
    assert eve.says("denied", 20, channel="email").state == "withdrawn"
    assert state(eve, channel="email") == "withdrawn"
    assert state(eve, channel="sms") == "granted"


@pytest.mark.parametrize("wrong", ["expired", "unknown", "yes", ""])
def test_refuses_a_state_that_cannot_be_recorded(wrong):
    with pytest.raises(UnknownState):
        recorded_state(state=wrong, current="unknown")


def test_starts_unknown(eve):
    assert state(eve) == "unknown"


def test_cannot_be_kept_granted_by_a_fast_clock(eve):
    eve.says("granted", 10, occurred=500)
    eve.says("withdrawn", 11)
    assert state(eve) == "withdrawn"


def test_cannot_be_kept_granted_by_a_slow_clock_on_the_withdrawal(eve):
    eve.says("granted", 10)
    eve.says("withdrawn", 11, occurred=1)
    assert state(eve) == "withdrawn"


def test_leaves_a_late_arriving_old_grant_behind_a_withdrawal(eve):
    eve.says("withdrawn", 11)
    eve.says("granted", 12, occurred=5)
    assert state(eve) == "withdrawn"


def test_lets_the_subject_grant_again(eve):
    eve.says("granted", 1)
    eve.says("objected", 2)
    eve.says("granted", 3)
    assert state(eve) == "granted"


def test_takes_the_greatest_of_a_channel_and_all_channels(eve):
    eve.says("denied", 1, channel="email")
    eve.says("granted", 2)
    assert state(eve, channel="email") == "granted"
    eve.says("denied", 3, channel="email")
    assert state(eve, channel="email") == "withdrawn"


def test_asked_without_a_channel_counts_only_decisions_for_all_channels(eve):
    eve.says("granted", 1, channel="email")
    assert state(eve) == "unknown"


def test_expires_at_its_end_exactly(eve):
    eve.says("granted", 1, until=10)
    assert state(eve, at=9.999) == "granted"
    assert state(eve, at=10) == "expired"


def test_never_lets_an_agent_turn_withdrawn_into_granted(eve):
    eve.says("withdrawn", 1)
    grant = eve.says("granted", 2, actor="agent")
    assert grant.conflict
    standing = stand(eve.history, purpose="marketing", channel=None)
    assert (standing.state_at(minute(3)), standing.conflict) == ("withdrawn", True)


def test_never_lets_an_agent_lift_an_objection(eve):
    eve.says("objected", 1)
    assert eve.says("granted", 2, actor="agent").conflict
    assert state(eve) == "objected"


def test_never_lets_an_agent_grant_by_way_of_another_state(eve):
    eve.says("withdrawn", 1)
    eve.says("pending", 2)
    eve.says("denied", 3, actor="import")
    assert eve.says("granted", 4, actor="agent").conflict
    assert state(eve) == "denied"


def test_lets_an_agent_grant_where_nothing_was_withdrawn(eve):
    assert not eve.says("granted", 1, actor="agent").conflict
    assert state(eve) == "granted"


def test_settles_the_conflict_by_the_subjects_own_grant(eve):
    eve.says("withdrawn", 1)
    eve.says("granted", 2, actor="import")
    eve.says("granted", 3)
    standing = stand(eve.history, purpose="marketing", channel=None)
    assert (standing.state_at(minute(4)), standing.conflict) == ("granted", False)


def test_answers_as_of_and_known_at(eve):
    eve.says("granted", 10, occurred=2)
    eve.says("withdrawn", 20)
    assert state(eve, as_of=minute(1)) == "unknown"
    assert state(eve, as_of=minute(5)) == "granted"
    assert state(eve, as_of=minute(5), known_at=minute(6)) == "unknown"
    assert state(eve, as_of=minute(30), known_at=minute(19)) == "granted"
    assert state(eve, as_of=minute(30)) == "withdrawn"


@pytest.mark.parametrize(
    ("said", "allowed", "reason"),
    [
        ([], False, "unknown"),
        (["granted"], True, "granted"),
        (["pending"], False, "pending"),
        (["denied"], False, "denied"),
        (["granted", "withdrawn"], False, "withdrawn"),
        (["objected"], False, "objected"),
    ],
)
def test_blocks_consent_unless_granted(eve, said, allowed, reason):
    for place, word in enumerate(said):
        eve.says(word, place)
    standing = stand(eve.history, purpose="marketing", channel=None)
    verdict = may_process(standing=standing, legal_basis=CONSENT, restricted=False, now=minute(99))
    assert (verdict.allowed, verdict.reason) == (allowed, reason)
    assert verdict.decided_by == (eve.history[-1].id if said else None)


def test_blocks_expired_and_conflicting_consent(eve):
    eve.says("granted", 1, until=5)
    standing = stand(eve.history, purpose="marketing", channel=None)
    assert may_process(standing=standing, legal_basis=CONSENT, restricted=False, now=minute(9)).reason == "expired"
    eve.says("withdrawn", 6)
    eve.says("granted", 7, actor="import")
    standing = stand(eve.history, purpose="marketing", channel=None)
    assert may_process(standing=standing, legal_basis=CONSENT, restricted=False, now=minute(9)).reason == "conflict"


@pytest.mark.parametrize(
    ("basis", "said", "allowed"),
    [
        (CONTRACT, [], True),
        (CONTRACT, ["denied"], True),
        (CONTRACT, ["objected"], False),
        (CONTRACT, ["objected", "pending"], False),
        (LEGITIMATE_INTERESTS, [], True),
        (LEGITIMATE_INTERESTS, ["denied"], False),
        (LEGITIMATE_INTERESTS, ["objected"], False),
        (LEGITIMATE_INTERESTS, ["objected", "granted"], True),
        ("a basis of tomorrow", [], False),
    ],
)
def test_needs_no_grant_on_another_basis_but_heeds_objections(eve, basis, said, allowed):
    for place, word in enumerate(said):
        eve.says(word, place)
    standing = stand(eve.history, purpose="marketing", channel=None)
    assert may_process(standing=standing, legal_basis=basis, restricted=False, now=minute(9)).allowed is allowed


@pytest.mark.parametrize("basis", [CONSENT, CONTRACT])
def test_blocks_everything_for_a_restricted_person(eve, basis):
    eve.says("granted", 1)
    standing = stand(eve.history, purpose="marketing", channel=None)
    verdict = may_process(standing=standing, legal_basis=basis, restricted=True, now=minute(9))
    assert (verdict.allowed, verdict.reason) == (False, "restricted")


def test_blocks_without_any_history():
    assert not may_process(standing=Standing(None), legal_basis=CONSENT, restricted=False, now=minute(0)).allowed
