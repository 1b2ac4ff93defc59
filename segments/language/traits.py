"""trait: what is known about the person now."""

# ruff: noqa: ARG002 - every kind of condition has the same signature

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from segments.language.computed import COMPUTED_TRAITS, ORDER, computed_of, computed_sql, defined_sql
from segments.language.condition_reading import read_condition
from segments.language.condition_reference import Clock, satisfied
from segments.language.condition_sql import Place, condition_sql
from segments.language.condition_times import next_change, runs_at
from segments.language.conditions import Condition, Ref
from segments.language.nodes import Node, Reading
from segments.language.person import PROFILE_ZONE, ZONE_TRAIT, Moment, Person
from segments.language.plan import Frame, Plan, Rows, Test
from segments.language.reading import join, read_object, read_path
from segments.language.values import candidates
from segments.language.windows import earliest

TRAIT_KEYS = ("cast", "value")


@dataclass(frozen=True, slots=True)
class Trait(Node):
    """A trait compared with a value."""

    trait: tuple[str, ...]
    condition: Condition
    type = "trait"
    label = "Trait"

    def sentence(self) -> str:
        return f"{'.'.join(self.trait)} {self.condition.words()}"

    def holds(self, person: Person, at: Moment) -> bool:
        clock = Clock(at.now, at.zone_for(person))
        return satisfied(self.condition, self._found(person), trait_values(self.condition, person), clock)

    def observe(self, person: Person, at: Moment) -> Any:
        found = self._found(person)
        return found[0] if len(found) == 1 else found or None

    def compile(self, frame: Frame) -> Test:
        rows = frame.plan.main
        plan = frame.plan
        place = trait_at(self.trait, plan, rows)
        return condition_sql(self.condition, place, frame, rows, lambda ref: trait_place(ref, plan, rows))

    def tokens(self) -> set[str]:
        return trait_tokens(self.trait) | condition_tokens(self.condition)

    def next_change(self, person: Person, at: Moment) -> datetime | None:
        return next_change(self.condition, self._found(person), Clock(at.now, at.zone_for(person)))

    def runs_at(self, frame: Frame) -> datetime | None:
        now = frame.plan.now
        return earliest(runs_at(self.condition, Clock(now, tz)) for tz in frame.zones())

    def _found(self, person: Person) -> list[Any]:
        return values_at(self.trait, person)


def read_trait(data: Mapping[str, Any], reading: Reading) -> Trait:
    """Read a trait node."""
    data = read_object(data, reading.path, required=("type", "path", "op"), optional=TRAIT_KEYS)
    trait = read_path(data["path"], join(reading.path, "path"))
    return Trait(reading.path, trait, read_condition(data, reading.path))


def trait_values(condition: Condition, person: Person) -> list[Any]:
    """Return the values that a condition's reference to a trait finds."""
    if condition.reference is None or condition.reference.kind != "trait":
        return []
    return values_at(condition.reference.path, person)


def values_at(path: tuple[str, ...], person: Person) -> list[Any]:
    """Return what lies at a path of the traits, computed ones included."""
    if path[0] in person.computed:
        return list(candidates(dict(person.computed), path))
    traits = computed_of(person) if path[0] in COMPUTED_TRAITS else person.traits
    return list(candidates(dict(traits), path))


def trait_at(path: tuple[str, ...], plan: Plan, rows: Rows) -> Place:
    """Return where a path of the traits lies in SQL: the twin of `values_at`."""
    if path[0] in plan.setting.computed:
        return Place(defined_sql(plan, rows, path[0]), path, normal=True)
    base = computed_sql(plan, rows) if path[0] in COMPUTED_TRAITS else rows.traits_sql()
    return Place(base, path, normal=True)


def trait_place(reference: Ref, plan: Plan, rows: Rows) -> Place:
    """Return where a reference to a trait points in SQL."""
    return trait_at(reference.path, plan, rows)


def trait_tokens(path: tuple[str, ...]) -> set[str]:
    """Return what a trait depends on: a computed one also on the orders."""
    return {f"trait:{path[0]}"} | ({f"event:{ORDER}"} if path[0] in COMPUTED_TRAITS else set())


def condition_tokens(condition: Condition) -> set[str]:
    """Return the trait that a condition's reference depends on."""
    reference = condition.reference
    return trait_tokens(reference.path) if reference and reference.kind == "trait" else set()


def zone_tokens(timezone: str) -> set[str]:
    """Return the trait that a definition in the profile's time zone depends on."""
    return {f"trait:{ZONE_TRAIT}"} if timezone == PROFILE_ZONE else set()
