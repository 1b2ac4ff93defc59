"""event_pick: a condition on the first or the last of some events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from segments.language.nodes import Node, Reading
from segments.language.occurrences import Occurrences, edge_source, next_edge, read_occurrences
from segments.language.person import Event, Moment, Person
from segments.language.plan import TICK_SQL, Frame, Leaf, Rows, Test
from segments.language.properties import (
    EventRows,
    PropertyNode,
    Seen,
    property_tokens,
    read_property_node,
)
from segments.language.reading import join, read_choice, read_object
from segments.language.scans import (
    PSEUDO_EVENTS,
    events_sql,
    names_sql,
    range_of,
)
from segments.language.windows import ALL_TIME, earliest
from segments.language.zones import TICK


@dataclass(frozen=True, slots=True)
class Picked(Node):
    """A condition on the first or the last of some events (rule 6)."""

    pick: str
    what: Occurrences
    has: PropertyNode
    type = "event_pick"
    label = "First or last event"

    def sentence(self) -> str:
        return f"has a {self.pick} {self.what.words()}{self.what.suffix()}, of which {self.has.sentence()}"

    def _candidate(self, person: Person, at: Moment) -> Event | None:
        events = self.what.of(person, at)
        return (events[0] if self.pick == "first" else events[-1]) if events else None

    def holds(self, person: Person, at: Moment) -> bool:
        event = self._candidate(person, at)
        return event is not None and self.has.holds(Seen(person, at, event, {}))

    def observe(self, person: Person, at: Moment) -> Any:
        event = self._candidate(person, at)
        if event is None:
            return None
        return {"name": event.name, "occurred_at": event.occurred_at.isoformat()}

    def tokens(self) -> set[str]:
        return self.what.tokens() | property_tokens(self.has)

    def runs_at(self, frame: Frame) -> datetime | None:
        return earliest(self.what.window.runs_at(frame.plan.now, tz) for tz in frame.zones())

    def next_change(self, person: Person, at: Moment) -> datetime | None:
        window = self.what.window
        if not window.moves:
            return None
        longer, shorter = window.distances(at.now, at.zone_for(person))
        if not window.open_ended:
            whole = Occurrences(self.what.names, None, ALL_TIME)
            return next_edge(whole.of(person, at), at.now, longer, shorter)
        event = self._candidate(person, at)
        return event.occurred_at + longer + TICK if event else None

    def compile(self, frame: Frame) -> Test:
        plan, window = frame.plan, self.what.window

        def render() -> str:
            rows = Rows("e.profile_id", "t.traits")
            where = self.what.where_sql(frame, rows)
            has = self.has.sql(frame, EventRows(rows, "e", {}, self.what.names))
            stretch = range_of(frame, rows, window)
            way = "" if self.pick == "first" else " desc"
            # An order has time and id of the event that made it, a session those of its first.
            mixed = len(self.what.names) > 1 and any(name in PSEUDO_EVENTS for name in self.what.names)
            tied = f', e.name collate "C"{way}' if mixed else ""
            return (
                f"select distinct on (e.profile_id) e.profile_id, e.occurred_at, ({has}) as fits\n"
                f"    from {events_sql(plan, self.what.names, 'e')}{rows.joins()}\n"
                f"    where {names_sql(plan, self.what.names, 'e')}{stretch.test('e')}"
                f"{f' and ({where})' if where else ''}{plan.only('e.profile_id')}\n"
                f"    order by e.profile_id, e.occurred_at{way}, e.id{way}{tied}"
            )

        source = plan.source(("pick", self.path, frame.timezone), f"{self.pick}_{'_or_'.join(self.what.names)}", render)
        next_at: str | None = None
        if plan.timed and window.moves:
            if window.open_ended:
                away: Callable[[Any], timedelta] = lambda tz: window.distances(plan.now, tz)[0]  # noqa: E731
                next_at = f"{source}.occurred_at + {frame.per_zone(plan.main, away, 'interval', 'window')} + {TICK_SQL}"
            else:
                next_at = f"{edge_source(frame, self.what.names, window)}.at"
        return Leaf(f"{source}.fits", next_at)


def read_picked(data: Mapping[str, Any], reading: Reading) -> Picked:
    """Read an event_pick node."""
    data = read_object(data, reading.path, required=("type", "pick", "name", "has"), optional=("where", "window"))
    pick = read_choice(data["pick"], join(reading.path, "pick"), ("first", "last"))
    return Picked(
        reading.path, pick, read_occurrences(data, reading), read_property_node(data["has"], reading.below(".has"))
    )
