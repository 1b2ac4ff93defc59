"""Bringing the rows of a file in: chunk by chunk, each with its progress in one transaction.

A chunk goes the way of every message (`ingestion.services.process.write_items`): prepared without a lock, written under
the lock `IDENTITY`. Message ids are made from the import and the row's number, and the number of rows that are done is
compared and set with each chunk: a worker that died, or was believed dead, can neither lose nor repeat a row.
"""

import gc
import itertools
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection, transaction
from django.db.models import F

from cdp.core import locks
from cdp.core.connections import database_is_away
from cdp.core.copying import copy_rows, escape, int_array, stamp
from cdp.core.digests import LOOKUP_BYTES, identifier_digest
from cdp.core.errors import CdpError
from cdp.core.sealed_files import open_sealed
from cdp.core.services import audit
from ingestion.errors import ImportConflict
from ingestion.imports.cells import plain
from ingestion.imports.mapping import ColumnMapping, read_mapping
from ingestion.imports.reading import open_rows
from ingestion.imports.rows import Gone, ReadRow, RowContext, compile_mapping
from ingestion.imports.table import Row, Unreadable
from ingestion.models import Import, Outcome, RowOutcome, Source
from ingestion.services.import_undo import take_records_back
from ingestion.services.imports import end_import, shape_of
from ingestion.services.prepare import Item, Request, Rules, fill
from ingestion.services.process import POISON, load_rules, write_items
from ingestion.services.restating import restate_by
from ingestion.services.screen import Screened
from ingestion.spec.message import Fault, Message
from ingestion.spec.soundness import pack, storable
from profiles.identity.graph import Graph, find

log = logging.getLogger(__name__)

CHUNK = 1_500
# How long a thread may keep the interpreter while the other one's answer from the database has arrived.
SWITCH_SECONDS = 0.0005
# A step of the job ends after this long, so that other jobs get their turn.
STEP_SECONDS = 15.0
# Chunks between two collections of what points at itself.
COLLECT_EVERY = 50
MAX_PAYLOAD_BYTES = 64 * 1024
CODE = "processing_failed"
# Only this endpoint's kind matters: a fault of a single message is rejected, not quarantined.
ENDPOINT = "identify"
OUTCOMES = {
    Outcome.DUPLICATE: RowOutcome.DUPLICATE,
    Outcome.REJECTED: RowOutcome.REJECTED,
    Outcome.SUPPRESSED: RowOutcome.SUPPRESSED,
    # Only archives of messages can be held: they come in with the grant.
    Outcome.HELD: RowOutcome.UNCHANGED,
}


@dataclass(frozen=True, slots=True)
class Reader:
    """What reading the rows of one import takes."""

    source: Source
    columns: tuple[str, ...]
    mapping: ColumnMapping
    rules: Rules
    request: Request
    prefix: str
    read: ReadRow


@dataclass(frozen=True, slots=True)
class Prepared:
    """A row that was read: its number, its item, and the record that it takes back, if it does."""

    number: int
    row: Row
    item: Item
    gone: Gone | None


def run_import(*, import_id: int, clock: Callable[[], datetime], seconds: float = STEP_SECONDS) -> bool:
    """Bring rows in for some seconds.

    Returns
    -------
    bool
        True once the import is over; False: call again. False at once while another process is at it.
    """
    with connection.cursor() as cursor, locks.hold(cursor, locks.IMPORT + import_id, wait=False) as held:
        if not held:
            return False
        found = Import.objects.select_related("source").get(pk=import_id)
        if found.status not in (Import.Status.QUEUED, Import.Status.RUNNING):
            return True
        try:
            done = _run(found, clock, seconds)
        except ImportConflict:
            # Cancelled meanwhile.
            return True
        except CdpError as error:
            _end(import_id, Import.Status.FAILED, clock(), error=error.message)
            return True
        if done:
            _end(import_id, Import.Status.DONE, clock())
        return done


def make_reader(*, source: Source, mapping: ColumnMapping, found: Import) -> Reader:
    """Return what reads the rows of an import."""
    rules = load_rules()
    assert found.began_at is not None
    shape = shape_of(found)
    context = RowContext(
        source=source.key,
        prefix=f"import-{found.pk}-",
        began_at=found.began_at,
        max_bytes=source.max_event_bytes,
        rules=rules.by_kind.get(source.kind, rules.reading),
    )
    request = Request(0, source, found.began_at, ENDPOINT, b"", "", "", stamp(found.began_at))
    read = compile_mapping(mapping, columns=shape.columns, types=found.types, context=context)
    return Reader(source, shape.columns, mapping, rules, request, context.prefix, read)


def _run(found: Import, clock: Callable[[], datetime], seconds: float) -> bool:
    assert found.source is not None
    ends = time.monotonic() + seconds
    reader = make_reader(source=found.source, mapping=read_mapping(found.mapping), found=found)
    switching = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    # The objects of a chunk all live until its end: collecting among them finds nothing, again and again.
    gc.disable()
    try:
        with (
            open_sealed(found.file) as file,
            closing(open_rows(file, shape_of(found), start=found.rows)) as rows,
            # While the database writes one chunk the next one is read and prepared, which needs no database.
            ThreadPoolExecutor(1, thread_name_prefix="import") as ahead,
        ):
            coming = ahead.submit(_prepare_chunk, reader, rows, found.rows)
            for number in itertools.count(1):
                chunk = coming.result()
                if not chunk.rows:
                    return True
                over = time.monotonic() > ends
                if not over:
                    coming = ahead.submit(_prepare_chunk, reader, rows, chunk.position + len(chunk.rows))
                _bring_in(found.pk, reader, chunk, clock)
                if over:
                    return False
                if number % COLLECT_EVERY == 0:
                    gc.collect(1)
    finally:
        gc.enable()
        sys.setswitchinterval(switching)
    return True


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Rows after the first `position` ones; `prepared` None if this code could not handle one of them."""

    position: int
    rows: list[Row]
    prepared: list[Prepared] | None


def _prepare_chunk(reader: Reader, rows: Iterator[Row], position: int) -> _Chunk:
    chunk = list(itertools.islice(rows, CHUNK))
    try:
        return _Chunk(position, chunk, prepare_rows(reader, chunk, position))
    except POISON:
        return _Chunk(position, chunk, None)


def _bring_in(import_id: int, reader: Reader, chunk: _Chunk, clock: Callable[[], datetime]) -> None:
    try:
        if chunk.prepared is not None:
            _write(import_id, chunk.prepared, reader, chunk.position, clock())
            return
    except POISON as error:
        if database_is_away(error):
            raise
        log.warning("rows are brought in one by one: import %s, %s", import_id, type(error).__name__)
    for number, row in enumerate(chunk.rows, chunk.position + 1):
        _bring_in_alone(import_id, reader, row, number, clock())


def _bring_in_alone(import_id: int, reader: Reader, row: Row, number: int, now: datetime) -> None:
    """Bring one row in; one that this code cannot handle is rejected, and nothing stands behind it."""
    try:
        _write(import_id, prepare_rows(reader, [row], number - 1), reader, number - 1, now)
    except POISON as error:
        if database_is_away(error):
            raise
        log.warning("a row could not be imported: import %s, row %s, %s", import_id, number, type(error).__name__)
        fault = Fault(CODE, f"The row could not be processed ({type(error).__name__}).", f"import-{import_id}-{number}")
        refused = Prepared(number, None if isinstance(row, Unreadable) else row, _faulty(reader, fault), None)  # type: ignore[arg-type]
        _write(import_id, [refused], reader, number - 1, now)


def prepare_rows(reader: Reader, chunk: Sequence[Row], position: int) -> list[Prepared]:
    """Read rows, and turn those that are messages into what the resolver and COPY take."""
    prepared = []
    keeps_payload = bool(reader.source.required_purpose)
    is_mapped = reader.mapping.records != "messages"
    for number, row in enumerate(chunk, position + 1):
        payload = pack(row) if keeps_payload and isinstance(row, dict) else None
        said = reader.read(row, number)
        gone = None
        if isinstance(said, Message):
            item = Item(reader.request, said.message_id, payload)
            fill(item, said, reader.rules)
            if is_mapped and item.incoming is not None:
                # What is joined by it is joined by an import (`profiles.identity.resolve`).
                item.incoming.claim.rule = "import"
        elif isinstance(said, Gone):
            item, gone = Item(reader.request, f"{reader.prefix}{number}", None), said
        else:
            item = _faulty(reader, said)
        prepared.append(Prepared(number, row, item, gone))
    return prepared


def _faulty(reader: Reader, fault: Fault) -> Item:
    item = Item(reader.request, fault.message_id, None)
    item.fault = fault
    return item


def _write(import_id: int, prepared: list[Prepared], reader: Reader, position: int, now: datetime) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        items = [one.item for one in prepared]
        screened, graph = write_items(
            cursor, items, reader.rules, now=now, restate=restate_by(reader.mapping, reader.source.pk)
        )
        effects = judge_effects(reader, prepared, screened, graph)
        _take_records_back(cursor, import_id, reader, prepared, screened, now)
        _note_chunk(cursor, import_id, prepared, effects, screened)
        _note_refused(cursor, import_id, reader, prepared, effects, screened)
        if graph is not None:
            # Groups and their new identifiers point at each other, and nobody collects meanwhile.
            for node in graph.nodes.values():
                node.group.new_nodes.clear()
        counts = Counter(effects)
        moved = Import.objects.filter(
            pk=import_id, rows=position, status__in=(Import.Status.QUEUED, Import.Status.RUNNING)
        ).update(
            status=Import.Status.RUNNING,
            rows=position + len(prepared),
            **{one.label: F(one.label) + counts[one] for one in RowOutcome if counts[one]},
        )
        if not moved:
            message = "Another process brought these rows in, or the import was cancelled."
            raise ImportConflict(message)


def _take_records_back(
    cursor: Any, import_id: int, reader: Reader, prepared: list[Prepared], screened: Screened, now: datetime
) -> None:
    """Take back what imports of this source gave for the records that are gone."""
    gone = {
        identifier_digest(*one.gone.identifier[:2])[:LOOKUP_BYTES]: screened.rows[reader.source.pk, one.item.hash].id
        for one in prepared
        if one.gone is not None
    }
    if gone:
        take_records_back(cursor, source_id=reader.source.pk, gone=gone, import_id=import_id, now=now)


def judge_effects(
    reader: Reader, prepared: list[Prepared], screened: Screened, graph: Graph | None
) -> list[RowOutcome]:
    """Return what each row did to a profile, in order."""
    new_nodes = {node.id for node in graph.new_nodes} if graph is not None else set()
    merging = {id(merge.claim) for merge in graph.merges} if graph is not None else set()
    created: set[int] = set()
    met: set[int] = set()
    effects = []
    for one, (item, outcome) in zip(prepared, screened.outcomes, strict=True):
        incoming = item.incoming
        if outcome != Outcome.ACCEPTED:
            effects.append(OUTCOMES[Outcome(outcome)])
            continue
        if incoming is None:
            effects.append(RowOutcome.DELETED if one.gone is not None else RowOutcome.UNCHANGED)
            continue
        group = find(incoming.group)
        brings = new_nodes.intersection(incoming.node_ids) - met
        met.update(brings)
        if group.is_new and group.id not in created:
            created.add(group.id)
            effects.append(RowOutcome.CREATED)
        elif (
            reader.mapping.records != "profiles"
            or brings
            or id(incoming.claim) in merging
            or getattr(incoming, "changed", False)
        ):
            effects.append(RowOutcome.UPDATED)
        else:
            effects.append(RowOutcome.UNCHANGED)
    return effects


def _note_chunk(
    cursor: Any, import_id: int, prepared: list[Prepared], effects: list[RowOutcome], screened: Screened
) -> None:
    events = (
        item.incoming.event_id if item.incoming is not None and outcome == Outcome.ACCEPTED else 0
        for item, outcome in screened.outcomes
    )
    line = f"{import_id}\t{prepared[0].number}\t\\\\x{bytes(effects).hex()}\t{int_array(events)}\n"
    copy_rows(cursor, "ingestion_importchunk", "owner_id, first_row, outcomes, event_ids", [line])


def _note_refused(
    cursor: Any,
    import_id: int,
    reader: Reader,
    prepared: list[Prepared],
    effects: list[RowOutcome],
    screened: Screened,
) -> None:
    lines = []
    for one, effect in zip(prepared, effects, strict=True):
        fault = one.item.fault
        if effect is RowOutcome.REJECTED and fault is not None:
            code, detail, payload = fault.code, fault.message, row_json(reader.columns, one.row)
        elif effect is RowOutcome.SUPPRESSED:
            row = screened.rows.get((reader.source.pk, one.item.hash))
            code, detail, payload = row.reason if row is not None else "suppressed", "Its person is suppressed.", None
        else:
            continue
        held = "\\N" if payload is None else f"\\\\x{payload.hex()}"
        lines.append(f"{import_id}\t{one.number}\t{escape(code)}\t{escape(detail)}\t{held}\n")
    copy_rows(cursor, "ingestion_refusedrow", "owner_id, number, code, detail, payload", lines)


def row_json(columns: tuple[str, ...], row: Row) -> bytes | None:
    """Return a row as JSON, None if there is nothing that could be read or far too much."""
    if row is None or isinstance(row, Unreadable):
        return None
    cells = row if isinstance(row, dict) else dict(zip(columns, row, strict=False))
    found = orjson.dumps(storable({name: plain(value) for name, value in cells.items() if value not in (None, "")}))
    return found if len(found) <= MAX_PAYLOAD_BYTES else None


def _end(import_id: int, status: str, now: datetime, *, error: str = "") -> None:
    with transaction.atomic():
        found = Import.objects.select_for_update().get(pk=import_id)
        if found.status not in (Import.Status.QUEUED, Import.Status.RUNNING):
            return
        end_import(found, status=status, now=now, error=error)
        counts = {one.label: getattr(found, one.label) for one in RowOutcome if getattr(found, one.label)}
        audit.record(
            actor="system",
            action="import.finished" if status == Import.Status.DONE else "import.failed",
            object=f"import:{import_id}",
            detail={"rows": found.rows, **counts},
            now=now,
        )
