"""Who a definition would find, without saving anything."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import F

from segments.errors import PreviewTooSlow
from segments.language.check import check, references
from segments.language.compile import Compiled, compile_segment
from segments.language.evaluate import sentence
from segments.language.parse import parse
from segments.language.person import Segment as Definition
from segments.language.plan import Setting
from segments.models import Segment, SegmentVersion
from segments.queries.segments import has_match, parsed, read_catalogue, read_setting

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
    definition: Definition


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
    tried = read_trial(definition=definition, now=now, inline=inline, key=key)
    compiled = tried.compile()
    began = time.perf_counter()
    counting = f"select count(*), (array_agg(profile_id))[1:{SAMPLE}] from (\n{compiled.sql}\n) as members"
    count, sample = ask(counting, compiled.parameters)[0]
    took_ms = round((time.perf_counter() - began) * 1000)
    sql = statement_text(compiled.sql, compiled.parameters)
    return Preview(count, sorted(sample or []), sentence(tried.definition), sql, took_ms, now, tried.definition)


@dataclass(frozen=True, slots=True)
class Trial:
    """A definition that is tried at an instant, with the segments that are evaluated in place."""

    definition: Definition
    now: datetime
    inline: Mapping[str, Definition]

    def compile(self, setting: Setting | None = None) -> Compiled:
        """Return the statement that finds its members; `setting` where it was read already."""
        return compile_segment(
            self.definition,
            now=self.now,
            setting=setting or read_setting(),
            inline=self.inline,
        )


def read_trial(*, definition: Any, now: datetime, inline: bool = False, key: str | None = None) -> Trial:
    """Read and check a definition that is to be tried; parameters and errors are those of `preview`."""
    found = parse(definition)
    check(found, read_catalogue(), key=key)
    return Trial(found, now, _referenced(found) if inline else {})


def find_members(*, trial: Trial, most: int) -> list[int]:
    """Return internal ids of some whom a definition finds."""
    compiled = trial.compile()
    found = ask(f"select profile_id from (\n{compiled.sql}\n) as members limit {most}", compiled.parameters)
    return sorted(row[0] for row in found)


def ask(sql: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run a statement that reads much, and is stopped after `SECONDS`.

    Raises
    ------
    PreviewTooSlow
        If it was.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"SET LOCAL work_mem = '{WORK_MEMORY}'; SET LOCAL jit = off; SET LOCAL statement_timeout = '{SECONDS}s'"
            )
            cursor.execute(sql, parameters)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            cursor.execute("SET LOCAL statement_timeout = DEFAULT")
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) != CANCELLED:
            raise
        message = f"The preview was stopped after {SECONDS} seconds. Narrow a window, or test fewer events."
        raise PreviewTooSlow(message) from error
    return rows


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
