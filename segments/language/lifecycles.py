"""lifecycle: new, returning, resurrected, dormant, regular — who did something in which of the last periods."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from segments.language.durations import MAX_WINDOW_DAYS, Duration
from segments.language.nodes import Node, Reading
from segments.language.occurrences import is_named, read_names
from segments.language.person import Moment, Person
from segments.language.plan import TICK_SQL, Frame, Leaf, Rows, Test
from segments.language.reading import fault, join, read_choice, read_object, read_whole, read_window_duration
from segments.language.scans import ANY_EVENT, event_tokens, events_sql, named_words, names_sql
from segments.language.windows import earliest
from segments.language.zones import TICK, shift, steady_until

STATES = ("new", "returning", "resurrected", "dormant", "regular")
MAX_PERIODS = 60


@dataclass(frozen=True, slots=True)
class Lifecycle(Node):
    """In which of the last periods the person did something. Period 0 is [now - P, now), 1 the one before, …"""

    names: tuple[str, ...]
    state: str
    period: Duration
    at_least: int
    of_last: int
    type = "lifecycle"
    label = "Life cycle"

    def sentence(self) -> str:
        named = named_words(self.names)
        period = self.period.words()
        return {
            "new": f"did {named} for the first time in the last {period}",
            "returning": f"did {named} in the last {period} and in the {period} before",
            "resurrected": f"did {named} in the last {period} after a pause of {period} or more",
            "dormant": f"did {named} in the {period} before the last {period}, but not since",
            "regular": f"did {named} in at least {self.at_least} of the last {self.of_last} periods of {period}",
        }[self.state]

    def tokens(self) -> set[str]:
        return event_tokens(self.names)

    @property
    def _periods(self) -> int:
        return self.of_last if self.state == "regular" else 2

    @property
    def _looks_before(self) -> bool:
        return self.state in {"new", "resurrected"}

    def _edges(self, now: datetime, tz: ZoneInfo) -> list[datetime]:
        """Return the starts of the periods, the latest first."""
        return [shift(now, self.period.times(count), tz, -1) for count in range(1, self._periods + 1)]

    def _edge(self, now: datetime, index: int, tz: ZoneInfo) -> datetime:
        return self._edges(now, tz)[index]

    def _counts(self, person: Person, at: Moment) -> tuple[list[int], int]:
        """Return the number of events in each period, and before them all."""
        edges = self._edges(at.now, at.zone_for(person))
        times = [e.occurred_at for e in person.events if e.occurred_at < at.now and is_named(e, self.names)]
        ends = [at.now, *edges]
        counts = [sum(since <= time < until for time in times) for since, until in zip(edges, ends[:-1], strict=True)]
        return counts, sum(time < edges[-1] for time in times)

    def holds(self, person: Person, at: Moment) -> bool:
        counts, before = self._counts(person, at)
        if self.state == "regular":
            return sum(count > 0 for count in counts) >= self.at_least
        current, previous = counts[0] > 0, counts[1] > 0
        return {
            "new": current and not previous and not before,
            "returning": current and previous,
            "resurrected": current and not previous and before > 0,
            "dormant": previous and not current,
        }[self.state]

    def observe(self, person: Person, at: Moment) -> Any:
        counts, before = self._counts(person, at)
        return {"periods": counts, "before": before}

    def next_change(self, person: Person, at: Moment) -> datetime | None:
        edges = self._edges(at.now, at.zone_for(person))
        times = [e.occurred_at for e in person.events if e.occurred_at < at.now and is_named(e, self.names)]
        crossings = []
        for time in times:
            edge = next((edge for edge in edges if time >= edge), None)
            if edge is not None:
                crossings.append(time + (at.now - edge) + TICK)
        return earliest(crossings)

    def runs_at(self, frame: Frame) -> datetime | None:
        now = frame.plan.now
        spans = [self.period.times(count) for count in range(1, self._periods + 1)]
        return earliest(steady_until(now, span, tz, -1) for span in spans for tz in frame.zones())

    def compile(self, frame: Frame) -> Test:
        plan = frame.plan

        def render() -> str:
            rows = Rows("e.profile_id", "t.traits")
            now = plan.now_sql()
            starts = [
                frame.per_zone(rows, partial(self._edge, plan.now, index), "timestamptz", "since")
                for index in range(self._periods)
            ]
            ends = [now, *starts]
            flags = [
                f"coalesce(bool_or(e.occurred_at >= {since} and e.occurred_at < {until}), false)"
                for since, until in zip(starts, ends[:-1], strict=True)
            ]
            before = f"coalesce(bool_or(e.occurred_at < {starts[-1]}), false)"
            first = None if self._looks_before else min(self._edges(plan.now, tz)[-1] for tz in frame.zones())
            bound = "" if first is None else f"e.occurred_at >= {plan.bind(first, 'since')} and "
            next_at = f",\n        {self._crossing(frame, rows, starts)} as at" if plan.timed else ""
            return (
                f"select e.profile_id, {self._test(flags, before)} as fits{next_at}\n"
                f"    from {events_sql(plan, self.names, 'e')}{rows.joins()}\n"
                f"    where {names_sql(plan, self.names, 'e')}{bound}e.occurred_at < {now}"
                f"{plan.only('e.profile_id')}\n    group by e.profile_id"
            )

        label = f"{self.state}_{'_or_'.join(self.names) if self.names != (ANY_EVENT,) else 'any_event'}"
        source = plan.source(("lifecycle", self.path, frame.timezone), label, render)
        return Leaf(f"{source}.fits", f"{source}.at" if plan.timed else None)

    def _test(self, flags: list[str], before: str) -> str:
        if self.state == "regular":
            return f"({' + '.join(f'({flag})::int' for flag in flags)}) >= {self.at_least}"
        current, previous = flags
        return {
            "new": f"{current} and not {previous} and not {before}",
            "returning": f"{current} and {previous}",
            "resurrected": f"{current} and not {previous} and {before}",
            "dormant": f"{previous} and not {current}",
        }[self.state]

    def _crossing(self, frame: Frame, rows: Rows, starts: list[str]) -> str:
        cases = []
        for index, start in enumerate(starts):

            def distance(tz: ZoneInfo, index: int = index) -> timedelta:
                return frame.plan.now - self._edges(frame.plan.now, tz)[index]

            away = frame.per_zone(rows, distance, "interval", "period")
            cases.append(f"when e.occurred_at >= {start} then e.occurred_at + {away}")
        return f"min(case {' '.join(cases)} end) + {TICK_SQL}"


def read_lifecycle(data: Mapping[str, Any], reading: Reading) -> Lifecycle:
    """Read a lifecycle node."""
    data = read_object(
        data, reading.path, required=("type", "name", "state", "period"), optional=("at_least", "of_last")
    )
    state = read_choice(data["state"], join(reading.path, "state"), STATES)
    period = read_window_duration(data["period"], join(reading.path, "period"))
    at_least = of_last = 0
    if state == "regular":
        for key in ("at_least", "of_last"):
            if data.get(key) is None:
                raise fault(join(reading.path, key), "missing_key", f"regular needs {key}")
        of_last = read_whole(data["of_last"], join(reading.path, "of_last"), least=1, most=MAX_PERIODS)
        at_least = read_whole(data["at_least"], join(reading.path, "at_least"), least=1, most=MAX_PERIODS)
        if at_least > of_last:
            raise fault(join(reading.path, "at_least"), "invalid_value", f"must be at most of_last, {of_last}")
    elif data.get("at_least") is not None or data.get("of_last") is not None:
        raise fault(reading.path, "unknown_key", "at_least and of_last belong to the state regular")
    spans = of_last if state == "regular" else 2
    if period.times(spans).approximate_days > MAX_WINDOW_DAYS:
        raise fault(
            join(reading.path, "period"), "limit", f"all periods together must be at most {MAX_WINDOW_DAYS} days"
        )
    return Lifecycle(
        reading.path, read_names(data["name"], join(reading.path, "name")), state, period, at_least, of_last
    )
