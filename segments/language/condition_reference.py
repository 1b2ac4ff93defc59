"""Conditions evaluated in Python: the reference that SQL (`condition_sql.py`) is held against."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cdp.core.patterns import pattern_matches
from segments.language.conditions import LISTS, ON_ELEMENTS, RELATIVE, Ago, Condition, Operand
from segments.language.fold import fold
from segments.language.values import (
    boolean_of,
    canonical,
    date_of,
    elements,
    instant_of,
    number_of,
    start_of_date,
    text_of,
)
from segments.language.zones import shift, to_local


@dataclass(frozen=True, slots=True)
class Clock:
    """The instant and zone in which conditions are evaluated."""

    now: datetime
    tz: ZoneInfo


def cast_value(value: Any, cast: str, tz: ZoneInfo) -> Any:
    """Cast a JSON value; None means that it counts as missing."""
    if cast == "string":
        return text_of(value)
    if cast == "number":
        return number_of(value)
    if cast == "boolean":
        return boolean_of(value)
    if cast == "datetime":
        return instant_of(value, tz)
    if cast == "date":
        return date_of(value, tz)
    return value


def satisfied(condition: Condition, found: list[Any], looked_up: list[Any], clock: Clock) -> bool:
    """Evaluate a condition.

    Parameters
    ----------
    found : list
        What lies at the path, nulls left out.
    looked_up : list
        What lies at the condition's reference, if it has one.
    """
    test = _test(condition, looked_up, clock)
    return any(test(value) for value in found) is not condition.negative


def resolved(operand: Operand, cast: str, clock: Clock) -> Any:
    """Return an operand as a value of the cast: times in the zone, `Ago` as the instant or date it means."""
    if isinstance(operand, Ago):
        moment = shift(clock.now, operand.duration, clock.tz, -1)
        return to_local(moment, clock.tz).date() if cast == "date" else moment
    if cast in {"datetime", "date"} and isinstance(operand, str):
        return cast_value(operand, cast, clock.tz)
    return operand


def _test(condition: Condition, looked_up: list[Any], clock: Clock) -> Callable[[Any], bool]:
    operator, cast, tz = condition.positive, condition.cast, clock.tz
    if condition.reference:
        many = operator in LISTS
        raw = [item for value in looked_up for item in (elements(value) if many else [value])]
        operands = [item for item in (cast_value(value, cast, tz) for value in raw) if item is not None]
    else:
        operands = [resolved(operand, cast, clock) for operand in condition.operands]
    if operator in {"exists", "filled"}:
        blank: tuple[Any, ...] = ("", []) if operator == "filled" else ()
        return lambda value: (read := cast_value(value, cast, tz)) is not None and read not in blank
    if operator in RELATIVE:
        return _relative_test(condition, clock)
    if operator == "anniversary":
        days = anniversary_days(condition, clock)
        return lambda value: (day := date_of(value, tz)) is not None and day.strftime("%m-%d") in days
    if operator == "matches":
        pattern = condition.pattern
        return lambda value: (
            (text := text_of(value)) is not None and pattern is not None and pattern_matches(pattern, text)
        )
    if cast == "list":
        wanted = canonical(list(condition.operands[0])) if condition.operands else None
        return lambda value: canonical(elements(value)) == wanted
    if operator in ON_ELEMENTS:
        enough = all if operator == "all_of" else any

        def on_elements(value: Any) -> bool:
            held = {cast_value(item, cast, tz) for item in elements(value) if item is not None}
            return bool(operands) and enough(operand in held for operand in operands)

        return on_elements
    if operator == "contains":
        return _contains_test(operands, cast, clock)
    compare = COMPARE[operator]
    return lambda value: (read := cast_value(value, cast, tz)) is not None and compare(read, operands)


COMPARE: dict[str, Callable[[Any, list[Any]], bool]] = {
    "eq": lambda read, operands: read in operands,
    "in": lambda read, operands: read in operands,
    "gt": lambda read, operands: any(read > operand for operand in operands),
    "gte": lambda read, operands: any(read >= operand for operand in operands),
    "lt": lambda read, operands: any(read < operand for operand in operands),
    "lte": lambda read, operands: any(read <= operand for operand in operands),
    "before": lambda read, operands: any(read < operand for operand in operands),
    "after": lambda read, operands: any(read > operand for operand in operands),
    "between": lambda read, operands: operands[0] <= read <= operands[1],
    "starts_with": lambda read, operands: any(fold(read).startswith(fold(operand)) for operand in operands),
    "ends_with": lambda read, operands: any(fold(read).endswith(fold(operand)) for operand in operands),
}


def _relative_test(condition: Condition, clock: Clock) -> Callable[[Any], bool]:
    duration = condition.duration
    assert duration is not None
    later = condition.operator == "in_next"
    low = clock.now if later else shift(clock.now, duration, clock.tz, -1)
    high = shift(clock.now, duration, clock.tz, 1) if later else clock.now

    def test(value: Any) -> bool:
        moment = moment_of(value, condition.cast, clock.tz)
        return moment is not None and low <= moment < high

    return test


def moment_of(value: Any, cast: str, tz: ZoneInfo) -> datetime | None:
    """Return the instant of a value; a date stands for its local midnight."""
    if cast == "date":
        day = date_of(value, tz)
        return None if day is None else start_of_date(day, tz)
    return instant_of(value, tz)


def anniversary_days(condition: Condition, clock: Clock) -> list[str]:
    """Return the days MM-DD on which an anniversary counts. 29 February falls on the 28th in common years."""
    today = to_local(clock.now, clock.tz).date()
    last = today + timedelta(days=1)
    if condition.duration:
        last = max(last, to_local(shift(clock.now, condition.duration, clock.tz, 1), clock.tz).date())
    days = []
    for ahead in range((last - today).days):
        day = today + timedelta(days=ahead)
        days.append(day.strftime("%m-%d"))
        if days[-1] == "02-28" and (day + timedelta(days=1)).month == 3:
            days.append("02-29")
    return sorted(set(days))


def _contains_test(operands: list[Any], cast: str, clock: Clock) -> Callable[[Any], bool]:
    if cast != "string":
        return lambda value: any(cast_value(item, cast, clock.tz) in operands for item in elements(value))
    wanted = [fold(operand) for operand in operands]

    def test(value: Any) -> bool:
        if isinstance(value, list):
            return any((text := text_of(item)) is not None and fold(text) in wanted for item in value)
        text = text_of(value)
        return text is not None and any(part in fold(text) for part in wanted)

    return test
