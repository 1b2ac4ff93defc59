"""Doing again the erasures that a database from elsewhere does not know: after a restore, or at the next start."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone

from cdp.core import registries
from cdp.core.digests import LOOKUP_BYTES
from cdp.core.errors import CdpError
from cdp.core.locks import IDENTITY, take
from cdp.core.services.audit import record
from consent.models import PrivacyRequest
from consent.services.erasure_ledger import Line, adopt, begin_ledger, find_unknown_lines
from consent.services.running import count_waiting, run_privacy_requests
from consent.services.suppressions import lift, suppress
from consent.suppression_models import LedgerEntry
from profiles.models import Identifier
from profiles.queries.people import Named

Kind = LedgerEntry.Kind
Status = PrivacyRequest.Status
# Each pass processes what waits in the inbox, which an erasure must see through.
MOST_PASSES = 20


class ErasuresMissing(CdpError):
    """The database does not know erasures that the ledger knows."""

    code = "erasure_ledger.database_behind"
    status = 500

    def __init__(self, count: int) -> None:
        super().__init__(
            f"REFUSING TO START: the database does not know {count} lines of the ledger of erasures, so that people "
            "who were erased may be in it. Run `manage.py check_start`, which erases them again."
        )


class ErasuresUnfinished(CdpError):
    """Somebody could not be erased again."""

    code = "erasure_ledger.unfinished"
    status = 500

    def __init__(self, count: int) -> None:
        super().__init__(
            f"REFUSING TO START: {count} erasures were done again and are not complete: the privacy desk says where "
            "something is left. Run `manage.py check_start` again."
        )


def check_erasures(act: bool) -> str:
    """Compare database and ledger; with `act`, do again what the database does not know.

    Returns
    -------
    str
        What was done; empty where nothing was missing.

    Raises
    ------
    LedgerMissing, LedgerDamaged
        If nobody can say who was erased.
    ErasuresMissing, ErasuresUnfinished
        If somebody who was erased is still there.
    """
    lines = _unknown(now=timezone.now())
    if not lines:
        return ""
    if not act:
        raise ErasuresMissing(len(lines))
    again: list[str] = []
    for line in lines:
        request_id = _replay(line, now=timezone.now())
        if request_id is not None:
            again.append(request_id)
            _finish(request_id)
    counts = {kind: sum(line.kind == kind for line in lines) for kind in Kind.values}
    return (
        f"The ledger of erasures knew {len(lines)} lines that the database did not: {counts[Kind.ERASED]} erasures "
        f"were done again ({len(again)} of people who were there), {counts[Kind.SUPPRESSED]} suppressions and "
        f"{counts[Kind.LIFTED]} liftings of such were repeated."
    )


def begin_erasure_ledger(*, reason: str, actor: str, now: datetime) -> int:
    """Begin a ledger that is lost for good anew; return how many suppressions went into it."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            take(cursor, IDENTITY)
        count = begin_ledger(now=now)
        record(
            actor=actor,
            action="erasure_ledger.begun",
            object="erasure_ledger:1",
            detail={"reason": reason, "suppressions": count},
            now=now,
        )
    return count


def _unknown(*, now: datetime) -> list[Line]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            take(cursor, IDENTITY)
        return find_unknown_lines(now=now)


def _replay(line: Line, *, now: datetime) -> str | None:
    """Do one line again; return the request that now has to be carried out, if anybody is there."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            take(cursor, IDENTITY)
        if LedgerEntry.objects.filter(number=line.number).exists():
            return None
        adopt(line)
        if line.kind == Kind.LIFTED:
            for _, digest in line.named:
                lift(digest=digest)
            return None
        held = _find_held(line.named)
        # The digests are all that is known of identifiers which nobody holds.
        named = [Named(type=kind, value=held.get(digest, ""), digest=digest) for kind, digest in line.named]
        request_id = _approve(line, held=held, now=now) if line.kind == Kind.ERASED else None
        suppress(named=named, reason="erased" if request_id else line.kind, request_id=request_id, now=now)
    return request_id


def _find_held(named: Sequence[tuple[str, bytes]]) -> dict[bytes, str]:
    """Return the values of those identifiers that somebody in the database holds."""
    by_lookup = {digest[:LOOKUP_BYTES]: digest for _, digest in named}
    rows = Identifier.objects.filter(lookup__in=list(by_lookup)).values_list("lookup", "value")
    return {by_lookup[bytes(lookup)]: value for lookup, value in rows}


def _approve(line: Line, *, held: dict[bytes, str], now: datetime) -> str:
    """Make the request of the erasure approved again, or as it was."""
    request_id = line.request or str(uuid.uuid4())
    row = PrivacyRequest.objects.select_for_update().filter(id=request_id).first()
    if row is None:
        at = datetime.fromisoformat(line.at)
        row = PrivacyRequest(
            id=request_id,
            type=PrivacyRequest.Type.ERASURE,
            received_at=at,
            due_at=at,
            verified_by="erasure ledger",
            created_by="system",
        )
    found = [{"type": kind, "value": held[digest]} for kind, digest in line.named if digest in held]
    row.identities = [*row.identities, *(one for one in found if one not in row.identities)]
    row.status = Status.APPROVED
    row.approved_at = now
    row.lease_until = None
    row.clean_at = None
    row.completed_at = None
    row.save()
    record(
        actor="system",
        action="privacy_request.replayed",
        object=f"privacy_request:{request_id}",
        detail={"line": line.number},
        now=now,
    )
    return request_id


def _finish(request_id: str) -> None:
    """Carry the erasure out to its end: nobody else works on this database yet."""
    for _ in range(MOST_PASSES):
        run_privacy_requests(clock=timezone.now)
        if PrivacyRequest.objects.get(id=request_id).clean_at is not None:
            return
        for step in registries.work_steps:
            while step.run():
                pass
    raise ErasuresUnfinished(count_waiting() or 1)
