"""Duties to keep: what an erasure must not delete is sealed, taken out of use, and deleted when its time is up.

References
----------
GDPR Art. 17(3)(b): erasure does not apply where a law requires the processing; the duty concerns the row, not the
person.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection, transaction

from cdp.core.copying import int_array, text_array
from cdp.core.errors import FieldError, InvalidInput, NotFound
from cdp.core.secrets import seal, unseal
from cdp.core.services.audit import record
from consent.proof_models import LegalHold, WithheldRow
from consent.services.closure import Closure

CONTEXT = "consent.withheld"
STORE = "events"
CHUNK = 2000
FIND = """
SELECT e.id, e.occurred_at, row_to_json(e)::text FROM profiles_event e
WHERE e.profile_id = ANY(%s::bigint[]) AND e.occurred_at > %s
  AND (cardinality(%s::text[]) = 0 OR e.name = ANY(%s::text[]))
  AND NOT EXISTS (SELECT FROM consent_withheldrow w WHERE w.store = 'events' AND w.row_id = e.id)
ORDER BY e.id LIMIT %s
"""


class UnknownHold(NotFound):
    """There is no such legal hold."""

    code = "legal_hold.unknown"

    def __init__(self) -> None:
        super().__init__("There is no legal hold with this key.")


def withhold_rows(*, closure: Closure, request_id: str, now: datetime) -> int:
    """Seal up to some thousand rows of the person that a law makes the house keep; 0 means that there are none left.

    In the caller's transaction. The rows themselves are deleted like all others.
    """
    count = 0
    for hold in LegalHold.objects.filter(enabled=True).order_by("-keep_days", "id"):
        names = text_array(hold.event_names)
        oldest = now - timedelta(days=hold.keep_days)
        with connection.cursor() as cursor:
            cursor.execute(FIND, [int_array(closure.profile_ids), oldest, names, names, CHUNK])
            rows = cursor.fetchall()
        WithheldRow.objects.bulk_create(
            [
                WithheldRow(
                    request_id=request_id,
                    hold=hold,
                    store=STORE,
                    row_id=row_id,
                    sealed=seal(text.encode(), context=CONTEXT),
                    until=occurred_at + timedelta(days=hold.keep_days),
                )
                for row_id, occurred_at, text in rows
            ]
        )
        count += len(rows)
    return count


def count_withheld(*, request_id: str) -> list[dict[str, Any]]:
    """Return what was withheld: how many rows of which store, on which ground, and until when the last one stays."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    rows = WithheldRow.objects.filter(request_id=request_id).select_related("hold")
    for row in rows.only("store", "until", "hold__key", "hold__name", "hold__legal_basis").iterator():
        one = found.setdefault(
            (row.store, row.hold.key),
            {
                "store": row.store,
                "hold": row.hold.key,
                "name": row.hold.name,
                "legal_basis": row.hold.legal_basis,
                "rows": 0,
                "until": row.until,
            },
        )
        one["rows"] += 1
        one["until"] = max(one["until"], row.until)
    return [{**one, "until": one["until"].isoformat()} for _, one in sorted(found.items())]


def read_withheld(*, request_id: str, actor: str, now: datetime) -> list[dict[str, Any]]:
    """Return the withheld rows in the clear, for whoever answers to the duty; the audit trail says who looked."""
    rows = list(WithheldRow.objects.filter(request_id=request_id).select_related("hold").order_by("id"))
    if rows:
        record(actor=actor, action="withheld.read", object=f"privacy_request:{request_id}", now=now)
    return [
        {
            "store": row.store,
            "hold": row.hold.key,
            "until": row.until,
            "row": orjson.loads(unseal(bytes(row.sealed), context=CONTEXT)),
        }
        for row in rows
    ]


def save_hold(*, key: str, fields: Mapping[str, Any], actor: str, now: datetime) -> LegalHold:
    """Make a legal hold, or change it; it counts for erasures that are carried out from then on.

    Raises
    ------
    InvalidInput
        Without a name, a legal basis or a period.
    """
    faults = [
        FieldError(name, "required", f"{name} is needed.")
        for name in ("name", "legal_basis", "keep_days")
        if not fields.get(name)
    ]
    if faults:
        message = "A legal hold names its ground and its period."
        raise InvalidInput(message, errors=faults)
    with transaction.atomic():
        row, made = LegalHold.objects.update_or_create(
            key=key, defaults=dict(fields), create_defaults={**fields, "created_at": now}
        )
        action = "legal_hold.created" if made else "legal_hold.changed"
        record(actor=actor, action=action, object=f"legal_hold:{key}", detail={"keep_days": row.keep_days}, now=now)
    return row


def end_hold(*, key: str, actor: str, now: datetime) -> int:
    """Lift a legal hold and delete every row that was kept for it; return how many.

    Raises
    ------
    UnknownHold
        If there is none.
    """
    with transaction.atomic():
        row = LegalHold.objects.select_for_update().filter(key=key).first()
        if row is None:
            raise UnknownHold
        count = row.rows.all().delete()[0]
        row.delete()
        record(actor=actor, action="legal_hold.ended", object=f"legal_hold:{key}", detail={"rows": count}, now=now)
    return count


def delete_due_rows(now: datetime) -> None:
    """Delete withheld rows whose time is up (called each hour)."""
    with transaction.atomic():
        count = WithheldRow.objects.filter(until__lte=now).delete()[0]
        if count:
            record(actor="system", action="withheld.deleted", object="withheld:due", detail={"rows": count}, now=now)
