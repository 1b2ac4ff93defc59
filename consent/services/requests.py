"""The life of a privacy request: made, approved or refused, extended, carried out."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction

from cdp.core.errors import FieldError, InvalidInput
from cdp.core.locks import IDENTITY, take
from cdp.core.services.audit import record
from cdp.core.services.wakeups import wake
from consent import decision as rules
from consent.deadlines import due_on
from consent.errors import NotCarriedOut, UnknownRequest, WrongStatus
from consent.models import PrivacyRequest, Purpose
from consent.services.decisions import NewDecision, record_decision
from consent.services.ledger import add_work
from profiles.models import Profile
from profiles.queries.people import Named, find_by_identifier, name_identifier

TASK_NAME = "consent.run_privacy_requests"
Status = PrivacyRequest.Status
Type = PrivacyRequest.Type

# Types that the product fulfils itself; the others are tracked here and fulfilled by people.
CARRIED_OUT = frozenset({Type.ERASURE, Type.RESTRICTION, Type.OBJECTION, Type.OPT_OUT})


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What a person asks for, as somebody entered it. `received_at` is when the person asked."""

    type: str
    identities: Sequence[Named]
    regulation: str
    received_at: datetime
    verified_by: str
    actor: str


def create_request(*, new: NewRequest, now: datetime) -> PrivacyRequest:
    """Open a privacy request; whoever enters it vouches for the person's identity.

    Raises
    ------
    InvalidInput
        Without identities, or with a receipt in the future.
    """
    if not new.identities:
        message = "At least one identity is needed, so that the person can be found."
        raise InvalidInput(message, errors=[FieldError("identities", "required", message)])
    if new.received_at > now:
        message = "A request is received before it is entered."
        raise InvalidInput(message, errors=[FieldError("received_at", "in_future", message)])
    with transaction.atomic():
        request = PrivacyRequest.objects.create(
            id=uuid.uuid4(),
            type=new.type,
            status=Status.OPEN,
            regulation=new.regulation,
            identities=[{"type": one.type, "value": one.value} for one in new.identities],
            received_at=new.received_at,
            due_at=_end_of(due_on(received_on=_day(new.received_at), regulation=new.regulation)),
            verified_by=new.verified_by,
            created_by=new.actor,
        )
        _note(request, "privacy_request.created", actor=new.actor, now=now, type=new.type)
    return request


def approve_request(*, request_id: str, actor: str, now: datetime) -> PrivacyRequest:
    """Approve a request, so that it is carried out; a partial one is tried again.

    Raises
    ------
    NotCarriedOut
        If the type is fulfilled by people.
    WrongStatus
        If the request is over or not yet verified.
    """
    with transaction.atomic():
        request = _hold(request_id)
        if request.type not in CARRIED_OUT:
            raise NotCarriedOut(request.type)
        if request.status in (Status.APPROVED, Status.RUNNING):
            return request
        _need_status(request, Status.OPEN, Status.PARTIAL)
        request.status = Status.APPROVED
        request.approved_at = now
        request.lease_until = None
        request.save(update_fields=["status", "approved_at", "lease_until"])
        _note(request, "privacy_request.approved", actor=actor, now=now)
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
    GDPR Art. 12(4).
    """
    if not reason.strip():
        message = "A reason is needed: the person must be told."
        raise InvalidInput(message, errors=[FieldError("reason", "required", message)])
    with transaction.atomic():
        request = _hold(request_id)
        _need_status(request, Status.OPEN, Status.RECEIVED, Status.AWAITING_IDENTITY)
        request.status = Status.REJECTED
        request.reason = reason
        request.completed_at = now
        request.save(update_fields=["status", "reason", "completed_at"])
        _note(request, "privacy_request.rejected", actor=actor, now=now)
    return request


def extend_request(*, request_id: str, reason: str, actor: str, now: datetime) -> PrivacyRequest:
    """Extend the period once, while the first one runs.

    Raises
    ------
    InvalidInput
        Without a reason.
    WrongStatus
        If the request is over, was extended before, or is late already.

    References
    ----------
    GDPR Art. 12(3): the person is told of the extension and its reasons within the first month.
    """
    if not reason.strip():
        message = "A reason is needed: the person must be told."
        raise InvalidInput(message, errors=[FieldError("reason", "required", message)])
    with transaction.atomic():
        request = _hold(request_id)
        _need_status(request, Status.OPEN, Status.RECEIVED, Status.AWAITING_IDENTITY)
        if request.extended_to is not None or now > request.due_at:
            state = "extended already" if request.extended_to is not None else "late already"
            raise WrongStatus(status=state, allowed="in its first period")
        last = due_on(received_on=_day(request.received_at), regulation=request.regulation, extended=True)
        request.extended_to = _end_of(last)
        request.reason = reason
        request.save(update_fields=["extended_to", "reason"])
        _note(request, "privacy_request.extended", actor=actor, now=now)
    return request


def restrict_people(*, request: PrivacyRequest, now: datetime) -> int:
    """Freeze the profiles of a request: stored, and used for nothing.

    References
    ----------
    GDPR Art. 18.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Or a merge drops the profile between the look-up and the write.
            take(cursor, IDENTITY)
        people = sorted(_people(request))
        count = Profile.objects.filter(id__in=people).update(restricted=True)
        # Who is restricted belongs to no segment; `created` concerns them all.
        add_work(names={profile_id: ["created"] for profile_id in people}, now=now, message_ids={})
    return count


def object_for_people(*, request: PrivacyRequest, now: datetime) -> int:
    """Record the person's objection to every purpose that can be objected to.

    References
    ----------
    GDPR Art. 21; a contract or a legal obligation cannot be objected to.
    """
    bases = (rules.CONSENT, rules.LEGITIMATE_INTERESTS, rules.PUBLIC_TASK)
    purposes = list(Purpose.objects.filter(legal_basis__in=bases).order_by("key").values_list("key", flat=True))
    with transaction.atomic():
        for public_id in _people(request).values():
            for key in purposes:
                new = NewDecision(
                    purpose=key,
                    channel=None,
                    state=rules.OBJECTED,
                    recorded_by="system",
                    profile_uuid=public_id,
                    occurred_at=request.received_at,
                    evidence={"privacy_request": str(request.id)},
                )
                record_decision(new=new, now=now)
        return len(purposes)


def _people(request: PrivacyRequest) -> dict[int, str]:
    """Return the profiles that the identities lead to."""
    found: dict[int, str] = {}
    for one in request.identities:
        person = find_by_identifier(named=name_identifier(type=one["type"], value=one["value"]))
        if person is not None:
            found[person.profile_id] = person.uuid
    return found


def _hold(request_id: str) -> PrivacyRequest:
    request = PrivacyRequest.objects.select_for_update().filter(id=request_id).first()
    if request is None:
        raise UnknownRequest
    return request


def _need_status(request: PrivacyRequest, *allowed: str) -> None:
    if request.status not in allowed:
        raise WrongStatus(status=request.status, allowed=" or ".join(str(one) for one in allowed))


def _note(request: PrivacyRequest, action: str, *, actor: str, now: datetime, **detail: str) -> None:
    record(actor=actor, action=action, object=f"privacy_request:{request.id}", detail=detail, now=now)


def _day(moment: datetime) -> date:
    return moment.astimezone(ZoneInfo(settings.CDP_TIME_ZONE)).date()


def _end_of(day: date) -> datetime:
    """Return the last second of a day where the installation is."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=ZoneInfo(settings.CDP_TIME_ZONE)).astimezone(UTC)
