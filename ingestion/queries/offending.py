"""The messages behind a number of quality: found by the same functions that counted them, newest first."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Max, Min, QuerySet, Sum

from cdp.core.copying import int_array
from cdp.core.errors import FieldError, InvalidInput
from ingestion.models import Message, QualityCount, Source, TreatmentKind
from ingestion.quality.agreement import agree, is_comparable
from ingestion.quality.counting import EMPTY, Looked, kind_of
from ingestion.quality.delays import LATE_SECONDS
from ingestion.quality.rules import keeps_range, keeps_reference
from ingestion.quality.scores import Dimensions
from ingestion.queries.agreement import Statement, find_others
from ingestion.queries.events import NUMBERS, PAYLOAD_TYPES, looked_at
from ingestion.queries.field_rules import Held, read_rules
from ingestion.queries.known_values import find_known
from ingestion.queries.quality import Period
from ingestion.queries.treatments import find_version
from ingestion.treatment.cleaning import compile_cleaning
from ingestion.treatment.plans import PLANNED, compile_plan

DIMENSIONS = tuple(Dimensions.__dataclass_fields__)
MOST_FOUND = 50
# Messages are read in pieces of so many, and so many of them at most.
PIECE = 2_000
MOST_LOOKED = 20_000
# Ids are those of all sources: of one that sends seldom, so many are passed over at most.
MOST_PASSED = 500_000
KINDS = ("texts", "numbers", "booleans", "lists", "maps")
# What they find says nothing about the value.
NOT_ABOUT_VALUES = {"required", "unplanned_property", "not_allowed"}
READ = """
SELECT id, source_id, type, name, occurred_at, received_at,
    CASE WHEN type = ANY(%(traits)s::int[]) THEN traits ELSE properties END ::text, profile_id
FROM profiles_event
WHERE id >= %(first)s AND id <= %(last)s AND source_id = %(source)s
    AND (%(type)s::int IS NULL OR type = %(type)s) AND (%(event)s = '' OR name = %(event)s)
    AND received_at >= %(since)s AND received_at < %(until)s
ORDER BY id DESC LIMIT %(piece)s
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages: those that lower a dimension of a source, an event or a field, received in a period.

    `type` ``""``: of all types; then `event` and `field` are empty, too.
    """

    dimension: str
    since: datetime
    until: datetime
    type: str = ""
    event: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class Offender:
    """A message: the id of its row, when it came, what the field held (None: nothing), and what another source said."""

    row_id: int
    type: str
    event: str
    occurred_at: datetime
    received_at: datetime
    value: Any = None
    other: str = ""
    other_value: Any = None
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Offenders:
    """What was found among how many; `is_whole`: every message of the period was looked at."""

    rows: list[Offender]
    looked: int
    is_whole: bool


def read_wanted(given: Mapping[str, str], period: Period) -> Wanted:
    """Read which messages are asked for.

    Raises
    ------
    InvalidInput
        There is no such dimension or type, or the field is missing.
    """
    dimension, kind, event, field = (given.get(name, "") for name in ("dimension", "type", "event", "field"))
    faults = []
    if dimension not in DIMENSIONS:
        faults.append(("dimension", f"The dimension is one of {', '.join(DIMENSIONS)}."))
    elif dimension not in {"timeliness", "uniqueness"} and not (field and kind):
        faults.append(("field", "Name the type and the field."))
    if kind and kind not in PLANNED:
        faults.append(("type", f"The type is one of {', '.join(PLANNED)}."))
    if faults:
        errors = [FieldError(path=path, code=InvalidInput.code, message=message) for path, message in faults]
        raise InvalidInput(" ".join(message for _, message in faults), errors=errors)
    return Wanted(dimension, period.since, period.until, kind, event.replace("\0", ""), field.replace("\0", ""))


def find_offending(*, source: Source, wanted: Wanted, keys: dict[int, str]) -> Offenders:
    """Return up to 50 messages, newest first, among the newest 20 000 of the period that have been measured.

    Parameters
    ----------
    keys : dict
        Ids of all sources → their keys.
    """
    if wanted.dimension == "uniqueness":
        return _find_copies(source, wanted)
    if wanted.dimension == "consistency":
        return _search(source, wanted, lambda piece: _disagreeing(piece, wanted, keys))
    if wanted.dimension == "timeliness":
        return _search(source, wanted, _late)
    test = _test(source, wanted)
    return _search(source, wanted, lambda piece: test([one for one, _ in piece]))


Piece = Sequence[tuple[Looked, int]]
Test = Callable[[Sequence[Looked]], list[Offender]]


def _search(source: Source, wanted: Wanted, pick: Callable[[Piece], list[Offender]]) -> Offenders:
    found: list[Offender] = []
    looked = 0
    for piece in _pieces(source, wanted):
        looked += len(piece)
        found += pick(piece)
        if len(found) > MOST_FOUND:
            return Offenders(found[:MOST_FOUND], looked, is_whole=False)
        if looked >= MOST_LOOKED:
            return Offenders(found, looked, is_whole=False)
    return Offenders(found, looked, is_whole=True)


def _pieces(source: Source, wanted: Wanted) -> Iterator[Piece]:
    bounds = _counted(source, wanted).filter(field="").aggregate(first=Min("first_id"), last=Max("last_id"))
    if bounds["first"] is None:
        return
    first, last = max(bounds["first"], bounds["last"] - MOST_PASSED), bounds["last"]
    while last >= first:
        with connection.cursor() as cursor:
            cursor.execute(
                READ,
                {
                    "first": first,
                    "last": last,
                    "source": source.pk,
                    "type": NUMBERS.get(wanted.type),
                    "event": wanted.event,
                    "since": wanted.since,
                    "until": wanted.until,
                    "piece": PIECE,
                    "traits": int_array(PAYLOAD_TYPES),
                },
            )
            rows = cursor.fetchall()
        if rows:
            yield [(looked_at(row[:7]), row[7]) for row in rows]
        if len(rows) < PIECE:
            return
        last = rows[-1][0] - 1


def _counted(source: Source, wanted: Wanted) -> QuerySet[QualityCount]:
    rows = QualityCount.objects.filter(source_id=source.pk, hour__gte=wanted.since, hour__lt=wanted.until)
    return rows.filter(type=wanted.type, event=wanted.event) if wanted.type else rows


def _test(source: Source, wanted: Wanted) -> Test:
    """Return what picks, of some messages, those whose field lowers the dimension."""
    if wanted.dimension == "completeness":
        return lambda piece: [
            _offender(one, one.payload.get(wanted.field))
            for one in piece
            if kind_of(one.payload.get(wanted.field)) == EMPTY
        ]
    if wanted.dimension == "conformity":
        held = [
            one
            for one in read_rules(source_ids=[source.pk])
            if (one.rule.type, one.rule.event, one.rule.field) == (wanted.type, wanted.event, wanted.field)
        ]
        return lambda piece: _breaking(piece, held)
    return _invalid(source, wanted)


def _breaking(piece: Sequence[Looked], held: Sequence[Held]) -> list[Offender]:
    with connection.cursor() as cursor:
        known = find_known(cursor, held, piece)
    found = []
    for one in piece:
        for rule in (each.rule for each in held):
            value = one.payload.get(rule.field)
            if kind_of(value) == EMPTY:
                continue
            outside = rule.has_range and not keeps_range(rule, value)
            if outside or (rule.reference is not None and not keeps_reference(rule.reference, value, known)):
                found.append(_offender(one, value))
    return found


def _invalid(source: Source, wanted: Wanted) -> Test:
    """Return what picks values of an unusual kind, and those with which plan or cleaning in force find fault."""
    sums = _counted(source, wanted).filter(field=wanted.field).aggregate(**{name: Sum(name) for name in KINDS})
    kinds = [sums[name] or 0 for name in KINDS]
    usual = kinds.index(max(kinds))
    plan = find_version(source=source, kind=TreatmentKind.PLAN)
    cleaning = find_version(source=source, kind=TreatmentKind.CLEANING)
    judges: list[Callable[[Looked], list[Any]]] = []
    part = PLANNED.get(wanted.type, "properties")
    if plan is not None:
        judge = compile_plan(plan.definition).judge
        judges.append(lambda one: _findings(judge(one.type, one.event, *_parts(one, part), {})))
    if cleaning is not None:
        run = compile_cleaning(cleaning.definition).run
        judges.append(lambda one: run(_message(one, part), one.type))
    place = f"{part}.{wanted.field}"

    def is_invalid(one: Looked) -> bool:
        kind = kind_of(one.payload.get(wanted.field))
        if kind == EMPTY:
            return False
        return kind != usual or any(
            finding.rule not in NOT_ABOUT_VALUES and (finding.path + ".").startswith((f"{place}.", f"{place}[]"))
            for judge_one in judges
            for finding in judge_one(one)
        )

    return lambda piece: [_offender(one, one.payload[wanted.field]) for one in piece if is_invalid(one)]


def _findings(verdict: Any) -> list[Any]:
    return verdict.findings if verdict is not None else []


def _parts(one: Looked, part: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    # What a policy drops is taken out of a copy.
    copy = dict(one.payload)
    return (copy, None) if part == "properties" else ({}, copy)


def _message(one: Looked, part: str) -> dict[str, Any]:
    properties, traits = _parts(one, part)
    return {"event": one.event, "properties": properties, "traits": traits, "context": {}}


def _late(piece: Piece) -> list[Offender]:
    return [
        _offender(one, None) for one, _ in piece if (one.received_at - one.occurred_at).total_seconds() > LATE_SECONDS
    ]


def _disagreeing(piece: Piece, wanted: Wanted, keys: dict[int, str]) -> list[Offender]:
    calls = [(one, profile) for one, profile in piece if is_comparable(one.payload.get(wanted.field))]
    with connection.cursor() as cursor:
        others = find_others(
            cursor, [Statement(one.id, profile, one.source_id, one.occurred_at) for one, profile in calls]
        )
    return [
        _offender(one, one.payload[wanted.field], keys.get(other_id, ""), traits[wanted.field])
        for one, _ in calls
        for other_id, traits in others.get(one.id, ())
        if is_comparable(traits.get(wanted.field)) and not agree(one.payload[wanted.field], traits[wanted.field])
    ]


def _find_copies(source: Source, wanted: Wanted) -> Offenders:
    bounds = _counted(source, wanted).filter(field="").aggregate(first=Min("first_id"), last=Max("last_id"))
    if bounds["first"] is None:
        return Offenders([], 0, is_whole=True)
    first = max(bounds["first"], bounds["last"] - MOST_PASSED)
    rows = Message.objects.filter(
        id__gte=first,
        id__lte=bounds["last"],
        source_id=source.pk,
        copies__gt=1,
        received_at__gte=wanted.since,
        received_at__lt=wanted.until,
    ).order_by("-id")[: MOST_FOUND + 1]
    found = [
        Offender(one.pk, "", "", one.occurred_at or one.received_at, one.received_at, copies=one.copies) for one in rows
    ]
    return Offenders(found[:MOST_FOUND], bounds["last"] - first + 1, is_whole=len(found) <= MOST_FOUND)


def _offender(one: Looked, value: Any, other: str = "", other_value: Any = None) -> Offender:
    return Offender(one.id, one.type, one.event, one.occurred_at, one.received_at, value, other, other_value)
