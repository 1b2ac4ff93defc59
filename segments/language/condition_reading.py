"""Reading the operator, value and cast of a condition, with a fault for each that does not fit."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from cdp.core.patterns import PatternFault, parse_pattern
from segments.language.conditions import (
    CASTS,
    LISTS,
    MAX_ITEMS,
    OPERATORS,
    ORDERED,
    PRESENCE,
    RELATIVE,
    TEXTS,
    TIMES,
    Ago,
    Condition,
    Operand,
    Ref,
)
from segments.language.fold import normal
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
    parse_instant,
)


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
