"""Recording decisions through the service."""

import pytest
from django.db import DatabaseError, connection, transaction

from cdp.core.errors import InvalidInput
from cdp.core.models import AuditEntry
from consent.errors import UnknownChannel, UnknownPurpose
from consent.models import Current, Decision
from consent.queries.current import current_consents
from consent.services.decisions import NewDecision, record_decision, settle_conflict
from consent.services.gate import check_consent, filter_processable, may_process, verdicts_for
from consent.services.purposes import change_purpose, create_notice
from profiles.errors import NoSuchProfile
from profiles.models import Change, ChangeKind, Work
from tests.consent.conftest import NOW, later


def say(profile, state, *, at=0, purpose="marketing", channel=None, **more):
    new = NewDecision(
        purpose=purpose,
        channel=channel,
        state=state,
        recorded_by="key:test",
        profile_uuid=str(profile.uuid),
        **more,
    )
    return record_decision(new=new, now=later(at))


def test_keeps_each_decision_and_one_current_row(marketing, make_profile):
    dana = make_profile(email="dana@example.org")
    say(dana, "granted", at=1)
    say(dana, "withdrawn", at=2)
    assert [row.state for row in Decision.objects.order_by("id")] == ["granted", "withdrawn"]
    assert [row.state for row in Current.objects.all()] == ["withdrawn"]


def test_tells_followers_history_and_audit(marketing, make_profile):
    dana = make_profile(email="dana@example.org")
    decision = say(dana, "granted", at=1)
    assert list(Work.objects.values_list("profile_id", "names")) == [(dana.id, ["consent:marketing"])]
    (change,) = Change.objects.filter(profile_id=dana.id)
    assert (change.kind, change.detail["consent"]) == (ChangeKind.CONSENT, decision.id)
    entry = AuditEntry.objects.get(action="consent.granted")
    assert (entry.actor, entry.object) == ("key:test", f"profile:{dana.uuid}")


def test_remembers_the_identifier_that_it_came_with(marketing, make_profile):
    dana = make_profile(email="dana@example.org", user_id="u1")
    assert say(dana, "granted").identifier_id == dana.identifiers.get(type__key="user_id").id


def test_follows_what_the_profile_held(marketing, make_profile):
    dana = make_profile(email="dana@example.org")
    first = say(dana, "granted", at=1)
    second = say(dana, "denied", at=2, channel="email")
    assert (first.follows, second.follows) == ([], [first.id])
    assert second.state == "withdrawn"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [({"purpose": "nonsense"}, UnknownPurpose), ({"channel": "fax"}, UnknownChannel)],
)
def test_refuses_unknown_names(marketing, make_profile, wrong, error):
    with pytest.raises(error):
        say(make_profile(email="dana@example.org"), "granted", **wrong)


def test_refuses_an_unknown_person(marketing):
    with pytest.raises(NoSuchProfile):
        record_decision(new=NewDecision("marketing", None, "granted", "system", profile_uuid="not a uuid"), now=NOW)


def test_never_changes_a_row_of_the_ledger(marketing, make_profile):
    say(make_profile(email="dana@example.org"), "withdrawn")
    with pytest.raises(DatabaseError), transaction.atomic():
        Decision.objects.update(state="granted")


def test_never_changes_a_notice(db):
    notice, _ = create_notice(key="terms", language="en", text="We write.", actor="system", now=NOW)
    with pytest.raises(DatabaseError), transaction.atomic():
        type(notice).objects.update(text="We sell.")
    with pytest.raises(DatabaseError), transaction.atomic():
        notice.delete()


def test_answers_the_gate_at_the_moment_of_asking(marketing, make_profile):
    dana, eve = make_profile(email="dana@example.org"), make_profile(email="eve@example.org")
    granted = say(dana, "granted", at=1, expires_at=later(10))
    say(eve, "granted", at=1)
    say(eve, "withdrawn", at=2)
    ids = [eve.id, dana.id, 999_999]
    assert filter_processable(profile_ids=ids, purpose="marketing", channel="email", at=later(5)) == [dana.id]
    assert filter_processable(profile_ids=ids, purpose="marketing", channel="email", at=later(10)) == []
    verdict = may_process(profile_id=dana.id, purpose="marketing", channel=None, at=later(5))
    assert (verdict.allowed, verdict.decided_by) == (True, granted.id)


def test_asks_for_many_in_a_constant_number_of_statements(marketing, make_profile, django_assert_max_num_queries):
    people = [make_profile(email=f"p{n}@example.org") for n in range(12)]
    for person in people:
        say(person, "granted")
    with django_assert_max_num_queries(3):
        verdicts_for(profile_ids=[p.id for p in people], purpose="marketing", channel="sms", at=later(1))


def test_blocks_the_restricted(marketing, make_profile):
    dana = make_profile(email="dana@example.org")
    say(dana, "granted")
    dana.restricted = True
    dana.save(update_fields=["restricted"])
    verdict = may_process(profile_id=dana.id, purpose="marketing", channel=None, at=later(1))
    assert (verdict.allowed, verdict.reason) == (False, "restricted")


def test_refuses_to_answer_for_an_unknown_purpose(db, make_profile):
    with pytest.raises(UnknownPurpose):
        may_process(profile_id=1, purpose="nonsense", channel=None, at=NOW)


def test_answers_for_another_time(marketing, make_profile):
    dana = make_profile(email="dana@example.org")
    say(dana, "granted", at=10, occurred_at=later(2))
    say(dana, "withdrawn", at=20)

    def state(**when):
        return check_consent(profile_id=dana.id, purpose="marketing", channel=None, now=later(30), **when).state

    assert state() == "withdrawn"
    assert state(as_of=later(5)) == "granted"
    assert state(as_of=later(5), known_at=later(6)) == "unknown"
    assert state(known_at=later(15)) == "granted"


def test_counts_a_grant_in_conflict_once_an_officer_attached_evidence(marketing, make_profile):
    dana = make_profile(email="dana@example.org")
    say(dana, "withdrawn", at=1)
    grant = say(dana, "granted", at=2, actor="agent")
    assert grant.conflict
    verdict = may_process(profile_id=dana.id, purpose="marketing", channel=None, at=later(3))
    assert (verdict.allowed, verdict.reason) == (False, "conflict")
    with pytest.raises(InvalidInput):
        settle_conflict(decision_id=grant.id, evidence={}, recorded_by="user:1", now=later(4))
    settle_conflict(decision_id=grant.id, evidence={"form": "scan 12"}, recorded_by="user:1", now=later(4))
    assert may_process(profile_id=dana.id, purpose="marketing", channel=None, at=later(5)).allowed


def test_reads_an_expired_grant_as_expired(marketing, make_profile):
    dana = make_profile(email="dana@example.org")
    say(dana, "granted", at=1, expires_at=later(10))
    (held,) = current_consents(profile_ids=[dana.id], now=later(11))[dana.id]
    assert held.state == "expired"


def test_needs_no_grant_on_another_basis(marketing, make_profile):
    change_purpose(key="marketing", fields={"legal_basis": "contract"}, actor="system", now=NOW)
    dana = make_profile(email="dana@example.org")
    verdict = may_process(profile_id=dana.id, purpose="marketing", channel=None, at=NOW)
    assert (verdict.allowed, verdict.reason, verdict.state) == (True, "legal_basis", "unknown")


def test_makes_a_version_of_a_notice_for_each_new_text(db):
    texts = ["We write.", "We write weekly.", "We write weekly."]
    notices = [create_notice(key="terms", language="en", text=text, actor="system", now=NOW)[0] for text in texts]
    assert [notice.version for notice in notices] == [1, 2, 2]
    # sha256sum of "We write."
    with connection.cursor() as cursor:
        cursor.execute("SELECT encode(sha256('We write.'), 'hex')")
        assert notices[0].sha256 == cursor.fetchone()[0]
