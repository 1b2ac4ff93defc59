"""Comparison of a value with an operator: shared by traits and by properties of events (rules 2, 3, 15, 18).

A condition is true or false, never unknown. Each negative operator is the complement of its positive twin, so it is
true for a missing value. Where a path crosses an array, a positive operator asks for any element.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from cdp.core.patterns import Part, PatternFault, parse_pattern, pattern_matches
from segments.language.durations import Duration
from segments.language.fold import fold, normal
from segments.language.reading import (
    fault,
    join,
    read_choice,
    read_duration,
    read_list,
    read_number,
    read_path,
    read_text,
    shown,
)
from segments.language.values import (
    boolean_of,
    canonical,
    date_of,
    elements,
    instant_of,
    number_of,
    parse_instant,
    start_of_date,
    text_of,
)
from segments.language.windows import earliest
from segments.language.zones import TICK, next_midnight, shift, steady_until, to_local

CASTS = ("string", "number", "boolean", "datetime", "date", "list")
NEGATIVE = {
    "ne": "eq",
    "not_in": "in",
    "not_contains": "contains",
    "none_of": "any_of",
    "missing": "exists",
    "empty": "filled",
}
OPERATORS = (
    *("eq", "ne", "in", "not_in", "gt", "gte", "lt", "lte", "between"),
    *("contains", "not_contains", "starts_with", "ends_with", "matches", "exists", "missing", "empty"),
    *("before", "after", "in_last", "in_next", "anniversary", "any_of", "all_of", "none_of"),
)
PRESENCE = ("exists", "missing", "empty")
RELATIVE = ("in_last", "in_next")
ORDERED = ("gt", "gte", "lt", "lte", "between")
TIMES = ("before", "after", *RELATIVE, "anniversary")
LISTS = ("in", "not_in", "any_of", "all_of", "none_of")
ON_ELEMENTS = ("any_of", "all_of", "none_of")
TEXTS = ("starts_with", "ends_with", "matches")
MAX_ITEMS = 10_000

WORDS = {
    "eq": "is",
    "ne": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "gt": "is more than",
    "gte": "is at least",
    "lt": "is less than",
    "lte": "is at most",
    "between": "is between",
    "contains": "contains",
    "not_contains": "does not contain",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "matches": "matches the pattern",
    "exists": "is known",
    "missing": "is not known",
    "empty": "is empty or not known",
    "before": "is before",
    "after": "is after",
    "in_last": "lies in the last",
    "in_next": "lies in the next",
    "anniversary": "has its anniversary",
    "any_of": "includes any of",
    "all_of": "includes all of",
    "none_of": "includes none of",
}


@dataclass(frozen=True, slots=True)
class Ago:
    """The instant that lies a duration before `now`."""

    duration: Duration


@dataclass(frozen=True, slots=True)
class Ref:
    """A value that is looked up: a trait of the person, or a property of an earlier step."""

    kind: str
    step: int
    path: tuple[str, ...]

    @property
    def text(self) -> str:
        """The reference as it was written."""
        return f"{'trait' if self.kind == 'trait' else f'step:{self.step}'}{':' if self.kind == 'trait' else '.'}" + (
            ".".join(self.path)
        )


Scalar = str | Decimal | bool | datetime | date
Operand = Any


@dataclass(frozen=True, slots=True)
class Condition:
    """An operator with its value.

    Attributes
    ----------
    operator : str
        The operator as written; `positive` is its positive twin.
    cast : str
        How values are read: one of `CASTS`, or `json` for presence.
    operands : tuple
        Scalars of the cast's Python type, ISO texts for times (their zone may be the profile's), `Ago`, or
        canonical JSON for lists.
    reference : Ref or None
        Where the operands come from, if they are looked up.
    duration : Duration or None
        Of in_last, in_next and anniversary.
    pattern : Part or None
        Of matches.
    raw : Any
        The value as written, for the sentence.
    """

    operator: str
    cast: str
    operands: tuple[Operand, ...] = ()
    reference: Ref | None = None
    duration: Duration | None = None
    pattern: Part | None = None
    raw: Any = None

    @property
    def positive(self) -> str:
        """The operator without its negation."""
        return NEGATIVE.get(self.operator, self.operator)

    @property
    def negative(self) -> bool:
        """Whether the condition is the complement of its positive twin."""
        return self.operator in NEGATIVE

    @property
    def agos(self) -> tuple[Duration, ...]:
        """Durations of the operands that move along with `now`."""
        return tuple(operand.duration for operand in self.operands if isinstance(operand, Ago))

    def words(self) -> str:
        """Return the condition in English, without its subject."""
        verb = WORDS[self.operator]
        if self.operator in PRESENCE:
            return verb
        if self.operator == "anniversary":
            return f"{verb} within {self.duration.words()}" if self.duration else f"{verb} today"
        if self.duration:
            return f"{verb} {self.duration.words()}"
        if self.reference:
            return f"{verb} the value of {self.reference.text}"
        shown_items = [item_words(item) for item in (self.raw if isinstance(self.raw, list) else [self.raw])]
        if self.operator == "between":
            return f"{verb} {shown_items[0]} and {shown_items[1]}"
        if len(shown_items) > 6:
            shown_items = [*shown_items[:5], f"{len(shown_items) - 5} more"]
        return f"{verb} {', '.join(shown_items)}"


def item_words(item: Any) -> str:
    """Show one operand in a sentence."""
    if isinstance(item, dict):
        return parse_words(item)
    if isinstance(item, str):
        return f"“{item}”"
    return shown(item)


def parse_words(item: Mapping[str, Any]) -> str:
    """Show `{"ago": …}` in a sentence."""
    return f"{read_duration(item.get('ago'), '').words()} ago"


# --- Reading ---------------------------------------------------------------------------------------------------------


def read_condition(data: Mapping[str, Any], path: str, *, steps: int = 0) -> Condition:
    """Read `op`, `value` and `cast` of an object whose keys were checked.

    Parameters
    ----------
    steps : int
        How many earlier steps `{"ref": "step:N.…"}` may name.
    """
    operator = read_choice(data.get("op"), join(path, "op"), OPERATORS)
    cast = read_choice(data["cast"], join(path, "cast"), CASTS) if data.get("cast") is not None else ""
    at = join(path, "value")
    value = data.get("value")
    if operator in PRESENCE:
        if value is not None:
            raise fault(at, "not_allowed", f"{operator} takes no value")
        return Condition(operator, cast or "json")
    if operator == "anniversary":
        _cast_allowed(cast, ("date", "datetime"), operator, path)
        duration = None if value is None else read_duration(value, at, limit=366)
        return Condition(operator, "date", duration=duration)
    if value is None:
        raise fault(at, "missing_key", f"{operator} needs a value (null is not one: use exists or missing)")
    if operator in RELATIVE:
        _cast_allowed(cast, ("date", "datetime"), operator, path)
        return Condition(operator, cast or "datetime", duration=read_duration(value, at), raw=value)
    if isinstance(value, dict) and set(value) == {"ref"}:
        if operator in {"between", "matches"}:
            raise fault(at, "not_allowed", f"{operator} takes no reference")
        return Condition(
            operator,
            _cast_for(operator, cast, None, path),
            reference=_read_ref(value["ref"], join(at, "ref"), steps),
            raw=value,
        )
    if operator == "matches":
        _cast_for(operator, cast, "string", path)
        try:
            pattern = parse_pattern(read_text(value, at))
        except PatternFault as found:
            raise fault(at, "invalid_pattern", str(found)) from found
        return Condition(operator, "string", pattern=pattern, raw=value)
    return _read_literal(operator, cast, value, path)


def _read_literal(operator: str, cast: str, value: Any, path: str) -> Condition:
    at = join(path, "value")
    many = operator in LISTS or operator == "between"
    if many and not isinstance(value, list):
        raise fault(at, "wrong_type", f"{operator} needs an array, not {shown(value)}")
    if operator == "between" and len(value) != 2:
        raise fault(at, "wrong_type", "between needs two values, the smaller first")
    if isinstance(value, list) and not many:
        if operator not in {"eq", "ne"} or cast not in {"", "list"}:
            raise fault(at, "wrong_type", f"{operator} needs a single value, not {shown(value)}")
        return Condition(operator, "list", operands=(_read_json(value, at),), raw=value)
    if cast == "list" and operator in {"eq", "ne"}:
        return Condition(operator, "list", operands=(_read_json([value], at),), raw=value)
    items = value if many else [value]
    kinds = {_kind(item) for item in items}
    if len(kinds) > 1 and not cast:
        raise fault(at, "wrong_type", "the values have different types; name the cast that they share")
    if cast == "list":
        cast = ""
        if len(kinds) > 1:
            raise fault(at, "wrong_type", "the values have different types")
    chosen = _cast_for(operator, cast, next(iter(kinds), "string"), path)
    if many:
        operands = read_list(
            value, at, lambda item, place: _read_operand(item, chosen, place, empty=True), most=MAX_ITEMS
        )
    else:
        operands = (_read_operand(value, chosen, at, empty=operator in {"eq", "ne"}),)
    if operator == "between":
        _check_order(operands, at)
    return Condition(operator, chosen, operands=operands, raw=value)


def _check_order(operands: tuple[Operand, ...], path: str) -> None:
    low, high = operands
    if isinstance(low, Ago) and isinstance(high, Ago):
        backwards = low.duration.approximate_days < high.duration.approximate_days
    elif isinstance(low, Decimal) and isinstance(high, Decimal):
        backwards = low > high
    elif isinstance(low, str) and isinstance(high, str):
        utc = ZoneInfo("UTC")
        first, last = parse_instant(low, utc), parse_instant(high, utc)
        backwards = first is not None and last is not None and first > last + timedelta(days=2)
    else:
        backwards = False
    if backwards:
        raise fault(path, "invalid_value", "between needs the smaller (earlier) value first")


def _kind(item: Any) -> str:
    if isinstance(item, bool):
        return "boolean"
    if isinstance(item, int | float | Decimal):
        return "number"
    if isinstance(item, dict) and set(item) == {"ago"}:
        return "datetime"
    return "string"


def _cast_allowed(cast: str, allowed: tuple[str, ...], operator: str, path: str) -> None:
    if cast and cast not in allowed:
        raise fault(join(path, "cast"), "not_allowed", f"{operator} works on {' or '.join(allowed)}, not on {cast}")


def _cast_for(operator: str, cast: str, kind: str | None, path: str) -> str:
    """Return the cast of an operator, explicit or by default, or say why it does not fit."""
    if operator in TIMES:
        _cast_allowed(cast, ("date", "datetime"), operator, path)
        return cast or "datetime"
    if operator in ORDERED:
        _cast_allowed(cast, ("number", "datetime", "date"), operator, path)
        chosen = cast or ("number" if kind is None else kind)
        if chosen not in {"number", "datetime"} and not cast:
            raise fault(
                join(path, "op"),
                "not_allowed",
                f"{operator} compares numbers or dates; give a number, or the cast date or datetime",
            )
        return chosen
    if operator in TEXTS:
        _cast_allowed(cast, ("string",), operator, path)
        return "string"
    if operator in {"contains", "not_contains"}:
        _cast_allowed(cast, ("string", "number", "boolean", "list"), operator, path)
        return (kind or "string") if cast in {"", "list"} else cast
    if cast == "list":
        return "string"
    return cast or kind or "string"


def _read_operand(item: Any, cast: str, path: str, *, empty: bool) -> Operand:
    if cast == "number":
        return read_number(item, path)
    if cast == "boolean":
        if not isinstance(item, bool):
            raise fault(path, "wrong_type", f"must be true or false, not {shown(item)}")
        return item
    if cast in {"datetime", "date"}:
        if isinstance(item, dict) and set(item) == {"ago"}:
            return Ago(read_duration(item["ago"], join(path, "ago")))
        if not isinstance(item, str) or parse_instant(item, ZoneInfo("UTC")) is None:
            raise fault(path, "invalid_time", f"{shown(item)} is not an ISO 8601 time such as 2026-01-31 or {{ago}}")
        return item
    return read_text(item, path, empty=empty)


def _read_json(value: list[Any], path: str) -> tuple[Any, ...]:
    if len(value) > MAX_ITEMS:
        raise fault(path, "limit", f"must have at most {MAX_ITEMS} items")
    for index, item in enumerate(value):
        place = f"{path}[{index}]"
        if isinstance(item, str):
            read_text(item, place, empty=True)
        elif isinstance(item, int | float | Decimal) and not isinstance(item, bool):
            read_number(item, place)
        elif not isinstance(item, bool):
            raise fault(place, "wrong_type", f"must be a string, number or boolean, not {shown(item)}")
    return tuple(normal(item) if isinstance(item, str) else item for item in value)


def _read_ref(value: Any, path: str, steps: int) -> Ref:
    text = read_text(value, path)
    if text.startswith("trait:"):
        return Ref("trait", 0, read_path(text.removeprefix("trait:"), path))
    head, _, rest = text.partition(".")
    number = head.removeprefix("step:")
    if head.startswith("step:") and number.isdecimal() and number.isascii() and rest:
        if int(number) >= steps:
            raise fault(path, "unknown_reference", f"there is no earlier step {number}")
        return Ref("step", int(number), read_path(rest, path))
    raise fault(path, "not_allowed", f"{shown(value)} is neither trait:NAME nor, in a sequence, step:N.PROPERTY")


# --- Reference evaluation --------------------------------------------------------------------------------------------


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


# --- When time alone changes the answer ------------------------------------------------------------------------------


def next_change(condition: Condition, found: list[Any], clock: Clock) -> datetime | None:
    """Return the next instant after `now` at which the condition could change by itself, between its runs."""
    if condition.cast == "date" and condition.operator not in RELATIVE:
        return None
    moments = [moment_of(value, condition.cast, clock.tz) for value in found] if moves(condition) else []
    changes: list[datetime] = []
    for moment in moments:
        if moment is not None:
            changes += _edges(condition, moment, clock)
    return earliest(changes)


def _edges(condition: Condition, moment: datetime, clock: Clock) -> list[datetime]:
    now = clock.now
    if condition.operator in RELATIVE:
        assert condition.duration is not None
        sign = 1 if condition.operator == "in_next" else -1
        distance = now - shift(now, condition.duration, clock.tz, sign)
        if sign == 1:
            edges = [moment + TICK if moment < now - distance else moment + distance + TICK]
        else:
            edges = [moment + TICK if moment >= now else moment + distance + TICK]
        return [edge for edge in edges if edge > now]
    edges = []
    for ago in condition.agos:
        edge = moment + (now - shift(now, ago, clock.tz, -1))
        edges += [edge] if edge > now else [edge + TICK] if edge + TICK > now else []
    return edges


def moves(condition: Condition) -> bool:
    """Tell whether single values cross an edge as time passes."""
    return bool(condition.agos) or condition.operator in RELATIVE


def runs_at(condition: Condition, clock: Clock) -> datetime | None:
    """Return when everyone has to be looked at again: midnights for dates, changes of the zone's offset."""
    if condition.operator == "anniversary" or (condition.cast == "date" and condition.agos):
        return next_midnight(clock.now, clock.tz)
    sign = 1 if condition.operator == "in_next" else -1
    durations = [*condition.agos, *([condition.duration] if condition.duration else [])]
    return earliest(steady_until(clock.now, duration, clock.tz, sign) for duration in durations)
