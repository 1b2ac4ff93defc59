"""event: what the person did, counted or measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from segments.language.condition_sql import rows_at, single
from segments.language.measures import WHOLE, Measure, read_measure
from segments.language.nodes import Node, Reading
from segments.language.occurrences import Occurrences, edge_source, next_edge, read_occurrences
from segments.language.person import Moment, Person
from segments.language.plan import TICK_SQL, Frame, Leaf, Rows, Test, negated
from segments.language.properties import (
    CONTEXT,
    event_place,
    event_values,
)
from segments.language.reading import read_object
from segments.language.scans import (
    ANY_EVENT,
    PSEUDO_EVENTS,
    Part,
    Scan,
    gated_scan,
    range_of,
    scan_for,
)
from segments.language.values import number_of, text_of
from segments.language.windows import ALL_TIME, Window, earliest
from segments.language.zones import TICK, to_local


@dataclass(frozen=True, slots=True)
class Did(Node):
    """A measure over events, compared with a number."""

    what: Occurrences
    measure: Measure
    type = "event"
    label = "Did something"

    def sentence(self) -> str:
        if self._negated_presence:
            return f"did not do {self.what.words()}{self.what.suffix()}"
        return f"did {self.what.words()} {self.measure.words()}{self.what.suffix()}"

    @property
    def _negated_presence(self) -> bool:
        """Whether it says that no such event exists."""
        measure = self.measure
        zero = (measure.operator in {"lte", "eq"}, 0), (measure.operator == "lt", 1)
        return measure.function == "count" and any(fits and measure.values == (Decimal(n),) for fits, n in zero)

    @property
    def _presence(self) -> bool:
        """Whether it says that such an event exists."""
        measure = self.measure
        some = (measure.operator == "gte", 1), (measure.operator in {"gt", "ne"}, 0)
        return measure.function == "count" and any(fits and measure.values == (Decimal(n),) for fits, n in some)

    def _measured(self, person: Person, at: Moment) -> tuple[bool, Any]:
        events = self.what.of(person, at)
        function, named = self.measure.function, self.measure.of_what
        values = [value for event in events for value in event_values(event, named)] if named else []
        numbers = [number for number in map(number_of, values) if number is not None]
        count = len(events)
        if function == "distinct":
            count = len({text for text in map(text_of, values) if text is not None})
        if function == "days":
            tz = at.zone_for(person)
            count = len({to_local(event.occurred_at, tz).date() for event in events})
        return self.measure.of(numbers, count)

    def holds(self, person: Person, at: Moment) -> bool:
        return self._measured(person, at)[0]

    def observe(self, person: Person, at: Moment) -> Any:
        return self._measured(person, at)[1]

    def tokens(self) -> set[str]:
        return self.what.tokens()

    def runs_at(self, frame: Frame) -> datetime | None:
        return earliest(self.what.window.runs_at(frame.plan.now, tz) for tz in frame.zones())

    def next_change(self, person: Person, at: Moment) -> datetime | None:
        window, tz = self.what.window, at.zone_for(person)
        if not window.moves:
            return None
        longer, shorter = window.distances(at.now, tz)
        if not window.open_ended:
            whole = Occurrences(self.what.names, None, Window(start="", end=""))
            return next_edge(whole.of(person, at), at.now, longer, shorter)
        events = self.what.of(person, at)
        if _crosses(self.measure.of_what):
            events = [event for event in events if event_values(event, self.measure.of_what)]
        times = [event.occurred_at for event in events]
        if not self.measure.follows_count:
            return times[0] + longer + TICK if times else None
        leaving = [times[-k] for k in self.measure.thresholds if k <= len(times)]
        return min(leaving) + longer + TICK if leaving else None

    def gate(self, frame: Frame) -> str | None:
        measure, names = self.measure, self.what.names
        several = measure.operator in {"gte", "gt"} and measure.values[0] >= (2 if measure.operator == "gte" else 1)
        stored = names != (ANY_EVENT,) and not any(name in PSEUDO_EVENTS for name in names)
        # Read from the index alone, and of few people: several in a window that is not long.
        if measure.function != "count" or not several or not stored or self.what.where or not self.what.window.longer:
            return None
        test = self.compile(frame)
        scan, _ = _scan_of(self, frame, Rows("e.profile_id", "t.traits"), "")
        return f"select {scan.name}.profile_id from {scan.name} where {test.test}" if isinstance(test, Leaf) else None

    def compile_within(self, frame: Frame, gate: str) -> Test:
        return self.compile(frame) if self._is_activity else self._compile(frame, gate)

    def compile(self, frame: Frame) -> Test:
        return self._compile_activity(frame) if self._is_activity else self._compile(frame, "")

    def _compile(self, frame: Frame, gate: str) -> Test:
        plan = frame.plan
        # People without any such event have no row in the scan: what is true of them is the complement of what is not.
        test = self.measure
        source = _measure_scan(self, frame, gate)
        measured = source.measured
        values = [plan.bind(value, "value") for value in test.values]
        if test.function == "avg":
            values = [f"{value} * {source.count}" for value in values]
        if test.function in {"sum", *WHOLE} and (test.true_of_none or test.function == "sum"):
            measured = f"coalesce({measured}, 0)"
        return Leaf(test.sql(measured, values), source.next_at)

    @property
    def _is_activity(self) -> bool:
        presence = self._presence or self._negated_presence
        window = self.what.window
        ends_now = window == ALL_TIME or (window.longer is not None and window.open_ended)
        return presence and self.what.names == (ANY_EVENT,) and self.what.where is None and ends_now

    def _compile_activity(self, frame: Frame) -> Test:
        """Read the narrow table of first and last events; the events themselves only if some lie after `now`."""
        plan, rows, window = frame.plan, frame.plan.main, self.what.window
        a = plan.source(("activity",), "activity", lambda: _activity_sql(plan))
        now = plan.now_sql()
        stretch = range_of(frame, rows, window)
        if stretch.since:
            # Not EXISTS: that could be turned into a scan of all events, for the sake of the few beyond `now`.
            found = f"select true from profiles_event e where e.profile_id = p.id and {stretch.test('e')} limit 1"
            test = (
                f"case when {a}.last_event_at < {now} then {a}.last_event_at >= {stretch.since} "
                f"when {a}.last_event_at >= {now} then ({found}) end"
            )
        else:
            test = f"{a}.first_event_at < {now}"
        next_at = None
        if plan.timed and window.moves:
            away = frame.per_zone(rows, lambda tz: window.distances(plan.now, tz)[0], "interval", "window")
            last = f"select max(e.occurred_at) from profiles_event e where e.profile_id = p.id and {stretch.test('e')}"
            next_at = (
                f"case when {a}.last_event_at >= {now} then ({last}) + {away} + {TICK_SQL} "
                f"when {a}.last_event_at >= {stretch.since} then {a}.last_event_at + {away} + {TICK_SQL} end"
            )
        leaf = Leaf(test, next_at)
        return leaf if self._presence else negated(leaf)


def _activity_sql(plan: Any) -> str:
    return (
        "select a.profile_id, a.first_event_at, a.last_event_at\n    from profiles_activity a"
        f"\n    where true{plan.only('a.profile_id')}"
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    """The columns that a measure reads: the value, the count of numbers (for averages), the next moment."""

    measured: str
    count: str
    next_at: str | None


def _crosses(path: tuple[str, ...]) -> bool:
    """Tell whether a property lies below others, so that one event can have several values of it."""
    return len(path) > (2 if path[:1] == (CONTEXT,) else 1)


def _scan_of(node: Did, frame: Frame, rows: Rows, where: str, gate: str = "") -> tuple[Scan, Part]:
    """Return the scan that counts a node's events, with the node's part of it."""
    reads_data = bool(where) or node.measure.function not in {"count", "days"}
    what = node.what
    if gate and reads_data and not any(name in PSEUDO_EVENTS for name in what.names):
        return gated_scan(frame, what.names, Part(range_of(frame, rows, what.window), where), rows, gate)
    return scan_for(frame, what.names, what.window, where, rows, reads_data=reads_data)


def _measure_scan(node: Did, frame: Frame, gate: str) -> _Measured:
    plan, what, measure = frame.plan, node.what, node.measure
    rows = Rows("e.profile_id", "t.traits")
    where = what.where_sql(frame, rows)
    named = measure.of_what
    place = event_place("e", named, what.names) if named else None
    crossing = _crosses(named)
    day_zone = frame.zone_sql(rows) if measure.function == "days" else ""
    if crossing and place is not None:
        scan, part = _crossing_scan(frame, what, where, rows, rows_at(place, frame, "v"))
        value = "v.v"
    else:
        scan, part = _scan_of(node, frame, rows, where, gate)
        value = f"({single(place, frame)})" if place else ""
    number = f"cdp_number({value})"
    aggregates = {
        "count": "count(*)",
        "sum": f"sum({number})",
        "avg": f"sum({number})",
        "min": f"min({number})",
        "max": f"max({number})",
        "distinct": f"count(distinct cdp_text({value}))",
        "days": f"count(distinct (e.occurred_at at time zone {day_zone})::date)",
    }
    measured = scan.column(part, aggregates[measure.function])
    count = scan.column(part, f"count({number})") if measure.function == "avg" else ""
    next_at = _measure_next(node, frame, scan, part) if plan.timed and what.window.moves else None
    return _Measured(measured, count, next_at)


def _measure_next(node: Did, frame: Frame, scan: Scan, part: Part) -> str:
    plan, window, measure = frame.plan, node.what.window, node.measure
    if not window.open_ended:
        return f"{edge_source(frame, node.what.names, window)}.at"
    main = plan.main
    away = frame.per_zone(main, lambda tz: window.distances(plan.now, tz)[0], "interval", "window")
    if not measure.follows_count:
        columns = [scan.column(part, "min(e.occurred_at)")]
    else:
        columns = [
            scan.column(
                part,
                "max(e.occurred_at)" if k == 1 else f"(array_agg(e.occurred_at order by e.occurred_at desc))[{k}]",
            )
            for k in measure.thresholds
        ]
    if not columns:
        return "null::timestamptz"
    first = columns[0] if len(columns) == 1 else f"least({', '.join(columns)})"
    return f"{first} + {away} + {TICK_SQL}"


def _crossing_scan(frame: Frame, what: Occurrences, where: str, rows: Rows, values: str) -> tuple[Scan, Part]:
    """Return a scan of its own whose rows are the values inside each event, e.g. of `products.price`."""
    inside = f"\n    cross join lateral {values}"
    scan = Scan(frame.plan, what.names, rows, reads_data=True, shared=False, inside=inside)
    known = "v.v <> 'null'::jsonb"
    part = Part(range_of(frame, rows, what.window), f"{known} and ({where})" if where else known)
    scan.parts.append(part)
    scan.name = frame.plan.source(("scan", len(frame.plan.scans)), f"did_{'_or_'.join(what.names)}", scan.render)
    frame.plan.scans.append(scan)
    return scan, part


def read_did(data: Mapping[str, Any], reading: Reading) -> Did:
    """Read an event node."""
    data = read_object(
        data, reading.path, required=("type", "name"), optional=("where", "window", "measure", "op", "value")
    )
    measure = read_measure(data, reading.path)
    return Did(reading.path, read_occurrences(data, reading), measure)
