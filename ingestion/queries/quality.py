"""How good the messages of sources are: scores of a period, over time, and of each field, from what was counted."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from cdp.core.copying import int_array
from cdp.core.errors import FieldError, InvalidInput
from ingestion.models import Outcome, Source
from ingestion.quality.counting import KIND_NAMES
from ingestion.quality.delays import BUCKETS, count_late, percentile
from ingestion.quality.scores import (
    Dimensions,
    FieldCounts,
    SourceCounts,
    field_dimensions,
    field_score,
    is_usual,
    kept_frequency,
    score,
    source_dimensions,
)
from ingestion.queries.field_rules import Place, find_required
from ingestion.treatment.treatment import FILTERED

# Whether a field is usual is judged by this long a time.
USUAL_DAYS = 28
# The score that stands for a source is that of so many days.
SCORE_DAYS = 7
# Hours are kept so long, then they are folded into days.
HOURS_KEPT = timedelta(days=2)
MOST_DAYS = 400
HOUR, DAY = "hour", "day"
FILTERED_PLACE: Place = (FILTERED, "", "")
# Of a plan's finding, the first member of its path after properties or traits is the field.
COUNTS = """
SELECT source_id, CASE WHEN %(step)s = '' THEN %(since)s::timestamptz ELSE date_trunc(%(step)s, hour, 'UTC') END,
    type, event, field, sum(messages)::bigint, sum(texts)::bigint, sum(numbers)::bigint, sum(booleans)::bigint,
    sum(lists)::bigint, sum(maps)::bigint, sum(empty)::bigint, sum(checked)::bigint, sum(broken)::bigint,
    sum(referred)::bigint, sum(unknown)::bigint, array_agg(delays) FILTER (WHERE delays IS NOT NULL)
FROM ingestion_qualitycount
WHERE source_id = ANY(%(sources)s::int[]) AND hour >= %(since)s AND hour < %(until)s
GROUP BY 1, 2, 3, 4, 5
"""
FAULTS = """
SELECT source_id, CASE WHEN %(step)s = '' THEN %(since)s::timestamptz ELSE date_trunc(%(step)s, hour, 'UTC') END,
    type, event, rtrim(split_part(path, '.', 2), '[]'), action, sum(count)::bigint
FROM ingestion_finding
WHERE source_id = ANY(%(sources)s::int[]) AND hour >= %(since)s AND hour < %(until)s
    AND split_part(path, '.', 1) IN ('properties', 'traits') AND split_part(path, '.', 2) <> ''
    AND rule NOT IN ('required', 'unplanned_property', 'not_allowed')
GROUP BY 1, 2, 3, 4, 5, 6
"""
OUTCOMES = """
SELECT source_id, hour, outcome, sum(count)::bigint FROM ingestion_outcomecount
WHERE source_id = ANY(%(sources)s::int[]) AND hour >= %(since)s AND hour < %(until)s GROUP BY 1, 2, 3
"""
REFUSED = """
SELECT source_id, CASE WHEN %(step)s = '' THEN %(since)s::timestamptz
    ELSE date_trunc(%(step)s, created_at, 'UTC') END, count(*)
FROM profiles_refusal
WHERE source_id = ANY(%(sources)s::int[]) AND created_at >= %(since)s AND created_at < %(until)s GROUP BY 1, 2
"""
AGREED = """
SELECT source_id, other_id, CASE WHEN %(step)s = '' THEN %(since)s::timestamptz ELSE hour END, trait,
    sum(compared)::bigint, sum(agreed)::bigint
FROM ingestion_qualityagreement
WHERE source_id = ANY(%(sources)s::int[]) AND hour >= date_trunc('day', %(since)s::timestamptz, 'UTC')
    AND hour < %(until)s
GROUP BY 1, 2, 3, 4
"""
USUAL = """
SELECT source_id, type, event, field, sum(messages)::bigint, sum(texts + numbers + booleans + lists + maps)::bigint
FROM ingestion_qualitycount
WHERE source_id = ANY(%(sources)s::int[]) AND hour >= %(since)s AND hour < %(until)s GROUP BY 1, 2, 3, 4
"""


class _Field(NamedTuple):
    """Sums of a field, or of an event in `messages` and `delays`."""

    messages: int
    kinds: tuple[int, ...]
    empty: int
    checked: int
    broken: int
    referred: int
    unknown: int
    delays: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FieldQuality:
    """One field of one event: what was counted, and how good it is.

    Attributes
    ----------
    kind : str
        As what most of its values came; ``""`` without values.
    """

    type: str
    event: str
    field: str
    counts: FieldCounts
    empty: int
    dimensions: Dimensions
    score: float | None

    @property
    def kind(self) -> str:
        """As what most of the values came."""
        kinds = self.counts.kinds
        return KIND_NAMES[kinds.index(max(kinds))] if self.counts.filled else ""


@dataclass(frozen=True, slots=True)
class EventQuality:
    """One event: how many messages, how late; delays in seconds."""

    type: str
    event: str
    messages: int
    late: int
    p50_seconds: float | None
    p95_seconds: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often another source said the same of a trait."""

    other: str
    trait: str
    compared: int
    agreed: int


@dataclass(frozen=True, slots=True)
class Report:
    """The quality of a source in a period, `until` excluded.

    Attributes
    ----------
    series : list of (datetime, Dimensions, score)
        Over time: by hour or day; empty where only the sum was asked for.
    """

    source: Source
    since: datetime
    until: datetime
    counts: SourceCounts
    dimensions: Dimensions
    score: float | None
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    fields: list[FieldQuality] = field(default_factory=list)
    events: list[EventQuality] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)
    series: list[tuple[datetime, Dimensions, float | None]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing came in."""
        return not self.counts.received and not self.counts.measured


@dataclass(frozen=True, slots=True)
class Period:
    """What is asked for.

    Attributes
    ----------
    since, until : datetime
        Whole hours, or days where `step` is a day; the second is excluded.
    now : datetime
        An hour that has not ended by then does not count for the expected frequency.
    step : str
        ``hour`` or ``day`` for the course of time; ``""``: only the sum.
    """

    since: datetime
    until: datetime
    now: datetime
    step: str = ""

    @classmethod
    def covering(cls, *, since: datetime, until: datetime, now: datetime) -> "Period":
        """Return the whole hours, or days where hours are not kept any more, that cover a period.

        Raises
        ------
        InvalidInput
            It ends before it begins, or is longer than 400 days.
        """
        since = hour_of(since)
        is_recent = since >= hour_of(now - HOURS_KEPT)
        length = timedelta(hours=1) if is_recent else timedelta(days=1)
        if not is_recent:
            since = since.replace(hour=0)
        if not since < until <= since + timedelta(days=MOST_DAYS):
            message = f"A period ends after it begins, and has at most {MOST_DAYS} days."
            raise InvalidInput(message, errors=[FieldError(path="until", code=InvalidInput.code, message=message)])
        return cls(since, since + -((since - until) // length) * length, now, HOUR if is_recent else DAY)

    @property
    def ended(self) -> datetime:
        """Up to when hours have ended."""
        return min(self.until, hour_of(self.now))


def read_scores(*, sources: Sequence[Source], now: datetime) -> dict[int, float | None]:
    """Return the score of each source in the last 7 days (eight statements)."""
    until = hour_of(now) + timedelta(hours=1)
    period = Period(until - timedelta(days=SCORE_DAYS), until, now)
    return {one.source.pk: one.score for one in read_reports(sources=sources, period=period, keys={})}


def read_reports(*, sources: Sequence[Source], period: Period, keys: Mapping[int, str]) -> list[Report]:
    """Return the quality of sources in a period, in their order (eight statements).

    Parameters
    ----------
    keys : mapping
        Ids of all sources → their keys, for those with which values were compared.
    """
    counted = _read(sources, period)
    required = find_required(sources=sources)
    return [_report(one, counted, required.get(one.pk, set()), keys, period) for one in sources]


@dataclass(slots=True)
class _Counted:
    """What was read, by source; within it by moment, or by place and moment."""

    fields: dict[int, dict[datetime, dict[Place, _Field]]]
    faults: dict[int, dict[datetime, Counter[tuple[Place, str]]]]
    outcomes: dict[int, dict[datetime, Counter[int]]]
    refused: dict[int, Counter[datetime]]
    agreed: dict[int, dict[datetime, dict[tuple[int, str], tuple[int, int]]]]
    usual: dict[int, set[Place]]


def _read(sources: Sequence[Source], period: Period) -> _Counted:
    found = _Counted(
        defaultdict(lambda: defaultdict(dict)),
        defaultdict(lambda: defaultdict(Counter)),
        defaultdict(lambda: defaultdict(Counter)),
        defaultdict(Counter),
        defaultdict(lambda: defaultdict(dict)),
        defaultdict(set),
    )
    wanted: dict[str, Any] = {
        "sources": int_array(source.pk for source in sources),
        "since": period.since,
        "until": period.until,
        "step": period.step,
    }
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, wanted)
        for source_id, at, kind, event, name, *numbers, several in cursor.fetchall():
            delays = tuple(map(sum, zip(*several, strict=True))) if several else ()
            messages, *kinds, empty, checked, broken, referred, unknown = numbers
            counts = _Field(messages, tuple(kinds), empty, checked, broken, referred, unknown, delays)
            found.fields[source_id][at][kind, event, name] = counts
        cursor.execute(FAULTS, wanted)
        for source_id, at, kind, event, name, action, count in cursor.fetchall():
            found.faults[source_id][at][(kind, event, name), action] += count
        # By hour in any case: the expected frequency is judged by it.
        cursor.execute(OUTCOMES, wanted)
        for source_id, hour, outcome, count in cursor.fetchall():
            found.outcomes[source_id][hour][outcome] += count
        cursor.execute(REFUSED, wanted)
        for source_id, at, count in cursor.fetchall():
            found.refused[source_id][at] += count
        cursor.execute(AGREED, wanted)
        for source_id, other_id, at, trait, compared, agreed in cursor.fetchall():
            found.agreed[source_id][at][other_id, trait] = (compared, agreed)
        cursor.execute(USUAL, {**wanted, "since": min(period.since, period.until - timedelta(days=USUAL_DAYS))})
        _note_usual(found.usual, cursor.fetchall())
    return found


def _note_usual(usual: dict[int, set[Place]], rows: Iterable[tuple[Any, ...]]) -> None:
    messages: dict[tuple[int, str, str], int] = {}
    filled: list[tuple[int, Place, int]] = []
    for source_id, kind, event, name, count, values in rows:
        if name:
            filled.append((source_id, (kind, event, name), values))
        else:
            messages[source_id, kind, event] = count
    for source_id, place, values in filled:
        if is_usual(values, messages.get((source_id, *place[:2]), 0)):
            usual[source_id].add(place)


def _report(source: Source, counted: _Counted, required: set[Place], keys: Mapping[int, str], period: Period) -> Report:
    fields, faults = counted.fields[source.pk], counted.faults[source.pk]
    expected = required | counted.usual[source.pk]
    agreed = counted.agreed[source.pk]
    sums, fault_sums, agreed_sums = _sum_fields(fields.values()), _sum(faults.values()), _sum_agreed(agreed.values())
    whole = _field_counts(sums, fault_sums, _by_trait(agreed_sums), expected)
    outcomes = counted.outcomes[source.pk]
    kept = _kept(source, outcomes, period.since, period.ended)
    counts = _source_counts(source, sums, _sum(outcomes.values()), counted.refused[source.pk].total(), kept)
    dimensions = source_dimensions(counts, list(whole.values()))
    delays = _delays(source, sums)
    return Report(
        source=source,
        since=period.since,
        until=period.until,
        counts=counts,
        dimensions=dimensions,
        score=score(dimensions),
        p50_seconds=percentile(delays, 0.5),
        p95_seconds=percentile(delays, 0.95),
        fields=_fields(whole, sums),
        events=_events(sums),
        agreements=[
            Agreement(keys.get(other_id, ""), trait, compared, same)
            for (other_id, trait), (compared, same) in sorted(agreed_sums.items())
        ],
        series=_series(source, counted, expected, period) if period.step else [],
    )


def _series(
    source: Source, counted: _Counted, expected: set[Place], period: Period
) -> list[tuple[datetime, Dimensions, float | None]]:
    length = timedelta(hours=1) if period.step == HOUR else timedelta(days=1)
    outcomes: defaultdict[datetime, Counter[int]] = defaultdict(Counter)
    for hour, one in counted.outcomes[source.pk].items():
        outcomes[period.since + (hour - period.since) // length * length].update(one)
    series = []
    at = period.since
    while at < period.until:
        end = at + length
        sums = counted.fields[source.pk].get(at, {})
        agreed = _by_trait(counted.agreed[source.pk].get(at, {}))
        whole = _field_counts(sums, counted.faults[source.pk].get(at, Counter()), agreed, expected)
        past = max(period.since, at - timedelta(hours=_hours_expected(source) - 1))
        kept = _kept(source, counted.outcomes[source.pk], past, min(end, period.ended))
        counts = _source_counts(source, sums, outcomes[at], counted.refused[source.pk][at], kept)
        dimensions = source_dimensions(counts, list(whole.values()))
        series.append((at, dimensions, score(dimensions)))
        at = end
    return series


def _field_counts(
    sums: Mapping[Place, _Field],
    faults: Counter[tuple[Place, str]],
    agreed: Mapping[str, tuple[int, int]],
    expected: set[Place],
) -> dict[Place, FieldCounts]:
    """Return the counts of each field that came or should have come."""
    events = {(kind, event): one.messages for (kind, event, name), one in sums.items() if not name}
    places = {place for place in sums if place[2]}
    places |= {place for place in expected if place[:2] in events}
    stopped = {place: sum(faults[place, action] for action in ("drop", "quarantine")) for place in places}
    found = {}
    for place in sorted(places):
        one = sums.get(place)
        compared, same = agreed.get(place[2], (0, 0)) if place[0] == "identify" else (0, 0)
        found[place] = FieldCounts(
            messages=events.get(place[:2], 0),
            kinds=one.kinds if one else (),
            faults=faults[place, "allow"],
            stopped=stopped[place],
            checked=one.checked if one else 0,
            broken=one.broken if one else 0,
            referred=one.referred if one else 0,
            unknown=one.unknown if one else 0,
            compared=compared,
            agreed=same,
            is_expected=place in expected,
        )
    return found


def _source_counts(
    source: Source, sums: Mapping[Place, _Field], outcomes: Counter[int], refused: int, kept: float | None
) -> SourceCounts:
    delays = _delays(source, sums)
    filtered = sums[FILTERED_PLACE].messages if FILTERED_PLACE in sums else 0
    return SourceCounts(
        received=outcomes.total(),
        duplicates=outcomes[Outcome.DUPLICATE],
        faulty=max(0, outcomes[Outcome.REJECTED] + outcomes[Outcome.QUARANTINED] - filtered),
        refused=refused,
        measured=sum(delays),
        late=count_late(delays),
        kept=kept,
    )


def _fields(whole: Mapping[Place, FieldCounts], sums: Mapping[Place, _Field]) -> list[FieldQuality]:
    found = []
    for (kind, event, name), counts in whole.items():
        dimensions = field_dimensions(counts)
        one = sums.get((kind, event, name))
        found.append(FieldQuality(kind, event, name, counts, one.empty if one else 0, dimensions, field_score(counts)))
    return found


def _events(sums: Mapping[Place, _Field]) -> list[EventQuality]:
    found = [
        EventQuality(
            kind, event, one.messages, count_late(one.delays), percentile(one.delays, 0.5), percentile(one.delays, 0.95)
        )
        for (kind, event, name), one in sums.items()
        if not name and kind != FILTERED
    ]
    return sorted(found, key=lambda one: (-one.messages, one.type, one.event))


def _sum_fields(several: Iterable[Mapping[Place, _Field]]) -> dict[Place, _Field]:
    found: dict[Place, _Field] = {}
    for one in several:
        for place, counts in one.items():
            before = found.get(place)
            found[place] = counts if before is None else _add(before, counts)
    return found


def _add(one: _Field, other: _Field) -> _Field:
    return _Field(
        one.messages + other.messages,
        tuple(map(sum, zip(one.kinds, other.kinds, strict=True))),
        one.empty + other.empty,
        one.checked + other.checked,
        one.broken + other.broken,
        one.referred + other.referred,
        one.unknown + other.unknown,
        tuple(map(sum, zip(one.delays, other.delays, strict=True))) if one.delays and other.delays else one.delays,
    )


def _sum(several: Iterable[Counter[Any]]) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for one in several:
        found.update(one)
    return found


def _sum_agreed(
    several: Iterable[Mapping[tuple[int, str], tuple[int, int]]],
) -> dict[tuple[int, str], tuple[int, int]]:
    found: dict[tuple[int, str], tuple[int, int]] = {}
    for one in several:
        for key, (compared, agreed) in one.items():
            before = found.get(key, (0, 0))
            found[key] = (before[0] + compared, before[1] + agreed)
    return found


def _by_trait(agreed: Mapping[tuple[int, str], tuple[int, int]]) -> dict[str, tuple[int, int]]:
    return {
        trait: counts
        for (_, trait), counts in _sum_agreed({(0, trait): one} for (_, trait), one in agreed.items()).items()
    }


def _delays(source: Source, sums: Mapping[Place, _Field]) -> list[int]:
    """Return the delays of all events. What a file brings in happened long ago: nothing is said about that."""
    found = [0] * BUCKETS
    if source.kind != Source.Kind.IMPORT:
        for one in sums.values():
            for place, count in enumerate(one.delays):
                found[place] += count
    return found


def hour_of(at: datetime) -> datetime:
    """Return the beginning of an hour (UTC)."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _hours_expected(source: Source) -> int:
    return max(1, -(-(source.expected_every_minutes or 1) // 60))


def _kept(source: Source, outcomes: Mapping[datetime, Counter[int]], since: datetime, until: datetime) -> float | None:
    """Return how well the expected frequency was kept from the making of the source on."""
    if source.expected_every_minutes is None:
        return None
    begins = max(since, hour_of(source.created_at))
    marks = [begins + timedelta(hours=n) for n in range(max(0, (until - begins) // timedelta(hours=1)))]
    hourly = [outcomes[at].total() if at in outcomes else 0 for at in marks]
    return kept_frequency(hourly, source.expected_every_minutes)
