"""Conditions as SQL: the twin of the reference in `condition_reference.py`."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from cdp.core.patterns import postgres_pattern
from segments.language.condition_reference import Clock, anniversary_days, resolved
from segments.language.condition_times import moves
from segments.language.conditions import LISTS, ON_ELEMENTS, RELATIVE, Condition, Ref
from segments.language.durations import Duration
from segments.language.fold import FOLD_FROM, FOLD_TO, fold
from segments.language.plan import TICK_SQL, Frame, Leaf, Rows
from segments.language.zones import shift

# Text that is the same before and after normalisation and cannot be the text of a number, boolean, array or object:
# comparing it needs no cast. K is left out for the Kelvin sign, whose normal form is the letter.
_PLAIN = re.compile(r"(?!(true|false)$)[A-JL-Za-z][A-JL-Za-z0-9 _.@+-]*")
_NUMBER_LIKE = re.compile(r"-?[0-9]+([.][0-9]+)?|true|false")
_OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "before": "<", "after": ">", "eq": "=", "in": "="}


# What the text of a number or boolean can hold. Other needles occur in strings, and in the text of arrays, only.
_IN_SCALARS = re.compile(r"[0-9.-]*|[true]*|[false]*")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value lies: a path inside a JSON expression.

    Attributes
    ----------
    normal : bool
        Whether its texts are known to be in normal form C (traits are, properties are kept as sent).
    number : str
        The number at the place as an expression of its own, where there is always one.
    """

    base: str
    path: tuple[str, ...]
    normal: bool = False
    number: str = ""


def rows_at(place: Place, frame: Frame, alias: str, *, each: bool = False) -> str:
    """Return a FROM item `alias(v)` of the values at a place; with `each`, of the elements of arrays too."""
    if len(place.path) == 1:
        found = f"(select {single(place, frame)} as v) as {alias}"
    else:
        found = (
            f"jsonb_path_query({place.base}, {frame.plan.bind(json_path(place.path), 'path')}::jsonpath) as {alias}(v)"
        )
    if not each:
        return found
    whole = found.replace(f" as {alias}", f" as {alias}_all")
    return f"{whole}, jsonb_array_elements(cdp_elements({alias}_all.v)) as {alias}(v)"


def single(place: Place, frame: Frame) -> str:
    """Return the value at a path of one name."""
    return f"{place.base} -> {frame.plan.bind(place.path[0], place.path[0])}"


def as_text(v: str) -> str:
    """Return a JSON value as PostgreSQL's own text: of a string the string itself."""
    return re.sub(r" -> (%\(\w+\)s)$", r" ->> \1", v) if " -> " in v else f"{v} #>> '{{}}'"


def json_path(path: tuple[str, ...]) -> str:
    """Return the SQL/JSON path: lax, so that it goes into arrays."""
    return "lax $" + "".join(f".{json.dumps(part)}" for part in path)


def condition_sql(
    condition: Condition,
    place: Place,
    frame: Frame,
    rows: Rows,
    look_up: Callable[[Ref], Place],
) -> Leaf:
    """Compile a condition on the value at a place.

    Parameters
    ----------
    rows : Rows
        The rows that the expression will stand in.
    look_up : callable
        Gives the place of a reference.

    Returns
    -------
    Leaf
        A test that is never null.
    """
    writer = _Writer(condition, place, frame, rows, look_up)
    return Leaf(writer.test(), writer.next_at() if frame.plan.timed and moves(condition) else None)


@dataclass(frozen=True, slots=True)
class _Writer:
    condition: Condition
    place: Place
    frame: Frame
    rows: Rows
    look_up: Callable[[Ref], Place]

    def test(self) -> str:
        if len(self.place.path) == 1:
            positive = self.positive(single(self.place, self.frame))
        else:
            found = rows_at(self.place, self.frame, "c")
            positive = f"exists (select 1 from {found} where {self.positive('c.v')})"
        return f"({positive}) is not true" if self.condition.negative else positive

    def bind(self, value: Any) -> str:
        return self.frame.plan.bind(value, self.place.path[-1])

    def zoned(self, value: Callable[[ZoneInfo], Any], kind: str) -> str:
        return self.frame.per_zone(self.rows, value, kind, self.place.path[-1])

    def clock(self, tz: ZoneInfo) -> Clock:
        return Clock(self.frame.plan.now, tz)

    def cast(self, value: str) -> str:
        cast = self.condition.cast
        if cast in {"datetime", "date"}:
            zone = self.frame.zone_sql(self.rows)
            instant = f"cdp_instant({as_text(value)}, {zone})"
            return instant if cast == "datetime" else f"({instant} at time zone {zone})::date"
        # Elements, and what a reference leads to, lie elsewhere.
        if cast == "number" and self.place.number and value.startswith(self.place.base):
            return self.place.number
        names = {"string": "cdp_text", "number": "cdp_number", "boolean": "cdp_boolean"}
        return f"{names[cast]}({value})" if cast in names else value

    def operands(self) -> list[str]:
        cast = self.condition.cast
        kind = {"datetime": "timestamptz", "date": "date"}.get(cast, "")
        texts = []
        for operand in self.condition.operands:
            if kind:
                texts.append(self.zoned(partial(self.resolve, operand), kind))
            else:
                texts.append(self.bind(operand))
        return texts

    def resolve(self, operand: Any, tz: ZoneInfo) -> Any:
        return resolved(operand, self.condition.cast, self.clock(tz))

    def positive(self, v: str) -> str:  # noqa: PLR0912 - one branch per family of operators
        condition, operator, cast = self.condition, self.condition.positive, self.condition.cast
        if operator in {"exists", "filled"}:
            return self.presence(v)
        if operator in RELATIVE:
            low, high = self.relative_bounds()
            moment = self.moment(v)
            return f"{moment} >= {low} and {moment} < {high}"
        if operator == "anniversary":
            day = f"to_char({self.cast(v)}, 'MM-DD')"
            days = self.zoned(lambda tz: ",".join(anniversary_days(condition, self.clock(tz))), "text")
            return f"{day} = any(string_to_array({days}, ','))"
        if operator == "matches":
            assert condition.pattern is not None
            return f'cdp_text({v}) collate "C" ~ {self.bind(postgres_pattern(condition.pattern))}'
        if condition.reference:
            return self.against_reference(v, condition.reference)
        if cast == "list":
            return f"cdp_list({v}) = {self.bind(json.dumps(condition.operands[0], default=float))}::jsonb"
        if operator in ON_ELEMENTS:
            return self.on_elements(v)
        if operator == "contains":
            return self.contains(v)
        if operator in {"starts_with", "ends_with"}:
            needle = fold(condition.operands[0])
            if self.is_only_in_strings(needle):
                inside = self.affix(self.folded(as_text(v), needle), self.bind(needle), len(needle))
                return f"{inside} and jsonb_typeof({v}) = 'string'"
            return self.affix(self.folded(f"cdp_text({v})", needle), self.bind(needle), len(needle))
        if operator == "between":
            low, high = self.operands()
            return f"{self.cast(v)} between {low} and {high}"
        if cast == "string" and operator in {"eq", "in"}:
            return self.text_equals(v)
        if operator == "in" and cast in {"number", "boolean"}:
            return f"{self.cast(v)} = any({self.bind(list(condition.operands))})"
        value = self.cast(v)
        tests = [f"{value} {_OPERATORS[operator]} {operand}" for operand in self.operands()]
        return tests[0] if len(tests) == 1 else f"({' or '.join(tests)})"

    def presence(self, v: str) -> str:
        cast = self.condition.cast
        filled = self.condition.positive == "filled"
        if cast in {"json", "list"}:
            known = f"jsonb_typeof({v}) <> 'null'"
            return f"""{known} and {v} not in ('""'::jsonb, '[]'::jsonb)""" if filled else known
        if cast == "string" and filled:
            return f"cdp_text({v}) <> ''"
        return f"{self.cast(v)} is not null"

    def text_equals(self, v: str) -> str:
        wanted = list(self.condition.operands)
        if all(_PLAIN.fullmatch(text) for text in wanted):
            return self.equals(as_text(v), wanted)
        if self.place.normal and not any(_NUMBER_LIKE.fullmatch(text) for text in wanted):
            values = [json.dumps(text, ensure_ascii=False) for text in wanted]
            if len(values) == 1:
                return f"{v} = {self.bind(values[0])}::jsonb"
            return f"{v} = any({self.bind(values)}::jsonb[])"
        return self.equals(f"cdp_text({v})", wanted)

    def equals(self, value: str, wanted: list[str]) -> str:
        if len(wanted) == 1:
            return f"{value} = {self.bind(wanted[0])}"
        return f"{value} = any({self.bind(wanted)})"

    def contains(self, v: str) -> str:
        if self.condition.cast != "string":
            return self.on_elements(v)
        needle = fold(self.condition.operands[0])
        wanted = self.bind(needle)
        element = f"{self.folded('cdp_text(x.v)', needle)} = {wanted}"
        if self.is_only_in_strings(needle):
            # The cheap test first: most values fail it.
            among = f"exists (select 1 from jsonb_array_elements({v}) as x(v) where {element})"
            return (
                f"position({wanted} in {self.folded(as_text(v), needle)}) > 0 and "
                f"case jsonb_typeof({v}) when 'string' then true when 'array' then {among} end"
            )
        inside = f"position({wanted} in {self.folded(f'cdp_text({v})', needle)}) > 0"
        return (
            f"case when jsonb_typeof({v}) = 'array' then "
            f"exists (select 1 from jsonb_array_elements({v}) as x(v) where {element}) else {inside} end"
        )

    def is_only_in_strings(self, needle: str) -> bool:
        """Whether no number or boolean has the needle in its text, and strings need no normalisation first."""
        written_as_is = needle.isprintable() and '"' not in needle and "\\" not in needle
        return self.place.normal and written_as_is and not _IN_SCALARS.fullmatch(needle)

    def folded(self, text: str, needle: str) -> str:
        """Fold text only as far as the needle can see: its own characters beyond ASCII."""
        pairs = [(upper, lower) for upper, lower in zip(FOLD_FROM, FOLD_TO, strict=True) if lower in needle]
        pairs = [(upper, lower) for upper, lower in pairs if not lower.isascii()]
        lowered = f'lower(({text}) collate "C")'
        if not pairs:
            return lowered
        source, target = ("".join(side) for side in zip(*pairs, strict=True))
        return f"translate({lowered}, {self.bind(source)}, {self.bind(target)})"

    def affix(self, text: str, needle: str, length: int | str) -> str:
        if self.condition.positive == "starts_with":
            return f"starts_with({text}, {needle})"
        return f"right({text}, {length}) = {needle}"

    def on_elements(self, v: str) -> str:
        cast = self.condition.cast
        items = f"jsonb_array_elements(cdp_elements({v})) as x(v)"
        element = self.cast("x.v")
        if cast in {"string", "number", "boolean"}:
            wanted = list(dict.fromkeys(self.condition.operands))
            test = f"{element} = any({self.bind(wanted)})"
        else:
            test = f"{element} in ({', '.join(self.operands())})"
        if self.condition.positive != "all_of":
            return f"exists (select 1 from {items} where {test})"
        if cast in {"string", "number", "boolean"}:
            return f"(select count(distinct {element}) from {items} where {test}) = {len(wanted)}"
        each = [f"exists (select 1 from {items} where {element} = {operand})" for operand in self.operands()]
        return f"({' and '.join(each)})"

    def against_reference(self, v: str, reference: Ref) -> str:
        operator = self.condition.positive
        place = self.look_up(reference)
        others = rows_at(place, self.frame, "r", each=operator in LISTS)
        other = self.cast("r.v")
        if operator in ON_ELEMENTS:
            items = f"jsonb_array_elements(cdp_elements({v})) as x(v)"
            held = f"exists (select 1 from {items} where {self.cast('x.v')} = {other})"
            if operator == "any_of":
                return f"exists (select 1 from {others} where {held})"
            known = f"select {held} as held from {others} where {other} is not null"
            return f"(select coalesce(bool_and(held), false) from ({known}) as k)"
        if operator == "contains" and self.condition.cast == "string":
            needle = f"cdp_fold({other})"
            element = f"cdp_fold(cdp_text(x.v)) = {needle}"
            test = (
                f"case when jsonb_typeof({v}) = 'array' then "
                f"exists (select 1 from jsonb_array_elements({v}) as x(v) where {element}) "
                f"else position({needle} in cdp_fold(cdp_text({v}))) > 0 end"
            )
        elif operator == "contains":
            items = f"jsonb_array_elements(cdp_elements({v})) as x(v)"
            test = f"exists (select 1 from {items} where {self.cast('x.v')} = {other})"
        elif operator in {"starts_with", "ends_with"}:
            needle = f"cdp_fold({other})"
            test = self.affix(f"cdp_fold(cdp_text({v}))", needle, f"char_length({needle})")
        else:
            test = f"{self.cast(v)} {_OPERATORS[operator]} {other}"
        return f"exists (select 1 from {others} where {test})"

    def relative_bounds(self) -> tuple[str, str]:
        duration = self.condition.duration
        assert duration is not None
        now = self.frame.plan.now_sql()
        sign = 1 if self.condition.operator == "in_next" else -1
        edge = self.zoned(lambda tz: shift(self.frame.plan.now, duration, tz, sign), "timestamptz")
        return (now, edge) if sign == 1 else (edge, now)

    def moment(self, v: str) -> str:
        value = self.cast(v)
        if self.condition.cast == "date":
            return f"({value}::timestamp at time zone {self.frame.zone_sql(self.rows)})"
        return value

    def next_at(self) -> str:
        if len(self.place.path) == 1:
            return self.edges(self.moment(single(self.place, self.frame)))
        return f"(select min({self.edges(self.moment('c.v'))}) from {rows_at(self.place, self.frame, 'c')})"

    def distance(self, duration: Duration, sign: int) -> str:
        now = self.frame.plan.now
        return self.zoned(lambda tz: now - shift(now, duration, tz, sign), "interval")

    def edges(self, moment: str) -> str:
        now = self.frame.plan.now_sql()
        if self.condition.operator in RELATIVE:
            assert self.condition.duration is not None
            low, high = self.relative_bounds()
            if self.condition.operator == "in_next":
                away = self.distance(self.condition.duration, 1)
                return (
                    f"case when {moment} >= {high} then {moment} + {away} + {TICK_SQL} "
                    f"when {moment} >= {low} then {moment} + {TICK_SQL} end"
                )
            away = self.distance(self.condition.duration, -1)
            return (
                f"case when {moment} >= {high} then {moment} + {TICK_SQL} "
                f"when {moment} >= {low} then {moment} + {away} + {TICK_SQL} end"
            )
        parts = []
        for ago in self.condition.agos:
            edge = f"{moment} + {self.distance(ago, -1)}"
            parts.append(f"case when {edge} > {now} then {edge} when {edge} = {now} then {edge} + {TICK_SQL} end")
        return parts[0] if len(parts) == 1 else f"least({', '.join(parts)})"
