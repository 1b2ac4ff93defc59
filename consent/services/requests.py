"""The life of a privacy request: made, verified, approved or refused, extended, cancelled (`consent.life`)."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from cdp.core.calendars import read_calendar
from cdp.core.errors import FieldError, InvalidInput
from cdp.core.services.audit import record
from cdp.core.services.wakeups import wake
from consent import life
from consent.deadlines import can_extend, confirm_on, due_on
from consent.errors import NothingToCorrect, RecipientsLeft, SecondApprovalNeeded, UnknownRequest, WrongStatus
from consent.life import Act, Role
from consent.models import PrivacyRequest
from consent.queries.purposes import get_purpose
from consent.services.details import NOTHING, Details, read_details, write_details
from consent.services.letters import send_letter
from profiles.queries.people import Named
from profiles.services.correcting import check_correction

TASK_NAME = "consent.run_privacy_requests"
LONGEST_REASON = 2000
Type = PrivacyRequest.Type


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What a person asks for, as somebody entered it. `received_at` is when the person asked.

    `verified_by` is who vouches for the person's identity; empty: nobody does yet.
    """

    type: str
    identities: Sequence[Named]
    regulation: str
    received_at: datetime
    verified_by: str
    actor: str
    came_by: str = "officer"
    language: str = "en"
    details: Details = NOTHING
    id: UUID | None = None


def create_request(*, new: NewRequest, now: datetime) -> PrivacyRequest:
    """Open a privacy request; it waits for proof of identity where nobody vouches for it.

    Raises
    ------
    InvalidInput
        Without identities, or with a receipt in the future.
    UnknownPurpose
        If it names a purpose that does not exist.
    """
    if not new.identities:
        message = "At least one identity is needed, so that the person can be found."
        raise InvalidInput(message, errors=[FieldError("identities", "required", message)])
    if new.received_at > now:
        message = "A request is received before it is entered."
        raise InvalidInput(message, errors=[FieldError("received_at", "in_future", message)])
    _check_details(new.type, new.details)
    with transaction.atomic():
        request = PrivacyRequest(
            id=new.id or uuid.uuid4(),
            type=new.type,
            status=life.OPEN if new.verified_by else life.RECEIVED,
            regulation=new.regulation,
            identities=[{"type": one.type, "value": one.value} for one in new.identities],
            received_at=new.received_at,
            verified_by=new.verified_by,
            verified_at=now if new.verified_by else None,
            created_by=new.actor,
            came_by=new.came_by,
            language=new.language,
        )
        request.due_at = _end_of(_due(request, extended=False))
        confirm = confirm_on(received_on=_day(new.received_at), regulation=new.regulation, holidays=_holidays())
        request.confirm_at = _end_of(confirm) if confirm is not None else None
        request.save(force_insert=True)
        if new.details != NOTHING:
            write_details(request=request, details=new.details)
        _note(request, "privacy_request.created", actor=new.actor, now=now, type=new.type, came_by=new.came_by)
        if new.verified_by:
            _note(request, "privacy_request.verified", actor=new.actor, now=now, by=new.verified_by)
    return request


def approve_request(*, request_id: str, actor: str, now: datetime) -> PrivacyRequest:
    """Approve a request, so that it is carried out; a partial one is tried again, a repeat changes nothing.

    With `CDP_FOUR_EYES` the first approval is noted, and the second, by somebody else, counts.

    Raises
    ------
    NothingToCorrect
        If a rectification names no correction.
    RecipientsLeft
        If everything here is erased already, and only recipients are still to be told.
    SecondApprovalNeeded
        If whoever approved first approves again, while a second person is needed.
    WrongStatus
        If the request is over or not yet verified.
    """
    with transaction.atomic():
        request = hold_request(request_id=request_id)
        status = step(request=request, act=Act.APPROVE, role=Role.OFFICER)
        if request.status in life.MOVING:
            return request
        if request.clean_at is not None:
            raise RecipientsLeft
        if request.type == Type.RECTIFICATION and not read_details(request=request).corrections:
            raise NothingToCorrect
        if settings.CDP_FOUR_EYES and not [one for one in request.approvals if one != actor]:
            if actor in request.approvals:
                raise SecondApprovalNeeded
            request.approvals = [actor]
            request.save(update_fields=["approvals"])
            _note(request, "privacy_request.approved_first", actor=actor, now=now)
            return request
        first = request.approved_at is None
        request.approvals = [*(one for one in request.approvals if one != actor), actor]
        request.status = status
        request.approved_at = now
        request.lease_until = None
        request.save(update_fields=["status", "approved_at", "lease_until", "approvals"])
        _note(request, "privacy_request.approved", actor=actor, now=now)
        # Afterwards nobody knows the address any more.
        if first and request.type == Type.ERASURE and read_details(request=request).contact:
            send_letter(request=request, kind="done", actor=actor, now=now)
        wake(TASK_NAME)
    return request


def reject_request(*, request_id: str, reason: str, actor: str, now: datetime) -> PrivacyRequest:
    """Refuse a request, with the reason that the person is told.

    Raises
    ------
    InvalidInput
        Without a reason.
    WrongStatus
        If the request is approved or over.

    References
    ----------
    GDPR Art. 12(4): with the reasons, and the right to complain to an authority and to go to court.
    """
    reason = _check_reason(reason)
    with transaction.atomic():
        request = hold_request(request_id=request_id)
        request.status = step(request=request, act=Act.REJECT, role=Role.OFFICER)
        request.reason = reason
        request.completed_at = now
        request.save(update_fields=["status", "reason", "completed_at"])
        _note(request, "privacy_request.rejected", actor=actor, now=now)
        send_letter(request=request, kind="rejected", actor=actor, now=now)
    return request


def extend_request(*, request_id: str, reason: str, actor: str, now: datetime) -> PrivacyRequest:
    """Extend the period once, while the first one runs, and tell the person.

    Raises
    ------
    InvalidInput
        Without a reason.
    WrongStatus
        If the request is over, was extended before, is late already, or the law knows no extension.

    References
    ----------
    GDPR Art. 12(3): the person is told of the extension and its reasons within the first month.
    """
    reason = _check_reason(reason)
    with transaction.atomic():
        request = hold_request(request_id=request_id)
        step(request=request, act=Act.EXTEND, role=Role.OFFICER)
        if not can_extend(regulation=request.regulation, type=request.type):
            raise WrongStatus(status="an opt-out under the CCPA", allowed="of another kind")
        if request.extended_to is not None or now > request.due_at:
            state = "extended already" if request.extended_to is not None else "late already"
            raise WrongStatus(status=state, allowed="in its first period")
        request.extended_to = _end_of(_due(request, extended=True))
        request.reason = reason
        request.save(update_fields=["extended_to", "reason"])
        _note(request, "privacy_request.extended", actor=actor, now=now)
        send_letter(request=request, kind="extended", actor=actor, now=now)
    return request


def cancel_request(
    *, request_id: str, reason: str, actor: str, now: datetime, role: Role = Role.OFFICER
) -> PrivacyRequest:
    """End a request that the person has taken back; nothing was done yet.

    Raises
    ------
    WrongStatus
        If the request is approved or over.
    """
    with transaction.atomic():
        request = hold_request(request_id=request_id)
        request.status = step(request=request, act=Act.CANCEL, role=role)
        request.reason = reason.strip()[:LONGEST_REASON]
        request.completed_at = now
        request.save(update_fields=["status", "reason", "completed_at"])
        _note(request, "privacy_request.cancelled", actor=actor, now=now)
    return request


def verify_request(
    *, request_id: str, verified_by: str, actor: str, now: datetime, role: Role = Role.OFFICER
) -> PrivacyRequest:
    """Note that the person is who they say; the clock, which stood still for that, goes on.

    Raises
    ------
    WrongStatus
        If nobody waits for it.
    """
    with transaction.atomic():
        request = hold_request(request_id=request_id)
        request.status = step(request=request, act=Act.VERIFY, role=role)
        if request.identity_asked_at is not None:
            request.paused_days += (_day(now) - _day(request.identity_asked_at)).days
            request.identity_asked_at = None
            request.due_at = _end_of(_due(request, extended=False))
            if request.extended_to is not None:
                request.extended_to = _end_of(_due(request, extended=True))
        request.verified_by = verified_by
        request.verified_at = now
        request.save(
            update_fields=[
                *("status", "identity_asked_at", "paused_days", "due_at", "extended_to"),
                *("verified_by", "verified_at"),
            ]
        )
        _note(request, "privacy_request.verified", actor=actor, now=now, by=verified_by)
    return request


def doubt_identity(*, request: PrivacyRequest, actor: str, role: Role, now: datetime) -> None:
    """Stop the clock until the person has shown who they are; the caller holds the row and asks them.

    References
    ----------
    GDPR Art. 12(6): where there are reasonable doubts; that there were is on record.
    """
    request.status = step(request=request, act=Act.ASK_IDENTITY, role=role)
    request.identity_asked_at = request.identity_asked_at or now
    request.verified_by, request.verified_at = "", None
    request.save(update_fields=["status", "identity_asked_at", "verified_by", "verified_at"])
    _note(request, "privacy_request.identity_asked", actor=actor, now=now)


def amend_request(*, request_id: str, changes: Mapping[str, Any], actor: str, now: datetime) -> PrivacyRequest:
    """Change what is asked in particular, or which identifiers are others' too, while nothing is decided.

    Parameters
    ----------
    changes : mapping
        ``language``, ``corrections``, ``correct`` (one of them), ``purposes``, ``contact``, and ``shared``:
        identifiers (`Named`) that this person's erasure leaves to their other holders.

    Raises
    ------
    WrongStatus
        If it is decided already.
    """
    with transaction.atomic():
        request = hold_request(request_id=request_id)
        if request.status not in life.WAITING:
            raise WrongStatus(status=request.status, allowed=" or ".join(sorted(life.WAITING)))
        given = {name: changes[name] for name in ("corrections", "purposes", "contact") if name in changes}
        known = read_details(request=request)
        if one := changes.get("correct"):
            # One correction, in place of an earlier one of the same trait.
            others = [other for other in known.corrections if other["trait"] != one["trait"]]
            given["corrections"] = [*others, {"trait": one["trait"], "value": one["value"]}]
        if given:
            details = replace(known, **given)
            _check_details(request.type, details)
            write_details(request=request, details=details)
        if "language" in changes:
            request.language = changes["language"]
        if "shared" in changes:
            request.shared = sorted({one.digest.hex() for one in changes["shared"]})
        request.save(update_fields=["language", "shared"])
        _note(request, "privacy_request.changed", actor=actor, now=now, fields=sorted(changes))
    return request


def end_of_period(*, type: str, regulation: str, received_at: datetime) -> datetime:
    """Return the last moment at which a request may be answered, if nothing extends or stops its period."""
    return _end_of(due_on(received_on=_day(received_at), regulation=regulation, holidays=_holidays(), type=type))


def hold_request(*, request_id: str) -> PrivacyRequest:
    """Return the request with its row locked.

    Raises
    ------
    UnknownRequest
        If there is none.
    """
    request = PrivacyRequest.objects.select_for_update().filter(id=request_id).first()
    if request is None:
        raise UnknownRequest
    return request


def step(*, request: PrivacyRequest, act: Act, role: Role) -> str:
    """Return the status that an act leads to.

    Raises
    ------
    WrongStatus
        If it leads nowhere from here.
    """
    status = life.follow(status=request.status, act=act, role=role)
    if status is None:
        raise WrongStatus(status=request.status, allowed=" or ".join(life.allowed_in(act)))
    return status


def _check_details(type: str, details: Details) -> None:
    if details.corrections and type != Type.RECTIFICATION:
        message = "Only a rectification has corrections."
        raise InvalidInput(message, errors=[FieldError("corrections", "not_for_this_type", message)])
    if details.purposes and type not in (Type.OBJECTION, Type.OPT_OUT):
        message = "Only an objection or an opt-out names purposes."
        raise InvalidInput(message, errors=[FieldError("purposes", "not_for_this_type", message)])
    for key in details.purposes:
        get_purpose(key=key)
    for one in details.corrections:
        check_correction(trait=one["trait"], value=one["value"])


def _check_reason(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        message = "A reason is needed: the person must be told."
        raise InvalidInput(message, errors=[FieldError("reason", "required", message)])
    return reason[:LONGEST_REASON]


def _note(request: PrivacyRequest, action: str, *, actor: str, now: datetime, **detail: Any) -> None:
    record(actor=actor, action=action, object=f"privacy_request:{request.id}", detail=detail, now=now)


def _due(request: PrivacyRequest, *, extended: bool) -> date:
    return due_on(
        received_on=_day(request.received_at),
        regulation=request.regulation,
        extended=extended,
        holidays=_holidays(),
        type=request.type,
        paused_days=request.paused_days,
    )


def _holidays() -> Any:
    return read_calendar(settings.CDP_HOLIDAYS)


def _day(moment: datetime) -> date:
    return moment.astimezone(ZoneInfo(settings.CDP_TIME_ZONE)).date()


def _end_of(day: date) -> datetime:
    """Return the last second of a day where the installation is."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=ZoneInfo(settings.CDP_TIME_ZONE)).astimezone(UTC)
