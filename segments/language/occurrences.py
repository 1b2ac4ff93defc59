"""Events of some names in a window: what event, event_pick, sequences and summaries look at."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from segments.language.nodes import Reading
from segments.language.person import Event, Moment, Person
from segments.language.plan import TICK_SQL, Frame, Rows
from segments.language.properties import (
    EventRows,
    PropertyNode,
    Seen,
    property_tokens,
    read_property_node,
)
from segments.language.reading import fault, join, read_list, read_text
from segments.language.scans import (
    ANY_EVENT,
    PSEUDO_EVENTS,
    Range,
    event_tokens,
    events_sql,
    named_words,
    names_sql,
    range_of,
)
from segments.language.windows import ALL_TIME, Window, earliest, read_window
from segments.language.zones import TICK

MAX_NAMES = 100


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Events of some names in a window, with a condition on each."""

    names: tuple[str, ...]
    where: PropertyNode | None
    window: Window

    def of(self, person: Person, at: Moment) -> list[Event]:
        """Return them in their order."""
        since, until = self.window.bounds(at.now, at.zone_for(person))
        found = [
            event
            for event in person.events
            if is_named(event, self.names)
            and event.occurred_at < until
            and (since is None or event.occurred_at >= since)
            and (self.where is None or self.where.holds(Seen(person, at, event, {})))
        ]
        return sorted(found, key=lambda event: (event.order, event.name))

    def where_sql(self, frame: Frame, rows: Rows) -> str:
        """Return the condition on each event, empty for none."""
        return self.where.sql(frame, EventRows(rows, "e", {}, self.names)) if self.where else ""

    def tokens(self) -> set[str]:
        """Return what they depend on."""
        return event_tokens(self.names) | property_tokens(self.where)

    def words(self) -> str:
        """Return the names in English."""
        return named_words(self.names)

    def suffix(self) -> str:
        """Return window and condition in English."""
        where = f" where {self.where.sentence()}" if self.where else ""
        return f" {self.window.words()}{where}"


def is_named(event: Event, names: tuple[str, ...]) -> bool:
    """Tell whether an event has one of the names; `*` is any stored event."""
    if names == (ANY_EVENT,):
        return not event.derived
    return event.name != "" and event.name in names and event.derived == (event.name in PSEUDO_EVENTS)


def read_names(value: Any, path: str) -> tuple[str, ...]:
    """Read one event name or several; `*` is every event."""
    names = read_list(value, path, read_text, most=MAX_NAMES) if isinstance(value, list) else (read_text(value, path),)
    if ANY_EVENT in names and len(names) > 1:
        raise fault(path, "invalid_value", "* already means every event; leave the other names out")
    return tuple(dict.fromkeys(names))


def read_occurrences(data: Mapping[str, Any], reading: Reading) -> Occurrences:
    """Read name, where and window."""
    where = data.get("where")
    window = data.get("window")
    return Occurrences(
        read_names(data["name"], join(reading.path, "name")),
        None if where is None else read_property_node(where, reading.below(".where")),
        ALL_TIME if window is None else read_window(window, join(reading.path, "window")),
    )


def edge_source(frame: Frame, names: tuple[str, ...], window: Window) -> str:
    """Return a source whose column `at` is when the next event of these names crosses an edge of a moving window."""
    plan = frame.plan
    identity = ("edges", names, window, frame.timezone)

    def render() -> str:
        rows = Rows("e.profile_id", "t.traits")
        stretch: Range = range_of(frame, rows, window, up_to_now=True)
        until = range_of(frame, rows, window).until
        longer = frame.per_zone(rows, lambda tz: window.distances(plan.now, tz)[0], "interval", "window")
        shorter = frame.per_zone(rows, lambda tz: window.distances(plan.now, tz)[1], "interval", "window")
        return (
            f"select e.profile_id, min(e.occurred_at + case when e.occurred_at >= {until} "
            f"then {shorter} else {longer} end) + {TICK_SQL} as at\n"
            f"    from {events_sql(plan, names, 'e')}{rows.joins()}\n"
            f"    where {names_sql(plan, names, 'e')}{stretch.test('e')}"
            f"{plan.only('e.profile_id')}\n    group by e.profile_id"
        )

    return plan.source(identity, "edges", render)


def next_edge(events: list[Event], now: datetime, longer: timedelta, shorter: timedelta) -> datetime | None:
    """Return when the next of the events crosses an edge: the twin of `edge_source`."""
    edges = [
        event.occurred_at + (shorter if event.occurred_at >= now - shorter else longer) + TICK
        for event in events
        if now - longer <= event.occurred_at < now
    ]
    return earliest(edges)
