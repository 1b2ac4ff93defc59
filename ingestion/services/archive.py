"""Keeping accepted messages as they were received, so that they can be looked at and replayed.

A request whose items were all accepted moves from the inbox to the archive in the statement that empties the inbox: its
body never travels. Of any other request only the accepted items are written: nothing is kept here of a message that
was suppressed, held or refused, nor of one from which something suppressed was dropped.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from cdp.core.copying import copy_rows, escape, int_array, stamp
from ingestion.models import Outcome
from ingestion.partitions import DAYS_AHEAD, OLDER, PARENT, archive_day, day_statements
from ingestion.services.prepare import Request
from ingestion.services.screen import DROPPED, Screened
from ingestion.spec.soundness import pack
from ingestion.spec.split import Batch, split_items
from ingestion.treatment.treatment import FIELDS_DROPPED

COLUMNS = "first_id, archived_at, last_id, received_at, source_id, endpoint, ip, user_agent, body"
EMPTY = "DELETE FROM ingestion_inbox WHERE id = ANY(%s::bigint[])"
MOVE = f"""
WITH gone AS (
    DELETE FROM ingestion_inbox WHERE id = ANY(%s::bigint[])
    RETURNING id, received_at, source_id, endpoint, ip, user_agent, body
)
INSERT INTO ingestion_archive ({COLUMNS})
SELECT t.first, %s, t.last, g.received_at, g.source_id, g.endpoint, g.ip, g.user_agent, g.body
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS t(id, first, last) JOIN gone g ON g.id = t.id
"""
# A browser's key is public; a server's must not lie about in the clear.
KEY_IN_BODY = b'"writeKey"'
KEY = "writeKey"
# What was dropped from a message must not stay here either.
NOT_KEPT = frozenset({DROPPED, FIELDS_DROPPED})
DAY = re.compile(r"ingestion_archive_d(\d{4})_(\d{2})_(\d{2})")
PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass"


@dataclass(slots=True)
class Run:
    """Accepted items of one request that stand side by side and whose ids do, too: positions and ids of both ends."""

    start: int
    first_id: int
    end: int
    last_id: int


def empty_inbox(cursor: Any, requests: list[Request], screened: Screened, *, now: datetime) -> None:
    """Delete processed requests from the inbox, and keep what was accepted of them.

    Parameters
    ----------
    requests : list of Request
        Those that `screened` tells of, in order.
    now : datetime
        The time of processing, as in the outcome rows.
    """
    ids = int_array(request.id for request in requests)
    if settings.CDP_ARCHIVE_DAYS <= 0:
        cursor.execute(EMPTY, [ids])
        return
    whole, parts = _divide(screened)
    if whole:
        cursor.execute(
            MOVE,
            [
                ids,
                now,
                int_array(request.id for request, _ in whole),
                int_array(run.first_id for _, run in whole),
                int_array(run.last_id for _, run in whole),
            ],
        )
    else:
        cursor.execute(EMPTY, [ids])
    archive_parts(cursor, parts, now=now)


def archive_accepted(cursor: Any, screened: Screened, *, now: datetime) -> None:
    """Keep what was accepted of requests that do not come from the inbox."""
    if settings.CDP_ARCHIVE_DAYS <= 0:
        return
    whole, parts = _divide(screened)
    archive_parts(cursor, [*((request, [run]) for request, run in whole), *parts], now=now)


def archive_parts(cursor: Any, parts: list[tuple[Request, list[Run]]], *, now: datetime) -> None:
    """Write runs of items, each as a request of its own."""
    at = stamp(now)
    lines = []
    for request, runs in parts:
        if not runs:
            continue
        batch = split_items(request.body, request.endpoint)
        sender = f"{escape(request.ip)}\t{escape(request.user_agent)}"
        endpoint = "merge" if batch.endpoint_type == "merge" else "batch"
        for run in runs:
            body = _body(batch, batch.items[run.start : run.end + 1])
            lines.append(
                f"{run.first_id}\t{at}\t{run.last_id}\t{request.received_text}\t{request.source.id}\t{endpoint}\t"
                f"{sender}\t\\\\x{body.hex()}\n"
            )
    copy_rows(cursor, PARENT, COLUMNS, lines)


def _divide(screened: Screened) -> tuple[list[tuple[Request, Run]], list[tuple[Request, list[Run]]]]:
    """Tell the requests that can be kept as they are from those of which parts are kept."""
    whole: list[tuple[Request, Run]] = []
    parts: list[tuple[Request, list[Run]]] = []
    accepted = Outcome.ACCEPTED
    request: Request | None = None
    runs: list[Run] = []
    position = 0
    for item, outcome in screened.outcomes:
        if item.request is not request:
            if request is not None:
                _sort(request, runs, position, whole, parts)
            request, runs, position = item.request, [], 0
        if outcome == accepted and item.incoming is not None and NOT_KEPT.isdisjoint(item.warnings):
            event_id = item.incoming.event_id
            last = runs[-1] if runs else None
            if last is not None and last.end == position - 1 and last.last_id == event_id - 1:
                last.end, last.last_id = position, event_id
            else:
                runs.append(Run(position, event_id, position, event_id))
        position += 1
    if request is not None:
        _sort(request, runs, position, whole, parts)
    return whole, parts


def _sort(
    request: Request,
    runs: list[Run],
    items: int,
    whole: list[tuple[Request, Run]],
    parts: list[tuple[Request, list[Run]]],
) -> None:
    if (
        len(runs) == 1
        and runs[0].end - runs[0].start == items - 1
        and (request.source.is_public or KEY_IN_BODY not in request.body)
    ):
        whole.append((request, runs[0]))
    elif runs:
        parts.append((request, runs))


def _body(batch: Batch, items: list[Any]) -> bytes:
    """Return items as a request of their own, with what they shared and without keys."""
    if batch.endpoint_type == "merge":
        return pack(_without_key(items[0]))
    shared: dict[str, Any] = {"batch": [_typed(_without_key(item), batch.endpoint_type) for item in items]}
    if batch.context:
        shared["context"] = batch.context
    if batch.integrations:
        shared["integrations"] = batch.integrations
    if batch.sent_at is not None:
        shared["sentAt"] = batch.sent_at.isoformat()
    return pack(shared)


def _without_key(item: Any) -> Any:
    return {name: value for name, value in item.items() if name != KEY} if isinstance(item, dict) else item


def _typed(item: Any, endpoint_type: str) -> Any:
    """Say what the path said, where the item itself does not."""
    return {**item, "type": item.get("type") or endpoint_type} if endpoint_type else item


def prepare_archive() -> None:
    """Make the partitions of the coming days."""
    keep_archive(timezone.now())


def keep_archive(now: datetime) -> None:
    """Make the partitions that will be needed, and drop the days whose time is up; all of them if none are kept."""
    today = now.astimezone(UTC).date()
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS, [PARENT])
        present = {row[0] for row in cursor.fetchall()}
    for offset in range(-1, DAYS_AHEAD + 1):
        day = today + timedelta(days=offset)
        if archive_day(day) not in present:
            with transaction.atomic(), connection.cursor() as cursor:
                for statement in day_statements(day):
                    cursor.execute(statement)
    # A day is dropped when its last message has been kept for long enough.
    oldest = today - timedelta(days=settings.CDP_ARCHIVE_DAYS)
    for name in present:
        match = DAY.fullmatch(name)
        if match and (day := date(*map(int, match.groups()))) < min(oldest, today - timedelta(days=1)):
            with connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE {archive_day(day)}")
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {OLDER} WHERE archived_at < %s", [now - timedelta(days=settings.CDP_ARCHIVE_DAYS)])
        if settings.CDP_ARCHIVE_DAYS <= 0:
            cursor.execute(f"DELETE FROM {PARENT}")
