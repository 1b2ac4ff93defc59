"""Processing quarantined messages again, after the plan, a transformation or a rule was put right."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from django.db import connection, transaction

from cdp.core import locks
from cdp.core.copying import int_array, stamp
from ingestion.models import Message, Outcome, Quarantined, Source
from ingestion.services.archive import archive_accepted
from ingestion.services.counting import count_moves
from ingestion.services.prepare import Item, Request, Rules, prepare
from ingestion.services.process import load_rules, write_items
from ingestion.services.screen import judge_again
from ingestion.spec.soundness import pack

COPIES = """
UPDATE ingestion_message m SET copies = m.copies + t.n
FROM unnest(%s::int[], %s::bytea[], %s::int[]) AS t(s, h, n) WHERE m.source_id = t.s AND m.message_hash = t.h
"""
KEPT = Outcome.QUARANTINED.label


def count_rerun(cursor: Any, *, ids: Sequence[int]) -> Counter[str]:
    """Return what would become of quarantined messages now, by outcome; nothing is written."""
    rules = load_rules()
    items = [item for _, own in _prepared(_rows(ids), rules) for item in own]
    return Counter(Outcome(outcome).label for outcome in judge_again(cursor, items, rules))


def rerun(cursor: Any, *, ids: Sequence[int], now: datetime) -> Counter[str]:
    """Process quarantined messages again, as received when they were received; return what became of them.

    Parameters
    ----------
    ids : sequence of int
        Of rows in the quarantine. Those that still have a fault stay, with the fault of now.

    Notes
    -----
    Within the caller's transaction. A row gives way to the outcome of now, so nobody is told of a further copy, and the
    counts move with it.
    """
    locks.take(cursor, locks.IDENTITY)
    rules = load_rules()
    items: list[Item] = []
    leaving: list[Quarantined] = []
    found: Counter[str] = Counter()
    for row, own in _prepared(_rows(ids), rules):
        fault = next((item.fault for item in own if item.fault is not None), None)
        if fault is not None and len(own) == 1 and judge_again(cursor, own, rules) == [Outcome.QUARANTINED]:
            found[KEPT] += 1
            if fault.code != row.code:
                Quarantined.objects.filter(pk=row.pk).update(code=fault.code, detail=fault.message)
                Message.objects.filter(pk=row.pk).update(reason=fault.code)
            continue
        leaving.append(row)
        items += own
    if not leaving:
        return found
    gone = list(Message.objects.filter(pk__in=[row.pk for row in leaving]))
    # A whole request that could not be processed was counted with all its messages.
    counted = dict.fromkeys((row.pk for row in gone), 1) | _counted(leaving, items)
    count_moves(
        (row.source_id, row.received_at, Outcome.QUARANTINED, None) for row in gone for _ in range(counted[row.pk])
    )
    Message.objects.filter(pk__in=[row.pk for row in gone]).delete()
    screened, _ = write_items(cursor, items, rules, now=now)
    archive_accepted(cursor, screened, now=now)
    repeated = [row for row in gone if row.copies > 1]
    if repeated:
        cursor.execute(
            COPIES,
            [
                int_array(row.source_id for row in repeated),
                [bytes(row.message_hash) for row in repeated],
                int_array(row.copies - 1 for row in repeated),
            ],
        )
    found.update(Outcome(outcome).label for _, outcome in screened.outcomes)
    return found


def rerun_one(*, row_id: int, now: datetime) -> Counter[str]:
    """Process one quarantined message again."""
    with transaction.atomic(), connection.cursor() as cursor:
        return rerun(cursor, ids=[row_id], now=now)


def _rows(ids: Sequence[int]) -> list[Quarantined]:
    rows = Quarantined.objects.select_related("row").select_for_update(of=("self", "row")).filter(pk__in=list(ids))
    with transaction.atomic():
        return list(rows.order_by("pk"))


def _counted(rows: list[Quarantined], items: list[Item]) -> dict[int, int]:
    """Return how many messages each row stood for."""
    return Counter(item.request.id for item in items if item.request.id in {row.pk for row in rows})


def _prepared(rows: list[Quarantined], rules: Rules) -> list[tuple[Quarantined, list[Item]]]:
    sources = {source.id: source for source in Source.objects.all()}
    return [(row, prepare([_request(row, sources[row.source_id])], rules)) for row in rows]


def _request(row: Quarantined, source: Source) -> Request:
    """Return a request with the one message; the row's id stands for that of the inbox."""
    received_at = row.row.received_at
    payload = bytes(row.payload)
    endpoint = "batch"
    try:
        item = orjson.loads(payload)
    except orjson.JSONDecodeError:
        item = None
    if isinstance(item, dict) and "mergeProperties" in item and not item.get("type"):
        endpoint = "merge"
    elif not (isinstance(item, dict) and isinstance(item.get("batch"), list)):
        if isinstance(item, dict) and not item.get("messageId"):
            item["messageId"] = row.message_id
        payload = pack({"batch": [item]})
    return Request(row.pk, source, received_at, endpoint, payload, "", "", stamp(received_at))
