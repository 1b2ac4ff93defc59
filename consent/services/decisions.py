"""Recording one decision of one person: consent, denial, withdrawal, objection."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from cdp.core.errors import FieldError, InvalidInput
from cdp.core.services.audit import record
from cdp.core.services.wakeups import wake
from consent import decision as rules
from consent.errors import Suppressed, UnknownDecision, UnknownState
from consent.models import Decision, Notice
from consent.queries.ledger import histories
from consent.queries.purposes import check_channel, get_purpose
from consent.queries.suppressions import find_suppressed_named
from consent.services.ledger import Entry, append_decisions, write_current
from profiles.errors import NoSuchProfile
from profiles.queries.people import Named, Person, find_by_identifier, find_by_uuid

ATTEMPTS = 5
NOBODY = "No profile has this id or identifier."
FOLLOWERS = "segments.follow_changes"


@dataclass(frozen=True, slots=True)
class NewDecision:
    """What a caller says: about whom, on what, since when, and how that can be shown.

    Exactly one of `profile_uuid` and `identifier` is given. `recorded_by` is who sends it, for the audit trail;
    `actor` is who decided.
    """

    purpose: str
    channel: str | None
    state: str
    recorded_by: str
    profile_uuid: str | None = None
    identifier: Named | None = None
    occurred_at: datetime | None = None
    expires_at: datetime | None = None
    actor: str = rules.SUBJECT
    source: str = ""
    notice: Notice | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


def record_decision(*, new: NewDecision, now: datetime) -> Decision | None:
    """Record a decision.

    Returns
    -------
    Decision or None
        None: a refusal of somebody who was erased. It is accepted, and what it asks for is the case already: the
        suppression, which is all that is kept of this person, lets nothing of theirs be processed.

    Raises
    ------
    UnknownPurpose, UnknownChannel, UnknownState
        If the purpose, its channel or the state does not exist.
    NoSuchProfile
        If no profile has the id or identifier.
    Suppressed
        If a grant is recorded for a suppressed identifier.
    """
    purpose = get_purpose(key=new.purpose)
    check_channel(purpose=purpose, channel=new.channel)
    if new.state not in rules.RECORDABLE:
        raise UnknownState(new.state, allowed=rules.RECORDABLE)
    _check_end(new, now=now)
    if new.identifier is not None and find_suppressed_named([new.identifier]):
        if new.state not in rules.REFUSALS:
            raise Suppressed
        with transaction.atomic():
            record(
                actor=new.recorded_by,
                action="consent.refusal_of_erased",
                object="suppression",
                detail={"purpose": purpose.key, "state": new.state},
                now=now,
            )
        return None
    with transaction.atomic():
        person = hold_person(profile_uuid=new.profile_uuid, identifier=new.identifier)
        entry = Entry(
            profile_id=person.profile_id,
            identifier_id=person.identifier_id or strongest_identifier(person.profile_id),
            purpose_id=purpose.id,
            draft=rules.Draft(
                subject=person.uuid,
                purpose=purpose.key,
                channel=new.channel,
                state=new.state,
                occurred_at=new.occurred_at or now,
                recorded_at=now,
                expires_at=new.expires_at,
                actor=new.actor,
            ),
            source=new.source,
            notice_id=new.notice.id if new.notice is not None else None,
            evidence=new.evidence,
        )
        ((_, decision),) = append_decisions([entry], now=now)
        detail: dict[str, Any] = {
            "consent": decision.id,
            "purpose": purpose.key,
            "channel": new.channel,
            "state": decision.state,
            "conflict": decision.conflict,
        }
        record(
            actor=new.recorded_by,
            action=f"consent.{decision.state}",
            object=f"profile:{person.uuid}",
            detail=detail,
            now=now,
        )
        wake(FOLLOWERS)
    return Decision.objects.select_related("purpose", "notice").get(id=decision.id)


def settle_conflict(*, decision_id: int, evidence: Mapping[str, Any], recorded_by: str, now: datetime) -> Decision:
    """Attach an officer's evidence to a grant in conflict, so that it counts like one of the subject.

    Raises
    ------
    UnknownDecision
        If there is no such decision.
    InvalidInput
        If the decision is no grant by another than the subject, or the evidence is empty.
    """
    if not evidence:
        message = "Evidence is needed: what shows that the person agreed."
        raise InvalidInput(message, errors=[FieldError("evidence", "required", message)])
    with transaction.atomic():
        row = Decision.objects.select_related("purpose", "notice").filter(id=decision_id).first()
        if row is None:
            raise UnknownDecision
        if row.state != rules.GRANTED or row.actor == rules.SUBJECT:
            message = "Only a grant by an agent or an import can be settled by evidence."
            raise InvalidInput(message)
        _lock_profile(row.profile_id)
        if row.cleared_at is None:
            row.cleared_at = now
            row.clearance = dict(evidence)
            row.save(update_fields=["cleared_at", "clearance"])
            known = histories(profile_ids=[row.profile_id], purpose_ids=[row.purpose_id])
            write_current(known, purpose_ids={row.purpose.key: row.purpose_id})
            record(actor=recorded_by, action="consent.conflict_settled", object=f"consent:{row.id}", now=now)
    return row


def _check_end(new: NewDecision, *, now: datetime) -> None:
    if new.expires_at is not None and new.occurred_at is not None and new.expires_at <= new.occurred_at:
        message = "A consent ends after it was given."
        raise InvalidInput(message, errors=[FieldError("expires_at", "too_early", message)])
    if new.expires_at is not None and new.occurred_at is None and new.expires_at <= now:
        message = "A consent given now ends later than now."
        raise InvalidInput(message, errors=[FieldError("expires_at", "too_early", message)])


def _find(profile_uuid: str | None, identifier: Named | None) -> Person:
    if identifier is not None:
        person = find_by_identifier(named=identifier)
    else:
        person = find_by_uuid(public_id=profile_uuid or "")
    if person is None:
        raise NoSuchProfile(NOBODY)
    return person


def hold_person(*, profile_uuid: str | None, identifier: Named | None) -> Person:
    """Lock the profile's row and make sure that it is still the one: a merge may have been faster.

    Raises
    ------
    NoSuchProfile
        If no profile has the id or identifier.
    """
    for _ in range(ATTEMPTS):
        person = _find(profile_uuid, identifier)
        if _lock_profile(person.profile_id):
            again = _find(profile_uuid, identifier)
            if again.profile_id == person.profile_id:
                return again
    raise NoSuchProfile(NOBODY)


def _lock_profile(profile_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM profiles_profile WHERE id = %s FOR UPDATE", [profile_id])
        return cursor.fetchone() is not None


def strongest_identifier(profile_id: int) -> int | None:
    """Return the identifier by which a person is named best, as a split will follow it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.id FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id "
            "WHERE i.profile_id = %s ORDER BY t.priority, i.first_seen_at, i.id LIMIT 1",
            [profile_id],
        )
        row: tuple[int] | None = cursor.fetchone()
    return row[0] if row else None
