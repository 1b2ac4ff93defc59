"""Trying an import: what each row would do, and the first faults. Nothing is written and no lock is taken."""

import itertools
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any

import orjson
from django.db import connection, transaction

from cdp.core.copying import bytea_array, int_array
from cdp.core.digests import LOOKUP_BYTES
from ingestion.imports.mapping import ColumnMapping
from ingestion.imports.reading import open_rows
from ingestion.imports.rows import Gone
from ingestion.imports.shape import FileShape
from ingestion.imports.table import Row
from ingestion.models import Import, RowOutcome, Source
from ingestion.services.import_rows import Prepared, Reader, make_reader, prepare_rows
from ingestion.services.imports import check_fits, shape_json
from ingestion.services.restating import restate_by
from ingestion.services.screen import find_suppressed
from profiles.queries.trait_rules import read_rules
from profiles.services.traits import apply_ruled, micros, normal_form
from profiles.survivorship.rules import Rules

CHUNK = 2_000
FIRST_FAULTS = 20
# The identifiers of earlier rows: as many as the file has, so they are kept by the database and not in memory.
SEEN = "CREATE TEMPORARY TABLE IF NOT EXISTS ingestion_trial (lookup bytea PRIMARY KEY) ON COMMIT DROP"
NOTE = "INSERT INTO ingestion_trial SELECT unnest(%s::bytea[]) ON CONFLICT DO NOTHING"
FIND_SEEN = "SELECT lookup FROM ingestion_trial WHERE lookup = ANY(%s::bytea[])"
FIND_KNOWN = "SELECT lookup, profile_id FROM profiles_identifier WHERE lookup = ANY(%s::bytea[])"
FIND_TRAITS = "SELECT id, traits::text, trait_meta::text FROM profiles_profile WHERE id = ANY(%s::bigint[])"


@dataclass(slots=True)
class Trial:
    """What an import would do.

    Attributes
    ----------
    rows : int
        How many were read.
    counts : dict
        Outcome → rows.
    faults : list of (int, str, str)
        Number, code and sentence of the first refused rows.
    complete : bool
        False if only the first rows were tried.
    """

    rows: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[int, str, str]] = field(default_factory=list)
    complete: bool = True


def try_import(  # noqa: PLR0913 - a file and what is to become of it
    *,
    file: IO[bytes],
    shape: FileShape,
    types: dict[str, str],
    source_key: str,
    mapping: ColumnMapping,
    now: datetime,
    most_rows: int | None = None,
) -> Trial:
    """Read a file as an import would, and tell what would become of its rows.

    Parameters
    ----------
    most_rows : int or None
        Stop after so many; None: read all.

    Returns
    -------
    Trial
        Rows that meet a profile which an earlier row would make count as updated.

    Raises
    ------
    InvalidImport
        The mapping does not fit, or the file is damaged.
    """
    check_fits(mapping, shape, source_key=source_key)
    source = Source.objects.filter(key=source_key).first() or Source(pk=0, key=source_key)
    reader = make_reader(
        source=source, mapping=mapping, found=Import(shape=shape_json(shape), types=types, began_at=now)
    )
    trial = Trial()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(SEEN)
        with closing(open_rows(file, shape)) as rows:
            while chunk := list(itertools.islice(rows, CHUNK)):
                if most_rows is not None and trial.rows >= most_rows:
                    trial.complete = False
                    break
                _try_chunk(cursor, reader, chunk, trial)
        cursor.execute("DROP TABLE ingestion_trial")
    return trial


def _try_chunk(cursor: Any, reader: Reader, chunk: Sequence[Row], trial: Trial) -> None:
    prepared = prepare_rows(reader, chunk, trial.rows)
    trial.rows += len(prepared)
    known, seen, suppressed = _look_up(cursor, prepared)
    traits = _read_traits(cursor, set(known.values()))
    rules = read_rules(cursor)
    for one in prepared:
        effect = _judge(reader, one, known, seen, suppressed, traits, rules)
        trial.counts[effect.label] += 1
        if one.item.fault is not None and len(trial.faults) < FIRST_FAULTS:
            trial.faults.append((one.number, one.item.fault.code, one.item.fault.message))
        seen.update(digest[:LOOKUP_BYTES] for digest in one.item.digests)
    cursor.execute(NOTE, [bytea_array(sorted(seen))])


def _look_up(cursor: Any, prepared: list[Prepared]) -> tuple[dict[bytes, int], set[bytes], set[bytes]]:
    digests = {digest for one in prepared for digest in one.item.digests}
    lookups = bytea_array(digest[:LOOKUP_BYTES] for digest in digests)
    cursor.execute(FIND_KNOWN, [lookups])
    known = {bytes(row[0]): row[1] for row in cursor.fetchall()}
    cursor.execute(FIND_SEEN, [lookups])
    seen = {bytes(row[0]) for row in cursor.fetchall()}
    return known, seen, find_suppressed([one.item for one in prepared])


def _read_traits(cursor: Any, profile_ids: set[int]) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
    cursor.execute(FIND_TRAITS, [int_array(profile_ids)])
    return {row[0]: (orjson.loads(row[1]), orjson.loads(row[2])) for row in cursor.fetchall()}


def _judge(  # noqa: PLR0913 - a row and all that is known
    reader: Reader,
    one: Prepared,
    known: dict[bytes, int],
    seen: set[bytes],
    suppressed: set[bytes],
    traits: dict[int, tuple[dict[str, Any], dict[str, Any]]],
    rules: Rules,
) -> RowOutcome:
    item = one.item
    if item.fault is not None:
        return RowOutcome.REJECTED
    if isinstance(one.gone, Gone):
        return RowOutcome.DELETED
    if suppressed and item.digests[0] in suppressed:
        return RowOutcome.SUPPRESSED
    lookups = [digest[:LOOKUP_BYTES] for digest in item.digests]
    holders = {known[lookup] for lookup in lookups if lookup in known}
    if not holders:
        return RowOutcome.UPDATED if seen.intersection(lookups) else RowOutcome.CREATED
    incoming = item.incoming
    assert incoming is not None
    changes = reader.mapping.records != "profiles" or len(holders) > 1 or any(one not in known for one in lookups)
    held = traits.get(next(iter(holders)))
    if held is not None and incoming.stated:
        restate = restate_by(reader.mapping, reader.source.pk)
        if restate is not None:
            restate(incoming, held[0])
        claim = incoming.claim
        said = [claim.source_id, micros(claim.occurred_at), micros(claim.received_at)]
        undecided: set[str] = set()
        names = apply_ruled(rules, *held, normal_form(incoming.stated or {}), said, undecided)
        changes = bool(names or undecided) or changes
    return RowOutcome.UPDATED if changes else RowOutcome.UNCHANGED
