"""Conditions on the properties and the context of one event: `where` and `has`."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from segments.language.condition_reading import read_condition
from segments.language.condition_reference import Clock, satisfied
from segments.language.condition_sql import Place, condition_sql
from segments.language.conditions import Condition, Ref
from segments.language.nodes import Reading
from segments.language.person import Event, Moment, Person
from segments.language.plan import Frame, Rows
from segments.language.reading import fault, join, read_choice, read_list, read_object, read_path
from segments.language.sessions import SESSION, SESSION_NUMBERS, session_properties
from segments.language.traits import condition_tokens, trait_place, trait_values
from segments.language.values import candidates

MAX_DEPTH = 10
MAX_CONDITIONS = 100
CONTEXT = "context"


@dataclass(frozen=True, slots=True)
class Seen:
    """The event that is looked at, with the earlier events of its sequence."""

    person: Person
    at: Moment
    event: Event
    steps: Mapping[int, Event]


@dataclass(frozen=True, slots=True)
class EventRows:
    """The rows of an event in SQL: the alias of its table, those of earlier steps, and the names of the event."""

    rows: Rows
    alias: str
    steps: Mapping[int, str]
    names: tuple[str, ...] = ()


class PropertyNode(ABC):
    """A condition about one event."""

    @abstractmethod
    def sentence(self) -> str:
        """Return the condition in English."""

    @abstractmethod
    def holds(self, seen: Seen) -> bool:
        """Evaluate the condition on an event."""

    @abstractmethod
    def sql(self, frame: Frame, event: EventRows) -> str:
        """Return the condition as an expression in which null counts as false."""

    @abstractmethod
    def leaves(self) -> Iterator["Property"]:
        """Yield the comparisons."""


@dataclass(frozen=True, slots=True)
class Property(PropertyNode):
    """A property compared with a value; the prefix `context.` reads the context instead."""

    property: tuple[str, ...]
    condition: Condition

    def sentence(self) -> str:
        return f"{'.'.join(self.property)} {self.condition.words()}"

    def holds(self, seen: Seen) -> bool:
        clock = Clock(seen.at.now, seen.at.zone_for(seen.person))
        looked_up = trait_values(self.condition, seen.person)
        reference = self.condition.reference
        if reference is not None and reference.kind == "step":
            looked_up = event_values(seen.steps[reference.step], reference.path)
        return satisfied(self.condition, event_values(seen.event, self.property), looked_up, clock)

    def sql(self, frame: Frame, event: EventRows) -> str:
        def look_up(reference: Ref) -> Place:
            if reference.kind == "trait":
                return trait_place(reference, frame.plan, event.rows)
            return event_place(event.steps[reference.step], reference.path)

        place = event_place(event.alias, self.property, event.names)
        return condition_sql(self.condition, place, frame, event.rows, look_up).test

    def leaves(self) -> Iterator["Property"]:
        yield self


@dataclass(frozen=True, slots=True)
class PropertyGroup(PropertyNode):
    """Conditions joined by all, any or not (one child)."""

    kind: str
    of: tuple[PropertyNode, ...]

    def sentence(self) -> str:
        if self.kind == "not":
            return f"not ({self.of[0].sentence()})"
        word = " and " if self.kind == "all" else " or "
        return word.join(
            f"({child.sentence()})" if isinstance(child, PropertyGroup) and len(child.of) > 1 else child.sentence()
            for child in self.of
        )

    def holds(self, seen: Seen) -> bool:
        if self.kind == "not":
            return not self.of[0].holds(seen)
        return (all if self.kind == "all" else any)(child.holds(seen) for child in self.of)

    def sql(self, frame: Frame, event: EventRows) -> str:
        if self.kind == "not":
            return f"not coalesce({self.of[0].sql(frame, event)}, false)"
        word = " and " if self.kind == "all" else " or "
        return f"({word.join(child.sql(frame, event) for child in self.of)})"

    def leaves(self) -> Iterator[Property]:
        for child in self.of:
            yield from child.leaves()


def event_values(event: Event, path: tuple[str, ...]) -> list[Any]:
    """Return what lies at a path of an event's properties, or of its context with the prefix `context`."""
    if len(path) > 1 and path[0] == CONTEXT:
        return list(candidates(dict(event.context or {}), path[1:]))
    return list(candidates(dict(event.properties or {}), path))


def event_place(alias: str, path: tuple[str, ...], names: tuple[str, ...] = ()) -> Place:
    """Return where a path of an event of some names lies in SQL."""
    if len(path) > 1 and path[0] == CONTEXT:
        return Place(f"{alias}.context", path[1:])
    if names == (SESSION,):
        number = f"{alias}.{path[0]}::numeric" if len(path) == 1 and path[0] in SESSION_NUMBERS else ""
        return Place(session_properties(alias, path[0]), path, number=number)
    return Place(f"{alias}.properties", path)


def property_tokens(node: PropertyNode | None) -> set[str]:
    """Return the traits that a where clause refers to."""
    return {token for leaf in node.leaves() for token in condition_tokens(leaf.condition)} if node else set()


def read_property_node(value: Any, reading: Reading, *, steps: int = 0) -> PropertyNode:
    """Read a where clause.

    Parameters
    ----------
    steps : int
        How many earlier steps its references may name.
    """
    node = _read(value, Reading(reading.path), steps)
    count = sum(1 for _ in node.leaves())
    if count > MAX_CONDITIONS:
        raise fault(reading.path, "limit", f"has {count} conditions; at most {MAX_CONDITIONS} are allowed")
    return node


def _read(value: Any, reading: Reading, steps: int) -> PropertyNode:
    if reading.depth > MAX_DEPTH:
        raise fault(reading.path, "limit", f"conditions may be nested at most {MAX_DEPTH} levels deep")
    if isinstance(value, dict) and "type" in value:
        data = read_object(value, reading.path, required=("type", "of"))
        kind = read_choice(data["type"], join(reading.path, "type"), ("all", "any", "not"))
        if kind == "not":
            return PropertyGroup(kind, (_read(data["of"], reading.below(".of"), steps),))
        children = read_list(
            data["of"],
            join(reading.path, "of"),
            lambda item, path: _read(item, Reading(path, reading.depth + 1), steps),
            most=MAX_CONDITIONS,
        )
        return PropertyGroup(kind, children)
    data = read_object(value, reading.path, required=("property", "op"), optional=("cast", "value"))
    path = read_path(data["property"], join(reading.path, "property"))
    return Property(path, read_condition(data, reading.path, steps=steps))
