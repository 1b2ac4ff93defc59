"""Requests in the shapes of Segment and RudderStack: many people at once, no approval in between.

Whoever holds a key that may approve asks and approves in one call; with `CDP_FOUR_EYES` the requests wait for somebody
else.
"""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from cdp.core.locks import IDENTITY, take
from cdp.core.services.audit import record
from cdp.core.services.wakeups import wake
from consent import life
from consent.deadlines import GDPR
from consent.errors import UnknownRegulation, WrongStatus
from consent.life import Act, Role
from consent.models import PrivacyRequest
from consent.request_models import Regulation
from consent.services.erasure_ledger import note_lifted, note_suppressed
from consent.services.requests import TASK_NAME, end_of_period
from consent.services.suppressions import suppress
from consent.suppression_models import Suppression
from profiles.errors import BadIdentifier
from profiles.queries.people import Named, name_identifier

SUPPRESS, UNSUPPRESS, ERASE = "suppress", "unsuppress", "erase"
SEGMENT, RUDDER = "segment", "rudder"
REASON = "regulation"
INITIALIZED = "INITIALIZED"
LISTED = 200
# What a caller may ask → what is done. Erasure always suppresses: what would come in again was not erased.
# What a subject of theirs is here.
SEGMENT_SUBJECTS: Mapping[str, str] = {"USER_ID": "user_id", "ANONYMOUS_ID": "anonymous_id"}
SEGMENT_TYPES: Mapping[str, str] = {
    "SUPPRESS_ONLY": SUPPRESS,
    "UNSUPPRESS": UNSUPPRESS,
    "SUPPRESS_WITH_DELETE": ERASE,
    "SUPPRESS_AND_DELETE": ERASE,
    "SUPPRESS_WITH_DELETE_INTERNAL": ERASE,
    "DELETE_ONLY": ERASE,
    "DELETE_INTERNAL": ERASE,
}
RUDDER_TYPES: Mapping[str, str] = {"suppress": SUPPRESS, "suppress_with_delete": ERASE}
CARRIED_OUT_AS: Mapping[str, str] = {
    SUPPRESS: "SUPPRESS_ONLY",
    UNSUPPRESS: "UNSUPPRESS",
    ERASE: "SUPPRESS_WITH_DELETE",
}
RUDDER_IDENTIFIERS: Mapping[str, str] = {"userId": "user_id", "email": "email", "phone": "phone"}


@dataclass(frozen=True, slots=True)
class NewRegulation:
    """Whom it is about: of each person, the identifiers as (type, value)."""

    dialect: str
    asked_as: str
    does: str
    people: Sequence[Sequence[tuple[str, str]]]
    actor: str


def regulate(*, new: NewRegulation, now: datetime) -> Regulation:
    """Suppress, let in again, or erase people by one regulation; a constant number of statements for any number."""
    return _carry_out(new, [list(new.people)], now=now)[0]


def regulate_each(*, new: NewRegulation, now: datetime) -> list[Regulation]:
    """Do the same by a regulation for each of the people, in their order: RudderStack gives each a number."""
    return _carry_out(new, [[one] for one in new.people], now=now)


def _carry_out(
    new: NewRegulation, groups: Sequence[Sequence[Sequence[tuple[str, str]]]], *, now: datetime
) -> list[Regulation]:
    made, requests, suppressed = [], [], []
    for group in groups:
        people = [named for named in (_named(one) for one in group) if named]
        regulation = Regulation(
            id=uuid.uuid4(),
            dialect=new.dialect,
            type=CARRIED_OUT_AS[new.does],
            asked_as=new.asked_as,
            invalid=len(group) - len(people),
            created_at=now,
            created_by=new.actor,
        )
        if new.does == ERASE:
            rows = [_erasure(named, regulation, actor=new.actor, now=now) for named in people]
            regulation.request_ids = [row.id for row in rows]
            requests += rows
        else:
            named = [one for person in people for one in person]
            regulation.suppressed = len(named)
            regulation.digests = [one.digest for one in named] if new.does == SUPPRESS else []
            suppressed += named
        made.append(regulation)
    with transaction.atomic():
        if requests:
            PrivacyRequest.objects.bulk_create(requests, batch_size=500)
            wake(TASK_NAME)
        if suppressed:
            _change_suppressions(suppressed, lift=new.does == UNSUPPRESS, now=now)
        Regulation.objects.bulk_create(made, batch_size=500)
        invalid = sum(one.invalid for one in made)
        detail = {"people": len(new.people) - invalid, "invalid": invalid, "dialect": new.dialect}
        record(
            actor=new.actor,
            action=f"regulation.{new.does}",
            object=f"regulation:{made[0].id}",
            detail={**detail, "regulations": len(made)} if len(made) > 1 else detail,
            now=now,
        )
    return made


def get_regulation(*, regulation_id: UUID, dialect: str) -> Regulation:
    """Return a regulation.

    Raises
    ------
    UnknownRegulation
        If there is none in this dialect.
    """
    found = Regulation.objects.filter(id=regulation_id, dialect=dialect).first()
    if found is None:
        raise UnknownRegulation
    return found


def list_regulations(*, dialect: str, after: str = "", most: str = "") -> tuple[list[Regulation], str]:
    """Return a page of regulations, newest first, and where the next one begins; empty: nowhere.

    Parameters
    ----------
    after : str
        The id with which the page before ended; one that is none begins at the start.
    most : str
        How many at most; `LISTED` where that is no number from 1 to `LISTED`.
    """
    rows = Regulation.objects.filter(dialect=dialect).order_by("-created_at", "-id")
    last = rows.filter(id=after).first() if _is_uuid(after) else None
    if last is not None:
        rows = rows.filter(Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, id__lt=last.id))
    size = int(most) if most.isascii() and most.isdecimal() and 0 < int(most[:9]) <= LISTED else LISTED
    found = list(rows[: size + 1])
    return found[:size], str(found[size - 1].id) if len(found) > size else ""


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def overall_status(regulation: Regulation) -> tuple[str, datetime | None]:
    """Return Segment's word for how a regulation stands, and when it ended."""
    return overall_statuses([regulation])[regulation.id]


def overall_statuses(regulations: Sequence[Regulation]) -> dict[UUID, tuple[str, datetime | None]]:
    """Return the same for many, by id (one statement)."""
    ids = [request_id for one in regulations for request_id in one.request_ids]
    rows = PrivacyRequest.objects.filter(id__in=ids).values_list("id", "status", "completed_at") if ids else ()
    found = {request_id: (status, completed_at) for request_id, status, completed_at in rows}
    return {
        one.id: _status_of(one, [found[request_id] for request_id in one.request_ids if request_id in found])
        for one in regulations
    }


def _status_of(regulation: Regulation, found: Sequence[tuple[str, datetime | None]]) -> tuple[str, datetime | None]:
    if not regulation.request_ids:
        return ("FINISHED", regulation.created_at) if regulation.suppressed else ("INVALID", regulation.created_at)
    counts = Counter(status for status, _ in found)
    if counts[life.RUNNING]:
        return "RUNNING", None
    if counts[life.OPEN] + counts[life.APPROVED]:
        return ("RUNNING" if counts[life.COMPLETED] else INITIALIZED), None
    ended = max((at for _, at in found if at is not None), default=None)
    if counts[life.PARTIAL]:
        return "PARTIAL_SUCCESS", None
    refused = counts[life.REJECTED] + counts[life.CANCELLED]
    if refused and not counts[life.COMPLETED]:
        return "FAILED", ended
    return ("PARTIAL_SUCCESS" if refused else "FINISHED"), ended


def cancel_regulation(*, regulation_id: UUID, dialect: str, actor: str, now: datetime) -> Regulation:
    """Cancel what of a regulation was not begun, and let in again whom it alone keeps out.

    Raises
    ------
    UnknownRegulation
        If there is none in this dialect.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            take(cursor, IDENTITY)
        regulation = get_regulation(regulation_id=regulation_id, dialect=dialect)
        if regulation.cancelled_at is not None:
            return regulation
        rows = PrivacyRequest.objects.filter(id__in=regulation.request_ids, status=life.OPEN)
        rows.update(status=life.CANCELLED, completed_at=now)
        _lift(Suppression.objects.filter(reason=REASON, digest__in=_alone(regulation)), now=now)
        regulation.cancelled_at = now
        regulation.save(update_fields=["cancelled_at"])
        record(actor=actor, action="regulation.cancelled", object=f"regulation:{regulation.id}", now=now)
    return regulation


def withdraw_regulation(*, regulation_id: UUID, actor: str, now: datetime) -> Regulation:
    """Cancel a regulation of Segment's shape, which only one that waits allows.

    Raises
    ------
    UnknownRegulation
        If there is none.
    WrongStatus
        If it has begun.
    """
    regulation = get_regulation(regulation_id=regulation_id, dialect=SEGMENT)
    status, _ = overall_status(regulation)
    if status != INITIALIZED:
        raise WrongStatus(status=status, allowed=INITIALIZED)
    return cancel_regulation(regulation_id=regulation_id, dialect=SEGMENT, actor=actor, now=now)


def _named(identifiers: Sequence[tuple[str, str]]) -> list[Named]:
    found = []
    for type_, value in identifiers:
        try:
            found.append(name_identifier(type=type_, value=value))
        except BadIdentifier:
            continue
    return found


def _erasure(named: Sequence[Named], regulation: Regulation, *, actor: str, now: datetime) -> PrivacyRequest:
    approved = life.follow(status=life.OPEN, act=Act.APPROVE, role=Role.OFFICER) or life.OPEN
    return PrivacyRequest(
        id=uuid.uuid4(),
        type=PrivacyRequest.Type.ERASURE,
        status=life.OPEN if settings.CDP_FOUR_EYES else approved,
        regulation=GDPR,
        identities=[{"type": one.type, "value": one.value} for one in named],
        received_at=now,
        due_at=end_of_period(type="erasure", regulation=GDPR, received_at=now),
        verified_by="api",
        verified_at=now,
        created_by=actor,
        came_by=regulation.dialect,
        approved_at=None if settings.CDP_FOUR_EYES else now,
        approvals=[actor],
    )


def _change_suppressions(named: Sequence[Named], *, lift: bool, now: datetime) -> None:
    with connection.cursor() as cursor:
        take(cursor, IDENTITY)
    if lift:
        # Whom an erasure or an officer keeps out returns only where somebody says why (`lift_suppression`).
        _lift(Suppression.objects.filter(reason=REASON, digest__in=[one.digest for one in named]), now=now)
        return
    note_suppressed(named=named, now=now)
    suppress(named=named, reason=REASON, request_id=None, now=now)


def _alone(regulation: Regulation) -> set[bytes]:
    """Return the digests that no other regulation in force suppresses."""
    own = {bytes(one) for one in regulation.digests}
    others = Regulation.objects.filter(cancelled_at=None, digests__overlap=list(own)).exclude(pk=regulation.pk)
    return own - {bytes(one) for digests in others.values_list("digests", flat=True) for one in digests}


def _lift(rows: QuerySet[Suppression], *, now: datetime) -> None:
    for row in rows:
        note_lifted(suppression=row, now=now)
    rows.delete()
