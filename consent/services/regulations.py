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

from cdp.core.locks import IDENTITY, take
from cdp.core.services.audit import record
from cdp.core.services.wakeups import wake
from consent import life
from consent.deadlines import GDPR
from consent.errors import UnknownRegulation
from consent.life import Act, Role
from consent.models import PrivacyRequest, Suppression
from consent.request_models import Regulation
from consent.services.erasure_ledger import note_lifted, note_suppressed
from consent.services.requests import TASK_NAME, end_of_period
from consent.services.suppressions import suppress
from profiles.errors import BadIdentifier
from profiles.queries.people import Named, name_identifier

SUPPRESS, UNSUPPRESS, ERASE = "suppress", "unsuppress", "erase"
SEGMENT, RUDDER = "segment", "rudder"
# What a caller may ask → what is done. Erasure always suppresses: what would come in again was not erased.
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
    """Suppress, let in again, or erase people; a constant number of statements for any number of them."""
    people = [named for named in (_named(one) for one in new.people) if named]
    regulation = Regulation(
        id=uuid.uuid4(),
        dialect=new.dialect,
        type=CARRIED_OUT_AS[new.does],
        asked_as=new.asked_as,
        invalid=len(new.people) - len(people),
        created_at=now,
        created_by=new.actor,
    )
    with transaction.atomic():
        if new.does == ERASE:
            rows = [_erasure(named, regulation, actor=new.actor, now=now) for named in people]
            PrivacyRequest.objects.bulk_create(rows, batch_size=500)
            regulation.request_ids = [row.id for row in rows]
            wake(TASK_NAME)
        else:
            regulation.suppressed = _change_suppressions(people, lift=new.does == UNSUPPRESS, now=now)
        regulation.save(force_insert=True)
        record(
            actor=new.actor,
            action=f"regulation.{new.does}",
            object=f"regulation:{regulation.id}",
            detail={"people": len(people), "invalid": regulation.invalid, "dialect": new.dialect},
            now=now,
        )
    return regulation


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


def overall_status(regulation: Regulation) -> tuple[str, datetime | None]:
    """Return Segment's word for how a regulation stands, and when it ended."""
    if not regulation.request_ids:
        return ("FINISHED", regulation.created_at) if regulation.suppressed else ("INVALID", regulation.created_at)
    rows = PrivacyRequest.objects.filter(id__in=regulation.request_ids).values_list("status", "completed_at")
    found = list(rows)
    counts = Counter(status for status, _ in found)
    if counts[life.RUNNING]:
        return "RUNNING", None
    if counts[life.OPEN] + counts[life.APPROVED]:
        return ("RUNNING" if counts[life.COMPLETED] else "INITIALIZED"), None
    ended = max((at for _, at in found if at is not None), default=None)
    if counts[life.PARTIAL]:
        return "PARTIAL_SUCCESS", None
    refused = counts[life.REJECTED] + counts[life.CANCELLED]
    if refused and not counts[life.COMPLETED]:
        return "FAILED", ended
    return ("PARTIAL_SUCCESS" if refused else "FINISHED"), ended


def cancel_regulation(*, regulation_id: UUID, actor: str, now: datetime) -> Regulation:
    """Cancel what of a regulation was not begun.

    Raises
    ------
    UnknownRegulation
        If there is none.
    """
    with transaction.atomic():
        regulation = get_regulation(regulation_id=regulation_id, dialect=RUDDER)
        rows = PrivacyRequest.objects.filter(id__in=regulation.request_ids, status=life.OPEN)
        rows.update(status=life.CANCELLED, completed_at=now)
        record(actor=actor, action="regulation.cancelled", object=f"regulation:{regulation.id}", now=now)
    return regulation


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


def _change_suppressions(people: Sequence[Sequence[Named]], *, lift: bool, now: datetime) -> int:
    named = [one for person in people for one in person]
    with connection.cursor() as cursor:
        take(cursor, IDENTITY)
    if not lift:
        note_suppressed(named=named, now=now)
        return suppress(named=named, reason="regulation", request_id=None, now=now)
    rows = Suppression.objects.filter(digest__in=[one.digest for one in named])
    for row in rows:
        note_lifted(suppression=row, now=now)
    rows.delete()
    return len(named)
