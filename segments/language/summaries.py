"""summary: what events come to: how many, how much, the first, the latest, the most frequent, how long ago."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from segments.language.computations import Column, Computation
from segments.language.condition_sql import json_path, single
from segments.language.nodes import Reading
from segments.language.occurrences import Occurrences, edge_source, read_occurrences
from segments.language.person import Moment, Person
from segments.language.plan import TICK_SQL, Frame, Rows
from segments.language.properties import CONTEXT, event_place, event_values
from segments.language.reading import fault, join, read_choice, read_object, read_path
from segments.language.scans import PSEUDO_EVENTS, events_sql, names_sql, range_of
from segments.language.values import number_of, text_of
from segments.language.windows import earliest

NUMBERS = ("sum", "average", "min", "max")
PICKED = ("first", "last")
TEXTS = ("most_frequent", "distinct_list")
FUNCTIONS = ("count", *NUMBERS, *PICKED, *TEXTS, "days_since")
WITH_PROPERTY = (*NUMBERS, *PICKED, *TEXTS)
ZERO_OF_NONE = ("count", "sum")
MOST_LISTED = 100
DAY = timedelta(days=1)
# Averages are rounded alike in every engine.
PLACES = Decimal("0.000001")
_PRECISION = 400
WORDS = {
    "count": "number of",
    "sum": "total {}of",
    "average": "average {}of",
    "min": "smallest {}of",
    "max": "largest {}of",
    "first": "first {}of",
    "last": "latest {}of",
    "most_frequent": "most frequent {}of",
    "distinct_list": "different {}of",
    "days_since": "days since the latest",
}


@dataclass(frozen=True, slots=True)
class Summary(Computation):
    """A function over events of some names in a window."""

    function: str
    of_what: tuple[str, ...]
    what: Occurrences
    type = "summary"
    label = "What somebody did"

    @property
    def default(self) -> Any:
        return 0 if self.function in ZERO_OF_NONE else None

    def sentence(self) -> str:
        named = f"{'.'.join(self.of_what)} " if self.of_what else ""
        return f"{WORDS[self.function].format(named)} {self.what.words()}{self.what.suffix()}"

    def tokens(self) -> set[str]:
        return self.what.tokens()

    # --- Reference ---------------------------------------------------------------------------------------------------

    def compute(self, person: Person, at: Moment) -> Any:
        events = self.what.of(person, at)
        if self.function == "count":
            return len(events)
        if self.function == "days_since":
            return (at.now - events[-1].occurred_at) // DAY if events else None
        values = [value for event in events for value in event_values(event, self.of_what)]
        if self.function in PICKED:
            return (values[0] if self.function == "first" else values[-1]) if values else None
        if self.function in TEXTS:
            return self._of_texts([text for text in map(text_of, values) if text is not None])
        return self._of_numbers([number for number in map(number_of, values) if number is not None])

    def _of_texts(self, texts: list[str]) -> Any:
        if not texts:
            return None
        if self.function == "distinct_list":
            return sorted(set(texts))[:MOST_LISTED]
        return min(Counter(texts).items(), key=lambda item: (-item[1], item[0]))[0]

    def _of_numbers(self, numbers: list[Decimal]) -> Decimal | None:
        if not numbers:
            return Decimal(0) if self.function == "sum" else None
        if self.function in {"min", "max"}:
            return min(numbers) if self.function == "min" else max(numbers)
        with localcontext() as context:
            context.prec = _PRECISION
            total = sum(numbers, Decimal(0))
            return total if self.function == "sum" else (total / len(numbers)).quantize(PLACES, ROUND_HALF_UP)

    # --- SQL ---------------------------------------------------------------------------------------------------------

    def column(self, frame: Frame) -> Column:
        plan, window = frame.plan, self.what.window
        name = plan.source(("summary", self.path), f"of_{'_or_'.join(self.what.names)}", lambda: self._render(frame))
        value = f"{name}.value"
        if self.default is not None:
            value = f"coalesce({value}, '0'::jsonb)"
        next_at = f"{name}.next_at" if self.function == "days_since" or window.moves else None
        if window.moves and not window.open_ended:
            edge = f"{edge_source(frame, self.what.names, window)}.at"
            next_at = f"least({next_at}, {edge})" if self.function == "days_since" else edge
        return Column(value, next_at)

    def _render(self, frame: Frame) -> str:
        plan, what = frame.plan, self.what
        rows = Rows("e.profile_id", "t.traits")
        where = what.where_sql(frame, rows)
        stretch = range_of(frame, rows, what.window)
        inside, v = self._values(frame)
        known = f" and {v} <> 'null'::jsonb" if v else ""
        value = self._aggregate(v, frame, inside=bool(inside))
        nexts = []
        if self.function == "days_since":
            days = self._days(frame)
            nexts.append(f"max(e.occurred_at) + ({days} + 1) * interval '1 day'")
        if what.window.moves and what.window.open_ended:
            away = frame.per_zone(rows, lambda tz: what.window.distances(plan.now, tz)[0], "interval", "window")
            # Times of one zone: constant within a person's group.
            nexts.append(f"min(e.occurred_at + {away}) + {TICK_SQL}")
        next_at = f",\n        least({', '.join(nexts)}) as next_at" if nexts else ""
        tests = f"{stretch.test('e')}{f' and ({where})' if where else ''}{known}{plan.only('e.profile_id')}"
        return (
            f"select e.profile_id, {value} as value{next_at}\n"
            f"    from {events_sql(plan, what.names, 'e')}{inside}{rows.joins()}\n"
            f"    where {names_sql(plan, what.names, 'e')}{tests}\n    group by e.profile_id"
        )

    def _values(self, frame: Frame) -> tuple[str, str]:
        """Return what the events are joined with, and the expression of a value."""
        if not self.of_what:
            return "", ""
        place = event_place("e", self.of_what, self.what.names)
        if len(place.path) > 1:
            path = frame.plan.bind(json_path(place.path), "path")
            inside = f"jsonb_path_query({place.base}, {path}::jsonpath) with ordinality as v(v, place)"
            return f"\n    cross join lateral {inside}", "v.v"
        return "", f"({single(place, frame)})"

    def _days(self, frame: Frame) -> str:
        return f"floor(extract(epoch from {frame.plan.now_sql()} - max(e.occurred_at)) / 86400)"

    def _aggregate(self, v: str, frame: Frame, *, inside: bool) -> str:
        number, text = f"cdp_number({v})", f'cdp_text({v}) collate "C"'
        # An order has time and id of the event that made it, a session those of its first.
        mixed = len(self.what.names) > 1 and any(name in PSEUDO_EVENTS for name in self.what.names)
        along = "e.occurred_at{0}, e.id{0}" + (', e.name collate "C"{0}' if mixed else "")
        along += ", v.place{0}" if inside else ""
        return {
            "count": "to_jsonb(count(*))",
            "sum": f"to_jsonb(trim_scale(sum({number})))",
            "average": f"to_jsonb(trim_scale(round(avg({number}), 6)))",
            "min": f"to_jsonb(trim_scale(min({number})))",
            "max": f"to_jsonb(trim_scale(max({number})))",
            "first": f"(array_agg({v} order by {along.format('')}))[1]",
            "last": f"(array_agg({v} order by {along.format(' desc')}))[1]",
            "most_frequent": f"to_jsonb(mode() within group (order by {text}))",
            "distinct_list": f"to_jsonb((array_agg(distinct {text} order by {text})"
            f" filter (where cdp_text({v}) is not null))[1:{MOST_LISTED}])",
            "days_since": f"to_jsonb({self._days(frame)}::bigint)",
        }[self.function]

    def runs_at(self, frame: Frame) -> datetime | None:
        return earliest(self.what.window.runs_at(frame.plan.now, tz) for tz in frame.zones())


def read_summary(data: Mapping[str, Any], reading: Reading) -> Summary:
    """Read a summary."""
    data = read_object(data, reading.path, required=("type", "fn", "name"), optional=("property", "where", "window"))
    function = read_choice(data["fn"], join(reading.path, "fn"), FUNCTIONS)
    at = join(reading.path, "property")
    if (data.get("property") is None) == (function in WITH_PROPERTY):
        raise fault(at, "invalid_value", f"{function} {'needs' if function in WITH_PROPERTY else 'takes no'} property")
    named = read_path(data["property"], at) if function in WITH_PROPERTY else ()
    if named == (CONTEXT,):
        raise fault(at, "invalid_value", "names a part of the context, such as context.page.url")
    return Summary(reading.path, function, named, read_occurrences(data, reading))
