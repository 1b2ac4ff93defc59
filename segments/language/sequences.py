"""sequence: one thing after another, or not after another (rule 8).

Any one start whose chain is complete is enough. A later step lies strictly after the earlier by (time, id); `within`
is measured from the last step that occurred and is half-open; a step that must not occur is decided only when its time
has passed.
"""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from segments.language.condition_sql import rows_at
from segments.language.durations import Duration
from segments.language.nodes import Node, Reading
from segments.language.occurrences import Occurrences, edge_source, is_named, next_edge, read_names
from segments.language.person import Event, Moment, Person
from segments.language.plan import TICK_SQL, Frame, Leaf, Rows, Test
from segments.language.properties import (
    EventRows,
    PropertyNode,
    Seen,
    event_place,
    event_values,
    property_tokens,
    read_property_node,
)
from segments.language.reading import (
    fault,
    join,
    read_list,
    read_object,
    read_path,
    read_window_duration,
    shown,
)
from segments.language.scans import ANY_EVENT, Range, event_tokens, events_sql, named_words, names_sql, range_of
from segments.language.values import text_of
from segments.language.windows import ALL_TIME, Window, earliest, read_window
from segments.language.zones import TICK, shift

MAX_STEPS = 10


@dataclass(frozen=True, slots=True)
class Step:
    """One step: an event that occurs, or does not.

    Attributes
    ----------
    same : tuple of paths
        Properties whose value is that of the last step that occurred.
    """

    names: tuple[str, ...]
    where: PropertyNode | None
    occurs: bool
    within: Duration | None
    same: tuple[tuple[str, ...], ...]

    def sentence(self, *, first: bool) -> str:
        """Return the step in English."""
        named = named_words(self.names)
        text = named if self.occurs else f"not {named}"
        text = text if first else f"then {text}"
        if self.where:
            text += f" where {self.where.sentence()}"
        if self.same:
            text += f" with the same {', '.join('.'.join(path) for path in self.same)}"
        return f"{text} within {self.within.words()}" if self.within else text


@dataclass(frozen=True, slots=True)
class InOrder(Node):
    """Events in an order."""

    window: Window
    steps: tuple[Step, ...]
    type = "sequence"
    label = "Sequence of events"

    def sentence(self) -> str:
        parts = [step.sentence(first=index == 0) for index, step in enumerate(self.steps)]
        return f"did {', '.join(parts)}, {self.window.words()}"

    def tokens(self) -> set[str]:
        found = {token for step in self.steps for token in event_tokens(step.names)}
        return found.union(*(property_tokens(step.where) for step in self.steps))

    # --- reference ---

    def holds(self, person: Person, at: Moment) -> bool:
        return bool(self._starts(person, at))

    def observe(self, person: Person, at: Moment) -> Any:
        starts = self._starts(person, at)
        return {"last_start": starts[-1].occurred_at.isoformat()} if starts else None

    def _starts(self, person: Person, at: Moment) -> list[Event]:
        """Return the events that begin a complete chain."""
        chain = _Chain(self, person, at)
        return [event for event in chain.fitting(0, {}) if chain.completes(1, {0: event})]

    def next_change(self, person: Person, at: Moment) -> datetime | None:
        chain = _Chain(self, person, at)
        closings = []
        for step, previous in self._absences():
            for event in chain.named(previous):
                assert step.within is not None
                closing = shift(event.occurred_at, step.within, chain.tz, 1)
                closings += [closing] if closing > at.now else []
        if not self.window.moves:
            return earliest(closings)
        longer, shorter = self.window.distances(at.now, chain.tz)
        if not self.window.open_ended:
            whole = Occurrences(self._names(), None, ALL_TIME)
            return earliest([*closings, next_edge(whole.of(person, at), at.now, longer, shorter)])
        starts = self._starts(person, at)
        return starts[-1].occurred_at + longer + TICK if starts else earliest(closings)

    def _absences(self) -> list[tuple[Step, Step]]:
        """Return the steps that must not occur within a time, each with the step that it is measured from."""
        found, previous = [], self.steps[0]
        for step in self.steps[1:]:
            if step.occurs:
                previous = step
            elif step.within:
                found.append((step, previous))
        return found

    def _names(self) -> tuple[str, ...]:
        names = dict.fromkeys(name for step in self.steps for name in step.names)
        return (ANY_EVENT,) if ANY_EVENT in names else tuple(names)

    def runs_at(self, frame: Frame) -> datetime | None:
        return earliest(self.window.runs_at(frame.plan.now, tz) for tz in frame.zones())

    # --- SQL ---

    def compile(self, frame: Frame) -> Test:
        plan = frame.plan

        def render() -> str:
            rows = Rows("e0.profile_id", "t.traits")
            stretch = range_of(frame, rows, self.window)
            writer = _ChainWriter(self, frame, rows, stretch)
            fitting = writer.fitting(0, "e0", {})
            rest = writer.rest(1, "e0", {0: "e0"})
            return (
                f"select e0.profile_id, max(e0.occurred_at) as last_start\n"
                f"    from {events_sql(plan, self.steps[0].names, 'e0')}{rows.joins()}\n"
                f"    where {fitting}{plan.only('e0.profile_id')}{rest}\n    group by e0.profile_id"
            )

        name = "chain_" + "_then_".join(each for step in self.steps for each in step.names[:1])
        source = plan.source(("sequence", self.path, frame.timezone), name, render)
        return Leaf(f"{source}.last_start is not null", self._next_sql(frame, source) if plan.timed else None)

    def _next_sql(self, frame: Frame, source: str) -> str | None:
        plan, window = frame.plan, self.window
        closings = [_closing_source(frame, step, previous, window) for step, previous in self._absences()]
        moments = [f"{name}.at" for name in closings]
        if window.moves and window.open_ended:
            away = frame.per_zone(plan.main, lambda tz: window.distances(plan.now, tz)[0], "interval", "window")
            leaving = f"{source}.last_start + {away} + {TICK_SQL}"
            waiting = f"least({', '.join(moments)})" if len(moments) > 1 else moments[0] if moments else "null"
            return f"case when {source}.last_start is not null then {leaving} else {waiting} end"
        if window.moves:
            moments.append(f"{edge_source(frame, self._names(), window)}.at")
        if not moments:
            return None
        return moments[0] if len(moments) == 1 else f"least({', '.join(moments)})"


def _closing_source(frame: Frame, step: Step, previous: Step, window: Window) -> str:
    """Return a source whose column `at` is when the next absence is decided: the twin of `next_change`."""
    plan = frame.plan

    def render() -> str:
        rows = Rows("e.profile_id", "t.traits")
        assert step.within is not None
        closing = frame.shifted(rows, "e.occurred_at", step.within)
        stretch = range_of(frame, rows, window)
        events = events_sql(plan, previous.names, "e")
        return (
            f"select e.profile_id, min({closing}) as at\n    from {events}{rows.joins()}\n"
            f"    where {names_sql(plan, previous.names, 'e')}{stretch.test('e')} and {closing} > {plan.now_sql()}"
            f"{plan.only('e.profile_id')}\n    group by e.profile_id"
        )

    assert step.within is not None
    identity = ("closing", previous.names, step.within, window, frame.timezone)
    return plan.source(identity, f"waiting_after_{'_or_'.join(previous.names)}", render)


class _Chain:
    """The search for a chain of events in one person's history."""

    def __init__(self, node: InOrder, person: Person, at: Moment) -> None:
        self.node, self.person, self.at = node, person, at
        self.tz = at.zone_for(person)
        self.since, self.until = node.window.bounds(at.now, self.tz)
        before_now = [event for event in person.events if event.occurred_at < at.now]
        self.events = sorted(before_now, key=lambda event: event.order)

    def named(self, step: Step) -> list[Event]:
        """Return the events of a step's names inside the window."""
        return [event for event in self.events if self._inside(event) and is_named(event, step.names)]

    def _inside(self, event: Event) -> bool:
        return event.occurred_at < self.until and (self.since is None or event.occurred_at >= self.since)

    def fitting(self, number: int, chain: Mapping[int, Event], *, anywhere: bool = False) -> list[Event]:
        """Return the events that fit a step, after the last one of the chain."""
        step = self.node.steps[number]
        previous = chain[max(chain)] if chain else None
        found = []
        for event in self.events:
            if previous is not None and event.order <= previous.order:
                continue
            if not (anywhere or self._inside(event)) or not is_named(event, step.names):
                continue
            if step.where is not None and not step.where.holds(Seen(self.person, self.at, event, chain)):
                continue
            if previous is not None and not all(_same(event, previous, path) for path in step.same):
                continue
            found.append(event)
        return found

    def completes(self, number: int, chain: Mapping[int, Event]) -> bool:
        """Tell whether the steps from `number` on can follow the chain."""
        steps = self.node.steps
        previous = chain[max(chain)]
        waiting: list[int] = []
        while number < len(steps) and not steps[number].occurs:
            within = steps[number].within
            if within is None:
                waiting.append(number)
            else:
                end = shift(previous.occurred_at, within, self.tz, 1)
                inside = [e for e in self.fitting(number, chain, anywhere=True) if e.occurred_at < end]
                if end > self.at.now or inside:
                    return False
            number += 1
        if number == len(steps):
            return not any(self.fitting(each, chain) for each in waiting)
        within = steps[number].within
        for event in self.fitting(number, chain):
            if within is not None and event.occurred_at >= shift(previous.occurred_at, within, self.tz, 1):
                continue
            between = [other for each in waiting for other in self.fitting(each, chain) if other.order < event.order]
            if not between and self.completes(number + 1, {**chain, number: event}):
                return True
        return False


def _same(event: Event, previous: Event, path: tuple[str, ...]) -> bool:
    """Tell whether two events share a value; null never equals null."""
    mine = {text_of(value) for value in event_values(event, path)} - {None}
    return bool(mine & {text_of(value) for value in event_values(previous, path)})


@dataclass(frozen=True, slots=True)
class _ChainWriter:
    """The same search as nested EXISTS."""

    node: InOrder
    frame: Frame
    rows: Rows
    stretch: Range

    def fitting(self, number: int, alias: str, chain: Mapping[int, str], *, anywhere: bool = False) -> str:
        step, plan = self.node.steps[number], self.frame.plan
        text = names_sql(plan, step.names, alias)
        if step.names == (ANY_EVENT,):
            text = ""
        elif len(step.names) == 0:
            raise AssertionError("a step names an event")
        if anywhere:
            text += f"{self._since(alias)}{alias}.occurred_at < {plan.now_sql()}"
        else:
            text += self.stretch.test(alias)
        if not self.stretch.exact and self.stretch.first is not None:
            text += f" and {alias}.occurred_at >= {plan.bind(self.stretch.first, 'since')}"
        if chain:
            previous = chain[max(chain)]
            text += f" and {alias}.profile_id = {previous}.profile_id"
            text += f" and ({alias}.occurred_at, {alias}.id) > ({previous}.occurred_at, {previous}.id)"
            text += "".join(f" and {self._same_sql(alias, previous, path)}" for path in step.same)
        if step.where is not None:
            text += f" and ({step.where.sql(self.frame, EventRows(self.rows, alias, chain, step.names))})"
        return text

    def _since(self, alias: str) -> str:
        return f"{alias}.occurred_at >= {self.stretch.since} and " if self.stretch.since else ""

    def _same_sql(self, alias: str, previous: str, path: tuple[str, ...]) -> str:
        mine = rows_at(event_place(alias, path), self.frame, "m")
        theirs = rows_at(event_place(previous, path), self.frame, "y")
        return f"exists (select 1 from {mine}, {theirs} where cdp_text(m.v) = cdp_text(y.v))"

    def rest(self, number: int, previous: str, chain: Mapping[int, str]) -> str:
        """Return the conditions that the steps from `number` on put on the chain, each beginning with `and`."""
        steps, frame = self.node.steps, self.frame
        events = [events_sql(frame.plan, step.names, f"e{place}") for place, step in enumerate(steps)]
        text, waiting = "", []
        while number < len(steps) and not steps[number].occurs:
            within, alias = steps[number].within, f"e{number}"
            if within is None:
                waiting.append(number)
            else:
                end = frame.shifted(self.rows, f"{previous}.occurred_at", within)
                text += f"\n    and {end} <= {frame.plan.now_sql()}"
                fitting = self.fitting(number, alias, chain, anywhere=True)
                text += f"\n    and not exists (select 1 from {events[number]} where {fitting}"
                text += f" and {alias}.occurred_at < {end})"
            number += 1
        if number == len(steps):
            return text + "".join(self._absent(each, chain, "") for each in waiting)
        alias = f"e{number}"
        within = steps[number].within
        inner = self.fitting(number, alias, chain)
        if within is not None:
            inner += f" and {alias}.occurred_at < {frame.shifted(self.rows, f'{previous}.occurred_at', within)}"
        for each in waiting:
            before = f" and (e{each}.occurred_at, e{each}.id) < ({alias}.occurred_at, {alias}.id)"
            inner += self._absent(each, chain, before)
        inner += self.rest(number + 1, alias, {**chain, number: alias})
        return f"{text}\n    and exists (select 1 from {events[number]} where {inner})"

    def _absent(self, number: int, chain: Mapping[int, str], further: str) -> str:
        fitting = self.fitting(number, f"e{number}", chain)
        events = events_sql(self.frame.plan, self.node.steps[number].names, f"e{number}")
        return f"\n    and not exists (select 1 from {events} where {fitting}{further})"


def read_sequence(data: Mapping[str, Any], reading: Reading) -> InOrder:
    """Read a sequence node."""
    data = read_object(data, reading.path, required=("type", "steps"), optional=("window",))
    at = join(reading.path, "steps")
    raw = data["steps"]
    count: Many[Any] = raw if isinstance(raw, list) else []
    steps = read_list(raw, at, lambda item, path: _read_step(item, path, list(count)), most=MAX_STEPS)
    if not steps[0].occurs or steps[0].within or steps[0].same:
        raise fault(f"{at}[0]", "invalid_value", "the first step occurs, and has neither within nor same")
    if len(steps) < 2:
        raise fault(at, "invalid_value", "a sequence has at least two steps; use event for one")
    window = data.get("window")
    return InOrder(
        reading.path, ALL_TIME if window is None else read_window(window, join(reading.path, "window")), steps
    )


def _read_step(item: Any, path: str, raw: list[Any]) -> Step:
    data = read_object(item, path, required=("name",), optional=("where", "occurs", "within", "same"))
    occurs = data.get("occurs", True)
    if not isinstance(occurs, bool):
        raise fault(join(path, "occurs"), "wrong_type", f"must be true or false, not {shown(occurs)}")
    number = next(index for index, each in enumerate(raw) if each is item)
    where = data.get("where")
    within = data.get("within")
    step = Step(
        read_names(data["name"], join(path, "name")),
        None if where is None else read_property_node(where, Reading(join(path, "where")), steps=number),
        occurs,
        None if within is None else read_window_duration(within, join(path, "within")),
        () if data.get("same") is None else read_list(data["same"], join(path, "same"), read_path, most=MAX_STEPS),
    )
    _check_references(step, path, raw)
    return step


def _check_references(step: Step, path: str, raw: list[Any]) -> None:
    for leaf in step.where.leaves() if step.where else ():
        reference = leaf.condition.reference
        if reference is not None and reference.kind == "step":
            named = raw[reference.step]
            if isinstance(named, dict) and named.get("occurs", True) is False:
                raise fault(
                    join(path, "where"),
                    "unknown_reference",
                    f"step {reference.step} does not occur, so it has no values",
                )
