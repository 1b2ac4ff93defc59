"""Writing what became of each item: outcome rows, copies, counts, quarantine and held messages."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import orjson

from cdp.core.copying import NULL, copy_rows, escape, int_array, stamp, text_array
from cdp.core.digests import LOOKUP_BYTES
from cdp.core.secrets import seal
from ingestion.errors import IngestionError
from ingestion.models import Outcome
from ingestion.services.findings import count_findings
from ingestion.services.prepare import Item
from ingestion.services.screen import Row, Screened
from ingestion.spec.message import BadItem
from ingestion.spec.soundness import pack
from ingestion.spec.split import Batch, split_items
from profiles.identity.graph import Graph

COLUMNS = "id, source_id, message_hash, outcome, copies, received_at, processed_at, occurred_at, reason, warnings"
UPDATE_COPIES = """
UPDATE ingestion_message m SET copies = m.copies + t.n
FROM unnest(%s::bigint[], %s::int[]) AS t(i, n) WHERE m.id = t.i
"""
UPDATE_OUTCOMES = """
UPDATE ingestion_message m SET outcome = t.o, reason = t.r, occurred_at = t.c, processed_at = %s
FROM unnest(%s::bigint[], %s::smallint[], %s::text[], %s::timestamptz[]) AS t(i, o, r, c) WHERE m.id = t.i
"""
HELD = "held message"


def write_outcomes(cursor: Any, screened: Screened, graph: Graph | None, *, now: datetime) -> None:
    """Write the outcome of every item of a batch."""
    refused = _refusals(graph)
    at = stamp(now)
    lines: list[str] = []
    changed: list[Row] = []
    copies: list[Row] = []
    for (source_id, _), row in screened.rows.items():
        if row.is_new and row.item is not None:
            lines.append(_line(source_id, row, refused, at))
            continue
        if row.is_changed:
            changed.append(row)
        if row.more_copies:
            copies.append(row)
    copy_rows(cursor, "ingestion_message", COLUMNS, lines)
    if copies:
        cursor.execute(
            UPDATE_COPIES, [int_array(row.id for row in copies), int_array(row.more_copies for row in copies)]
        )
    if changed:
        _replace(cursor, changed, now)
    _write_quarantine(cursor, screened, now)
    _write_held(cursor, screened)
    _count(cursor, screened)
    count_findings(cursor, screened)


def _refusals(graph: Graph | None) -> set[tuple[int, str]]:
    return {(refusal.claim.source_id, refusal.claim.message_id) for refusal in graph.refusals} if graph else set()


def _line(source_id: int, row: Row, refused: set[tuple[int, str]], at: str) -> str:
    item = row.item
    assert item is not None
    accepted = row.outcome == Outcome.ACCEPTED and item.incoming is not None
    warnings = item.warnings if accepted else []
    if accepted and refused and (source_id, item.message_id) in refused:
        warnings = [*warnings, "identifier_refused"]
    occurred_at = item.incoming.occurred_text if accepted and item.incoming is not None else NULL
    return (
        f"{row.id}\t{source_id}\t\\\\x{item.hash.hex()}\t{row.outcome:d}\t{1 + row.more_copies}\t"
        f"{item.request.received_text}\t{at}\t{occurred_at}\t{escape(row.reason)}\t"
        f"{escape(text_array(warnings)) if warnings else NULL}\n"
    )


def _occurred_at(row: Row) -> datetime | None:
    """Return when an accepted message occurred: with its id it finds the event."""
    if row.outcome != Outcome.ACCEPTED or row.item is None or row.item.incoming is None:
        return None
    return row.item.incoming.claim.occurred_at


def _replace(cursor: Any, changed: list[Row], now: datetime) -> None:
    """A stored row gives way to a good copy; what was kept of the bad or held one goes."""
    ids = int_array(row.id for row in changed)
    cursor.execute("DELETE FROM ingestion_quarantined WHERE row_id = ANY(%s::bigint[])", [ids])
    cursor.execute("DELETE FROM ingestion_held WHERE row_id = ANY(%s::bigint[])", [ids])
    moments = [
        row.item.incoming.claim.occurred_at
        if row.outcome == Outcome.ACCEPTED and row.item and row.item.incoming
        else None
        for row in changed
    ]
    cursor.execute(
        UPDATE_OUTCOMES,
        [now, ids, int_array(row.outcome for row in changed), text_array(row.reason for row in changed), moments],
    )


def _write_quarantine(cursor: Any, screened: Screened, now: datetime) -> None:
    lines = []
    batches: dict[bytes, Batch | None] = {}
    for item, row in screened.quarantined:
        if row.item is not item or item.fault is None:
            continue
        payload = _payload(item, batches)
        lines.append(
            f"{row.id}\t{item.request.source.id}\t{escape(item.message_id)}\t{escape(item.fault.code)}\t"
            f"{escape(item.fault.message)}\t\\\\x{payload.hex()}\t{_lookups(item)}\t{stamp(now)}\n"
        )
    columns = "row_id, source_id, message_id, code, detail, payload, lookups, created_at"
    copy_rows(cursor, "ingestion_quarantined", columns, lines)


def _lookups(item: Item) -> str:
    return "{" + ",".join(f'"\\\\\\\\x{digest[:LOOKUP_BYTES].hex()}"' for digest in item.digests) + "}"


def _payload(item: Item, batches: dict[bytes, Batch | None]) -> bytes:
    """Return the item with what its request shared under it, so that it can be processed again by itself."""
    payload = item.payload.item if isinstance(item.payload, BadItem) else item.payload
    request = item.request
    if request.body not in batches:
        batches[request.body] = _split(item)
    batch = batches[request.body]
    if batch is not None and (batch.sent_at or batch.context or batch.integrations or batch.endpoint_type):
        fields = orjson.loads(payload) if isinstance(payload, bytes) else payload
        if isinstance(fields, dict):
            return pack(_with_shared(fields, batch))
    return payload if isinstance(payload, bytes) else pack(payload)


def _split(item: Item) -> Batch | None:
    try:
        return split_items(item.request.body, item.request.endpoint)
    except IngestionError:
        return None


def _with_shared(fields: dict[str, Any], batch: Batch) -> dict[str, Any]:
    whole = dict(fields)
    for name, shared in (("context", batch.context), ("integrations", batch.integrations)):
        own = fields.get(name)
        if shared and (own is None or isinstance(own, dict)):
            whole[name] = {**shared, **(own or {})}
    if batch.sent_at is not None:
        whole.setdefault("sentAt", batch.sent_at.isoformat())
    if batch.endpoint_type and batch.endpoint_type != "merge" and not whole.get("type"):
        whole["type"] = batch.endpoint_type
    return whole


def _write_held(cursor: Any, screened: Screened) -> None:
    lines = []
    for item, row in screened.held:
        source = item.request.source
        message = item.message
        assert message is not None
        # As a request of its own: what the batch gave (its sentAt) goes with the item.
        body: dict[str, Any] = {"batch": [{"type": message.type, **orjson.loads(item.payload)}]}
        if message.sent_at is not None:
            body["sentAt"] = message.sent_at
        sealed = seal(orjson.dumps(body), context=HELD)
        until = item.request.received_at + timedelta(days=source.hold_days)
        lines.append(
            f"{row.id}\t{source.id}\t{source.required_purpose}\t{_lookups(item)}\t\\\\x{sealed.hex()}\tbatch\t"
            f"{stamp(item.request.received_at)}\t{stamp(until)}\n"
        )
    columns = "row_id, source_id, purpose, lookups, sealed, endpoint, received_at, until"
    copy_rows(cursor, "ingestion_held", columns, lines)


def _count(cursor: Any, screened: Screened) -> None:
    counts = Counter(
        (item.request.source.id, item.request.received_at.replace(minute=0, second=0, microsecond=0), int(outcome))
        for item, outcome in screened.outcomes
    )
    lines = [f"{source}\t{stamp(hour)}\t{outcome}\t{count}\n" for (source, hour, outcome), count in counts.items()]
    copy_rows(cursor, "ingestion_outcomecount", "source_id, hour, outcome, count", lines)
