"""Reading the events: one scan per set of names, shared by the conditions that fit into it.

A scan is a source with one row per profile. Each condition brings a part: which rows count (names, window, where) and
the aggregates over them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from segments.language.plan import Frame, Plan, Rows
from segments.language.sessions import SESSION, sessions_sql
from segments.language.windows import Window

ANY_EVENT = "*"
# Derived from stored events and kept in tables of their own (rule 16). `*` never includes them.
PSEUDO_TABLES = {"$order": "profiles_order"}
PSEUDO_EVENTS = (*PSEUDO_TABLES, SESSION)
PSEUDO_WORDS = {"$order": "an order", SESSION: "a session"}


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of time in SQL, with the outer bounds over all zones as known instants.

    Attributes
    ----------
    since, until : str
        Expressions; `since` is empty if there is no lower bound.
    first : datetime or None
        No instant before it is inside, in any zone.
    after : datetime
        No instant from it on is inside, in any zone.
    """

    since: str
    until: str
    first: datetime | None
    after: datetime
    exact: bool = True

    def test(self, alias: str, column: str = "occurred_at") -> str:
        """Return the condition that a row lies inside."""
        at = f"{alias}.{column}"
        return f"{at} >= {self.since} and {at} < {self.until}" if self.since else f"{at} < {self.until}"


@dataclass(slots=True)
class Part:
    """The rows of a scan that one condition counts."""

    range: Range
    where: str
    columns: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Scan:
    """One pass over the events of some names."""

    plan: Plan
    names: tuple[str, ...]
    rows: Rows
    reads_data: bool
    shared: bool = True
    inside: str = ""
    gate: str = ""
    parts: list[Part] = field(default_factory=list)
    name: str = ""

    def column(self, part: Part, aggregate: str) -> str:
        """Add an aggregate over the rows of a part and return the column that holds it."""
        if aggregate not in part.columns:
            part.columns.append(aggregate)
        return f"{self.name}.c{self.parts.index(part) + 1}_{part.columns.index(aggregate) + 1}"

    def render(self) -> str:
        """Return the SELECT."""
        alone = len(self.parts) == 1
        selected = []
        for number, part in enumerate(self.parts, 1):
            condition = part.range.test("e") + (f" and ({part.where})" if part.where else "")
            for index, aggregate in enumerate(part.columns, 1):
                kept = aggregate if alone else _filtered(aggregate, condition)
                selected.append(f"{kept} as c{number}_{index}")
        if alone:
            part = self.parts[0]
            bounds = part.range.test("e") + (f"\n      and ({part.where})" if part.where else "")
            if not part.range.exact:
                bounds = f"{_outer(self.plan, self.parts)}\n      and {bounds}"
        else:
            bounds = _outer(self.plan, self.parts)
        if self.gate:
            bounds += f"\n      and e.profile_id in ({self.gate})"
        columns = ",\n        ".join(["e.profile_id", *selected])
        events = events_sql(self.plan, self.names, "e")
        return (
            f"select {columns}\n    from {events}{self.inside}{self.rows.joins()}\n"
            f"    where {names_sql(self.plan, self.names, 'e')}{bounds}{self.plan.only('e.profile_id')}\n"
            f"    group by e.profile_id"
        )


def named_words(names: tuple[str, ...]) -> str:
    """Return names of events in English."""
    if names == (ANY_EVENT,):
        return "anything"
    return " or ".join(PSEUDO_WORDS.get(name, f"“{name}”") for name in names)


def event_tokens(names: tuple[str, ...]) -> set[str]:
    """Return what a condition on events of these names depends on."""
    found = {f"event:{name}" for name in names}
    # Any event can begin a session, prolong one, or join two.
    return found | {f"event:{ANY_EVENT}"} if SESSION in names else found


def _filtered(aggregate: str, condition: str) -> str:
    """Restrict an aggregate, which may end in a subscript, to the rows of its part."""
    body, subscript = aggregate, ""
    if aggregate.startswith("(") and aggregate.endswith("]"):
        at = aggregate.rindex(")[")
        body, subscript = aggregate[1:at], aggregate[at:]
        return f"({body} filter (where {condition}){subscript}"
    return f"{body} filter (where {condition})"


def _outer(plan: Plan, parts: Sequence[Part]) -> str:
    firsts = [part.range.first for part in parts]
    after = plan.bind(max(part.range.after for part in parts), "until")
    known = [first for first in firsts if first is not None]
    if len(known) < len(firsts):
        return f"e.occurred_at < {after}"
    return f"e.occurred_at >= {plan.bind(min(known), 'since')} and e.occurred_at < {after}"


def events_sql(plan: Plan, names: tuple[str, ...], alias: str) -> str:
    """Return the FROM item of the events of these names: stored ones, those of a view, or both as one relation."""
    pseudo = [name for name in names if name in PSEUDO_EVENTS]
    if not pseudo:
        return f"profiles_event {alias}"
    if len(names) == 1:
        return f"{_pseudo_sql(pseudo[0])} {alias}"
    columns = "id, profile_id, occurred_at, properties, context"
    parts = [
        f"select {columns}, {plan.bind(name, 'view')} as name from {_pseudo_sql(name)} view_{name[1:]}"
        for name in pseudo
    ]
    stored = tuple(name for name in names if name not in PSEUDO_EVENTS)
    if stored:
        named = names_sql(plan, stored, "s").removesuffix(" and ")
        parts.append(f"select {columns}, name from profiles_event s where {named}")
    return f"({' union all '.join(parts)}) as {alias}"


def _pseudo_sql(name: str) -> str:
    return sessions_sql() if name == SESSION else PSEUDO_TABLES[name]


def names_sql(plan: Plan, names: tuple[str, ...], alias: str) -> str:
    """Return the condition on the name, ending in `and`; empty where `events_sql` leaves nothing to test."""
    if names == (ANY_EVENT,) or any(name in PSEUDO_EVENTS for name in names):
        return ""
    if len(names) == 1:
        return f"{alias}.name = {plan.bind(names[0], 'event')} and "
    return f"{alias}.name = any({plan.bind(list(names), 'events')}) and "


def range_of(frame: Frame, rows: Rows, window: Window, *, up_to_now: bool = False) -> Range:
    """Return the stretch of a window; with `up_to_now`, extended to `now`."""
    now = frame.plan.now
    edges = [window.bounds(now, tz) for tz in frame.zones()]
    starts = [since for since, _ in edges]
    known = [since for since in starts if since is not None]
    after = now if up_to_now else max(until for _, until in edges)
    since = "" if not known else frame.per_zone(rows, lambda tz: window.bounds(now, tz)[0], "timestamptz", "since")
    if up_to_now or all(until == now for _, until in edges):
        until = frame.plan.now_sql()
    else:
        until = frame.per_zone(rows, lambda tz: window.bounds(now, tz)[1], "timestamptz", "until")
    return Range(since, until, min(known) if known else None, after, exact=len(edges) == 1)


def scan_for(
    frame: Frame,
    names: tuple[str, ...],
    window: Window,
    where: str,
    rows: Rows,
    *,
    reads_data: bool,
) -> tuple[Scan, Part]:
    """Find a scan that already reads these rows, or add one; return it with the part of this condition.

    Conditions share a scan if one window lies within the other and sharing does not make a scan read the properties
    of rows for which the index alone would do.
    """
    plan = frame.plan
    own = range_of(frame, rows, window)
    mergeable = not rows.uses_traits and not rows.uses_zone
    for scan in plan.scans:
        if mergeable and isinstance(scan, Scan) and scan.names == names and _fits(scan, own, reads_data):
            for part in scan.parts:
                if part.range == own and part.where == where:
                    return scan, part
            part = Part(own, where)
            scan.parts.append(part)
            scan.reads_data = scan.reads_data or reads_data
            return scan, part
    scan = Scan(plan, names, rows, reads_data)
    part = Part(own, where)
    scan.parts.append(part)
    label = "any_event" if names == (ANY_EVENT,) else "_or_".join(names)
    scan.name = plan.source(("scan", len(plan.scans)), f"did_{label}", scan.render)
    plan.scans.append(scan)
    return scan, part


def gated_scan(frame: Frame, names: tuple[str, ...], part: Part, rows: Rows, gate: str) -> tuple[Scan, Part]:
    """Return a scan of its own that reads the events of those people only who are inside a gate."""
    plan = frame.plan
    scan = Scan(plan, names, rows, reads_data=True, shared=False, gate=gate)
    scan.parts.append(part)
    label = "any_event" if names == (ANY_EVENT,) else "_or_".join(names)
    scan.name = plan.source(("scan", len(plan.scans)), f"did_{label}_of_these", scan.render)
    plan.scans.append(scan)
    return scan, part


def _fits(scan: Scan, own: Range, reads_data: bool) -> bool:
    if not scan.shared or scan.rows.uses_traits or scan.rows.uses_zone:
        return False
    outer = _hull([part.range for part in scan.parts])
    if _within(own, outer):
        return scan.reads_data or not reads_data
    if _within(outer, own):
        return reads_data or not scan.reads_data
    return False


def _hull(ranges: Sequence[Range]) -> tuple[datetime | None, datetime]:
    firsts = [each.first for each in ranges]
    known = [first for first in firsts if first is not None]
    return (min(known) if len(known) == len(firsts) else None), max(each.after for each in ranges)


def _within(inner: Range | tuple[datetime | None, datetime], outer: Range | tuple[datetime | None, datetime]) -> bool:
    low, high = inner if isinstance(inner, tuple) else (inner.first, inner.after)
    first, after = outer if isinstance(outer, tuple) else (outer.first, outer.after)
    return high <= after and (first is None or (low is not None and low >= first))
