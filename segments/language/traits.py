"""trait: what is known about the person now."""

# ruff: noqa: ARG002 - every kind of condition has the same signature

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from segments.language import conditions
from segments.language.condition_sql import Place, condition_sql
from segments.language.conditions import Clock, Condition, Ref, next_change, read_condition, satisfied
from segments.language.nodes import Node, Reading
from segments.language.person import PROFILE_ZONE, ZONE_TRAIT, Moment, Person
from segments.language.plan import Frame, Rows, Test
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
        place = Place(rows.traits_sql(), self.trait, normal=True)
        return condition_sql(self.condition, place, frame, rows, lambda ref: trait_place(ref, rows))

    def tokens(self) -> set[str]:
        return {f"trait:{self.trait[0]}"} | condition_tokens(self.condition)

    def next_change(self, person: Person, at: Moment) -> datetime | None:
        return next_change(self.condition, self._found(person), Clock(at.now, at.zone_for(person)))

    def runs_at(self, frame: Frame) -> datetime | None:
        now = frame.plan.now
        return earliest(conditions.runs_at(self.condition, Clock(now, tz)) for tz in frame.zones())

    def _found(self, person: Person) -> list[Any]:
        return list(candidates(dict(person.traits), self.trait))


def read_trait(data: Mapping[str, Any], reading: Reading) -> Trait:
    """Read a trait node."""
    data = read_object(data, reading.path, required=("type", "path", "op"), optional=TRAIT_KEYS)
    trait = read_path(data["path"], join(reading.path, "path"))
    return Trait(reading.path, trait, read_condition(data, reading.path))


def trait_values(condition: Condition, person: Person) -> list[Any]:
    """Return the values that a condition's reference to a trait finds."""
    if condition.reference is None or condition.reference.kind != "trait":
        return []
    return list(candidates(dict(person.traits), condition.reference.path))


def trait_place(reference: Ref, rows: Rows) -> Place:
    """Return where a reference to a trait points in SQL."""
    return Place(rows.traits_sql(), reference.path, normal=True)


def condition_tokens(condition: Condition) -> set[str]:
    """Return the trait that a condition's reference depends on."""
    reference = condition.reference
    return {f"trait:{reference.path[0]}"} if reference and reference.kind == "trait" else set()


def zone_tokens(timezone: str) -> set[str]:
    """Return the trait that a definition in the profile's time zone depends on."""
    return {f"trait:{ZONE_TRAIT}"} if timezone == PROFILE_ZONE else set()
