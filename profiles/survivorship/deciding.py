"""Deciding among all statements about one trait: the winner, and why each of the others lost.

The answer depends on what was said, not on the order in which the statements are given. Moments are microseconds since
1970.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import total_ordering
from typing import Any

from profiles.survivorship.rules import (
    EARLIEST,
    EARLIEST_VALUE,
    FIRST_STAYS,
    FLOORED,
    LATEST_VALUE,
    LONGEST,
    MOST_FREQUENT,
    SET_ONCE,
    SOURCE_PRIORITY,
    VERIFIED_FIRST,
    Rule,
)

# How many of the newest statements are counted for the most frequent value.
COUNTED = 1_000

WINS = "wins"
REASONS: dict[str, str] = {
    WINS: "believed",
    "same": "says the same",
    "older": "said earlier",
    "received_earlier": "said at the same time and received earlier",
    "later": "said later than the one that stays",
    "weaker_source": "comes from a weaker source",
    "unverified": "not verified",
    "shorter": "shorter",
    "lower": "a smaller number, an earlier date, or not comparable with the one believed",
    "higher": "a greater number, a later date, or not comparable with the one believed",
    "rarer": "said less often, or not said last among those said as often",
    "unset": "took away what had been said before",
    "unset_since": "the trait was unset afterwards",
    "cannot_unset": "a value that is set once cannot be unset",
    "not_counted": f"not among the newest {COUNTED} statements, which are counted",
    "corrected": "a correction by hand stands above it",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """What one message said of one trait; None unsets it.

    `id` grows with the order in which statements were stored.
    """

    value: Any
    source_id: int
    occurred: int
    received: int
    id: int
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The place of the winner, None if nothing is believed; one reason for each statement.

    `floor` is the place of the last unset where unsets do not win or lose as other statements, None if there is none.
    """

    winner: int | None
    reasons: tuple[str, ...]
    floor: int | None = None


def decide(statements: Sequence[Statement], rule: Rule, ranks: Mapping[int, int]) -> Verdict:
    """Return which statement is believed.

    Parameters
    ----------
    ranks : mapping
        The strength of sources where they spoke at the same moment.

    Notes
    -----
    A winner may be an unset: then the trait is empty, because of it.
    """
    counted = list(range(len(statements)))
    floor = None
    reasons = [""] * len(statements)
    if rule.kind in FLOORED or rule.kind == SET_ONCE:
        unsets = [place for place in counted if statements[place].value is None]
        for place in unsets:
            reasons[place] = "cannot_unset" if rule.kind == SET_ONCE else "unset"
        counted = [place for place in counted if statements[place].value is not None]
        floor = max(unsets, key=lambda place: _moment(statements[place]), default=None)
        if floor is not None and rule.kind in FLOORED:
            end = _moment(statements[floor])
            for place in counted:
                if _moment(statements[place]) < end:
                    reasons[place] = "unset_since"
            counted = [place for place in counted if not reasons[place]]
    if rule.kind == MOST_FREQUENT:
        winner = _most_frequent(statements, counted, ranks, reasons)
    else:
        winner = max(counted, key=lambda place: _place_key(statements[place], rule, ranks), default=None)
    if winner is not None:
        best = statements[winner]
        said = canonical(best.value)
        for place in counted:
            if place == winner:
                reasons[place] = WINS
            elif not reasons[place]:
                other = statements[place]
                same = canonical(other.value) == said
                reasons[place] = "same" if same else _why(other, best, rule, ranks)
    return Verdict(winner, tuple(reasons), floor)


def canonical(value: Any) -> str:
    """Return a JSON value as one text, equal for equal values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def standing_key(  # noqa: PLR0913 - what a statement consists of
    rule: Rule, ranks: Mapping[int, int], value: Any, source_id: int, occurred: int, received: int, verified: bool
) -> tuple[Any, ...]:
    """Return what statements are compared by, the greatest wins; the most frequent cannot be told by this."""
    said = (occurred, ranks.get(source_id, 0), received)
    kind = rule.kind
    if kind == SOURCE_PRIORITY:
        return (rule.ranks.get(source_id, 0), *said)
    if kind == VERIFIED_FIRST:
        return (verified, *said)
    if kind in FIRST_STAYS:
        return (-occurred, ranks.get(source_id, 0), -received)
    if kind == LONGEST:
        return (length(value), *said)
    if kind in {LATEST_VALUE, EARLIEST_VALUE}:
        sort, comparable = comparable_form(value)
        return (sort, comparable if kind == LATEST_VALUE else _Descending(comparable), *said)
    return said


def length(value: Any) -> int:
    """Return how many characters a value has; other than text is measured as JSON."""
    return len(value) if isinstance(value, str) else len(canonical(value))


def comparable_form(value: Any) -> tuple[int, Any]:
    """Return the sort of a value and what it is compared by among its sort: dates, then numbers, then the rest."""
    if isinstance(value, str):
        moment = _read_moment(value)
        return (4, moment) if moment is not None else (1, value)
    if isinstance(value, bool):
        return 2, int(value)
    if isinstance(value, (int, float)):
        return 3, value
    return 0, canonical(value)


def _read_moment(text: str) -> float | None:
    """Return a date or time in ISO 8601 as a number; without a zone it is UTC."""
    if text[4:5] != "-" or not text[:4].isdigit():
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


@total_ordering
class _Descending:
    """Turns the order of values around."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and self.value == other.value

    def __lt__(self, other: "_Descending") -> bool:
        return bool(other.value < self.value)

    __hash__ = None  # type: ignore[assignment]  # only compared


def _moment(statement: Statement) -> tuple[int, int, int]:
    return statement.occurred, statement.received, statement.id


def _place_key(statement: Statement, rule: Rule, ranks: Mapping[int, int]) -> tuple[Any, ...]:
    said = statement
    key = standing_key(rule, ranks, said.value, said.source_id, said.occurred, said.received, said.verified)
    return (*key, -said.id if rule.kind in FIRST_STAYS else said.id)


def _recency(statement: Statement, ranks: Mapping[int, int]) -> tuple[int, ...]:
    return statement.occurred, ranks.get(statement.source_id, 0), statement.received, statement.id


def _most_frequent(
    statements: Sequence[Statement], counted: list[int], ranks: Mapping[int, int], reasons: list[str]
) -> int | None:
    newest = sorted(counted, key=lambda place: _recency(statements[place], ranks), reverse=True)
    for place in newest[COUNTED:]:
        reasons[place] = "not_counted"
    forms = {place: canonical(statements[place].value) for place in newest[:COUNTED]}
    counts = Counter(forms.values())
    # The newest of each value comes first, and of equally frequent ones the newest is taken.
    return max(forms, key=lambda place: counts[forms[place]], default=None)


def _why(other: Statement, best: Statement, rule: Rule, ranks: Mapping[int, int]) -> str:
    """Return why a counted statement lost against the winner."""
    kind = rule.kind
    lost = ""
    if kind == MOST_FREQUENT:
        lost = "rarer"
    elif kind == SOURCE_PRIORITY and rule.ranks.get(other.source_id, 0) < rule.ranks.get(best.source_id, 0):
        lost = "weaker_source"
    elif kind == VERIFIED_FIRST and best.verified and not other.verified:
        lost = "unverified"
    elif kind == LONGEST and length(other.value) < length(best.value):
        lost = "shorter"
    elif kind in {LATEST_VALUE, EARLIEST_VALUE} and comparable_form(other.value) != comparable_form(best.value):
        lost = "lower" if kind == LATEST_VALUE else "higher"
    elif kind in {EARLIEST, SET_ONCE} and other.occurred > best.occurred:
        lost = "later"
    if lost:
        return lost
    if other.occurred != best.occurred:
        return "older"
    if ranks.get(other.source_id, 0) != ranks.get(best.source_id, 0):
        return "weaker_source"
    return "later" if kind in FIRST_STAYS else "received_earlier"
