"""Counting what messages hold: per source, hour and event, and of each field how often it came and as what.

One message is looked at once, in the order of its members; nothing of its values is kept but numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ingestion.quality.delays import BUCKETS, bucket_of
from ingestion.quality.rules import FieldRule, Known, keeps_range, keeps_reference, references_of
from ingestion.treatment.shapes import safe_name

# Places in the counts of a field.
TEXTS, NUMBERS, BOOLEANS, LISTS, OBJECTS, EMPTY, CHECKED, BROKEN, REFERRED, UNKNOWN = range(10)
PLACES = 10
KIND_NAMES = ("text", "number", "true or false", "list", "object")
FILLED = range(OBJECTS + 1)
MAX_FIELDS = 200
MAX_EVENTS = 300
_KINDS: dict[type, int] = {str: TEXTS, int: NUMBERS, float: NUMBERS, bool: BOOLEANS, list: LISTS, dict: OBJECTS}

Key = tuple[int, datetime, str, str]
"""Source, hour of receipt, type, and the name of a track (else "")."""
Rules = Mapping[tuple[int, str, str], Sequence[FieldRule]]
"""Source, type, event → rules."""


@dataclass(slots=True)
class Counts:
    """What was counted of one event in one hour.

    `fields` maps names to counts by place; `first_id` and `last_id` are those of its messages.
    """

    messages: int = 0
    first_id: int = 0
    last_id: int = 0
    delays: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    fields: dict[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Looked:
    """A message as it is looked at: `payload` are its properties, or the traits of an identify or group."""

    id: int
    source_id: int
    type: str
    event: str
    occurred_at: datetime
    received_at: datetime
    payload: dict[str, Any]


def kind_of(value: Any) -> int:
    """Return as what a value counts; null, blank texts, empty lists and empty objects are empty."""
    if value is None or (value.__class__ is str and (not value or value.isspace())):
        return EMPTY
    if value.__class__ in {list, dict} and not value:
        return EMPTY
    return _KINDS[value.__class__]


class Tally:
    """Counts of many messages."""

    def __init__(self, rules: Rules, known: Known) -> None:
        self._rules = rules
        self._known = known
        self._counts: dict[Key, Counts] = {}

    def add(self, one: Looked) -> None:
        """Count a message."""
        hour = one.received_at.replace(minute=0, second=0, microsecond=0)
        event = one.event if one.type == "track" else ""
        counts = self._counts.get((one.source_id, hour, one.type, event))
        if counts is None:
            counts = self._counts[one.source_id, hour, one.type, event] = Counts(first_id=one.id)
        counts.messages += 1
        counts.last_id = one.id
        counts.delays[bucket_of((one.received_at - one.occurred_at).total_seconds())] += 1
        fields = counts.fields
        for name, value in one.payload.items():
            cell = fields.get(name)
            if cell is None:
                cell = fields[name] = [0] * PLACES
            cell[kind_of(value)] += 1
        rules = self._rules.get((one.source_id, one.type, event))
        if rules:
            self._hold(rules, one.payload, fields)

    def _hold(self, rules: Sequence[FieldRule], payload: dict[str, Any], fields: dict[str, list[int]]) -> None:
        for rule in rules:
            value = payload.get(rule.field)
            if kind_of(value) == EMPTY:
                continue
            cell = fields[rule.field]
            if rule.has_range:
                cell[CHECKED] += 1
                cell[BROKEN] += not keeps_range(rule, value)
            if rule.reference is not None and references_of(value):
                cell[REFERRED] += 1
                cell[UNKNOWN] += not keeps_reference(rule.reference, value, self._known)

    def rows(self) -> dict[Key, Counts]:
        """Return the counts under names that may be kept: what looks like a value becomes ``*``, and joins others.

        Of more than 300 events of a source and hour, and more than 200 fields of an event, the most frequent are kept.
        """
        kept: dict[Key, Counts] = {}
        for (source_id, hour, kind, event), counts in self._counts.items():
            key = (source_id, hour, kind, safe_name(event) if event else "")
            into = kept.get(key)
            if into is None:
                into = kept[key] = Counts(first_id=counts.first_id)
            _join(into, counts)
        for counts in kept.values():
            counts.fields = _most(counts.fields, MAX_FIELDS, _presence)
        return _most_events(kept)


def _join(into: Counts, counts: Counts) -> None:
    into.messages += counts.messages
    into.first_id = min(into.first_id, counts.first_id)
    into.last_id = max(into.last_id, counts.last_id)
    into.delays = [one + other for one, other in zip(into.delays, counts.delays, strict=True)]
    for name, cell in counts.fields.items():
        safe = safe_name(name)
        before = into.fields.get(safe)
        into.fields[safe] = cell if before is None else [a + b for a, b in zip(before, cell, strict=True)]


def _presence(cell: list[int]) -> int:
    return sum(cell[: EMPTY + 1])


def _most(fields: dict[str, list[int]], most: int, size: Callable[[list[int]], int]) -> dict[str, list[int]]:
    if len(fields) <= most:
        return fields
    return dict(sorted(fields.items(), key=lambda one: (-size(one[1]), one[0]))[:most])


def _most_events(kept: dict[Key, Counts]) -> dict[Key, Counts]:
    seen: dict[tuple[int, datetime], int] = {}
    found: dict[Key, Counts] = {}
    for key, counts in sorted(kept.items(), key=lambda one: (-one[1].messages, one[0])):
        place = seen.get(key[:2], 0)
        if place < MAX_EVENTS:
            seen[key[:2]] = place + 1
            found[key] = counts
    return found
