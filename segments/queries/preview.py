"""Who a definition would find, without saving anything."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import F

from segments.errors import PreviewTooSlow
from segments.language.check import check, references
from segments.language.compile import compile_segment
from segments.language.evaluate import sentence
from segments.language.parse import parse
from segments.language.person import Segment as Definition
from segments.models import Segment, SegmentVersion
from segments.queries.segments import has_match, installation_zone, parsed, read_catalogue, session_gap

SAMPLE = 10
SECONDS = 30
WORK_MEMORY = "128MB"
CANCELLED = "57014"


@dataclass(frozen=True, slots=True)
class Preview:
    """What a definition finds.

    Attributes
    ----------
    count : int
        How many profiles match.
    sample_ids : list of int
        Internal ids of some of them.
    sql : str
        The statement with its values, as it was run.
    """

    count: int
    sample_ids: list[int]
    sentence: str
    sql: str
    took_ms: int
    now: datetime


def preview(*, definition: Any, now: datetime, inline: bool = False, key: str | None = None) -> Preview:
    """Evaluate a definition over all profiles.

    Parameters
    ----------
    now : datetime
        The instant of the evaluation.
    inline : bool
        Evaluate segments that it refers to from their latest definition at the same `now`, rather than read their
        stored membership.
    key : str or None
        The segment that the definition is for, where it has one.

    Raises
    ------
    InvalidDefinition
        If the definition breaks a rule of the language, or refers to what does not exist.
    PreviewTooSlow
        If it takes longer than `SECONDS`.
    """
    found = parse(definition)
    check(found, read_catalogue(), key=key)
    compiled = compile_segment(
        found,
        now=now,
        installation_zone=installation_zone(),
        session_gap=session_gap(),
        inline=_referenced(found) if inline else None,
    )
    began = time.perf_counter()
    counting = f"select count(*), (array_agg(profile_id))[1:{SAMPLE}] from (\n{compiled.sql}\n) as members"
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"SET LOCAL work_mem = '{WORK_MEMORY}'; SET LOCAL jit = off; SET LOCAL statement_timeout = '{SECONDS}s'"
            )
            cursor.execute(counting, compiled.parameters)
            count, sample = cursor.fetchone()
            cursor.execute("SET LOCAL statement_timeout = DEFAULT")
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) != CANCELLED:
            raise
        message = f"The preview was stopped after {SECONDS} seconds. Narrow a window, or test fewer events."
        raise PreviewTooSlow(message) from error
    took_ms = round((time.perf_counter() - began) * 1000)
    return Preview(
        count, sorted(sample or []), sentence(found), statement_text(compiled.sql, compiled.parameters), took_ms, now
    )


def statement_text(sql: str, parameters: Any) -> str:
    """Return a statement with its values put in, as the driver does."""
    with connection.cursor() as cursor:
        text: bytes = cursor.cursor.mogrify(sql, parameters)
    return text.decode()


def _referenced(definition: Definition) -> dict[str, Definition]:
    """Return the latest definitions of all segments that a definition leads to."""
    rows = SegmentVersion.objects.filter(version=F("segment__version"), segment__status=Segment.Status.LIVE)
    latest = {key: parsed(text) for key, text in rows.values_list("segment__key", "definition") if has_match(text)}
    found: dict[str, Definition] = {}
    waiting = references(definition)
    while waiting:
        key = waiting.pop()
        if key in latest and key not in found:
            found[key] = latest[key]
            waiting |= references(latest[key])
    return found
