"""trait_held: a trait that has compared so all the time for a while.

A trait's history is what messages said of it: from each statement (identify) until the next one its value is that of
the statement; before the first one it is missing. What is true of it "for 30 days" is true at every instant of these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from segments.language.computed import COMPUTED_TRAITS
from segments.language.condition_reading import read_condition
from segments.language.condition_reference import Clock, satisfied
from segments.language.condition_sql import Place, condition_sql
from segments.language.conditions import RELATIVE, Condition
from segments.language.durations import Duration
from segments.language.nodes import Node, Reading
from segments.language.person import Event, Moment, Person
from segments.language.plan import Frame, Leaf, Rows, Test
from segments.language.reading import fault, join, read_object, read_path, read_window_duration
from segments.language.values import candidates
from segments.language.windows import earliest
from segments.language.zones import shift, steady_until

SINCE_EVER = datetime.min.replace(tzinfo=UTC)
IDENTIFY = 2
UNNAMED = ""


@dataclass(frozen=True, slots=True)
class TraitHeld(Node):
    """A comparison of a trait that has held without a break for a duration."""

    trait: tuple[str, ...]
    condition: Condition
    held: Duration
    type = "trait_held"
    label = "Trait for some time"

    def sentence(self) -> str:
        return f"{'.'.join(self.trait)} {self.condition.words()}, for {self.held.words()} now"

    def tokens(self) -> set[str]:
        # A statement about the past changes the history, though not the trait of today: calls without a name, too.
        return {f"trait:{self.trait[0]}", f"event:{UNNAMED}"}

    def _since(self, person: Person, at: Moment) -> datetime | None:
        """Return since when it has held; None if it does not hold now."""
        clock = Clock(at.now, at.zone_for(person))
        stated = sorted((e for e in person.events if self._states(e, at.now)), key=lambda event: event.order)
        of_missing = satisfied(self.condition, [], [], clock)
        since: datetime | None = SINCE_EVER if of_missing else None
        for event in stated:
            found = list(candidates(dict(event.traits or {}), self.trait))
            if not satisfied(self.condition, found, [], clock):
                since = None
            elif since is None:
                since = event.occurred_at
        return since

    def _states(self, event: Event, now: datetime) -> bool:
        return not event.derived and event.occurred_at < now and self.trait[0] in (event.traits or {})

    def holds(self, person: Person, at: Moment) -> bool:
        since = self._since(person, at)
        return since is not None and since <= shift(at.now, self.held, at.zone_for(person), -1)

    def observe(self, person: Person, at: Moment) -> Any:
        since = self._since(person, at)
        return None if since is None else {"since": None if since == SINCE_EVER else since.isoformat()}

    def next_change(self, person: Person, at: Moment) -> datetime | None:
        since, edge = self._since(person, at), shift(at.now, self.held, at.zone_for(person), -1)
        return since + (at.now - edge) if since is not None and since > edge else None

    def runs_at(self, frame: Frame) -> datetime | None:
        return earliest(steady_until(frame.plan.now, self.held, tz, -1) for tz in frame.zones())

    def compile(self, frame: Frame) -> Test:
        plan, main = frame.plan, frame.plan.main
        of_missing = satisfied(self.condition, [], [], Clock(plan.now, frame.zones()[0]))

        def render() -> str:
            rows = Rows("e.profile_id", "t.traits")
            place = Place("e.traits", self.trait)
            test = condition_sql(self.condition, place, frame, rows, lambda _: place).test
            name = plan.bind(self.trait[0], "trait")
            stated = (
                f"select e.profile_id, e.occurred_at, e.id, coalesce({test}, false) as fits,\n"
                "        lead(e.occurred_at) over (partition by e.profile_id order by e.occurred_at, e.id) as until\n"
                f"    from profiles_event e{rows.joins()}\n"
                f"    where e.name = '' and e.type = {IDENTIFY} and e.traits ? {name}"
                f" and e.occurred_at < {plan.now_sql()}{plan.only('e.profile_id')}"
            )
            first = "'-infinity'::timestamptz" if of_missing else "min(occurred_at)"
            return (
                "select profile_id, bool_and(fits) filter (where until is null) as fits,\n"
                f"        greatest({first}, max(until) filter (where not fits)) as since\n"
                f"    from ({stated}) as stated\n    group by profile_id"
            )

        source = plan.source(("held", self.path, frame.timezone), f"held_{self.trait[0]}", render)
        edge = frame.per_zone(main, lambda tz: shift(plan.now, self.held, tz, -1), "timestamptz", "since")
        fits = f"coalesce({source}.fits, {'true' if of_missing else 'false'})"
        next_at = None
        if plan.timed:
            away = frame.per_zone(main, lambda tz: plan.now - shift(plan.now, self.held, tz, -1), "interval", "held")
            next_at = f"case when {source}.fits and {source}.since > {edge} then {source}.since + {away} end"
        return Leaf(f"{fits} and ({source}.since <= {edge}) is not false", next_at)


def read_held(data: Mapping[str, Any], reading: Reading) -> TraitHeld:
    """Read a trait_held node."""
    data = read_object(data, reading.path, required=("type", "path", "op", "for"), optional=("cast", "value"))
    trait = read_path(data["path"], join(reading.path, "path"))
    if trait[0] in COMPUTED_TRAITS:
        raise fault(join(reading.path, "path"), "not_allowed", f"{trait[0]} is computed and has no history")
    condition = read_condition(data, reading.path)
    if condition.operator in (*RELATIVE, "anniversary"):
        message = f"{condition.operator} moves with time and cannot be asked of the past"
        raise fault(join(reading.path, "op"), "not_allowed", message)
    if condition.reference or condition.agos:
        raise fault(join(reading.path, "value"), "not_allowed", "must be a value that does not move: no ref, no ago")
    held = read_window_duration(data["for"], join(reading.path, "for"))
    return TraitHeld(reading.path, trait, condition, held)
