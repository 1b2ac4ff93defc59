"""all, any, not, everyone: two-valued logic over the universe of live profiles (rule 1)."""

# ruff: noqa: ARG002 - every kind of condition has the same signature

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from segments.language.nodes import Node
from segments.language.person import Moment, Person
from segments.language.plan import Frame, Group, Leaf, Test
from segments.language.windows import earliest


@dataclass(frozen=True, slots=True)
class All(Node):
    """Every child holds."""

    of: tuple[Node, ...]
    type = "all"
    label = "All of these"

    @property
    def children(self) -> tuple[Node, ...]:
        return self.of

    def sentence(self) -> str:
        return " and ".join(_bracketed(child) for child in self.of)

    def holds(self, person: Person, at: Moment) -> bool:
        return all(child.holds(person, at) for child in self.of)

    def observe(self, person: Person, at: Moment) -> Any:
        return {"true": sum(child.holds(person, at) for child in self.of), "of": len(self.of)}

    def compile(self, frame: Frame) -> Test:
        plan = frame.plan
        # Where a false child is waited for, the others have to be right as well: see `_next`.
        gates = () if plan.timed or plan.some else ((child, child.gate(frame)) for child in self.of)
        narrow, gate = next(((child, found) for child, found in gates if found), (None, ""))
        return Group(
            "all",
            tuple(
                child.compile_within(frame, gate) if gate and child is not narrow else child.compile(frame)
                for child in self.of
            ),
        )

    def tokens(self) -> set[str]:
        return _tokens(self.of)

    def next_change(self, person: Person, at: Moment) -> datetime | None:
        failing = [child for child in self.of if not child.holds(person, at)]
        return _next(self.of, failing, person, at)

    def runs_at(self, frame: Frame) -> datetime | None:
        return earliest(child.runs_at(frame) for child in self.of)


@dataclass(frozen=True, slots=True)
class AnyOf(Node):
    """At least one child holds."""

    of: tuple[Node, ...]
    type = "any"
    label = "Any of these"

    @property
    def children(self) -> tuple[Node, ...]:
        return self.of

    def sentence(self) -> str:
        return " or ".join(_bracketed(child) for child in self.of)

    def holds(self, person: Person, at: Moment) -> bool:
        return any(child.holds(person, at) for child in self.of)

    def observe(self, person: Person, at: Moment) -> Any:
        return {"true": sum(child.holds(person, at) for child in self.of), "of": len(self.of)}

    def compile(self, frame: Frame) -> Test:
        return Group("any", tuple(child.compile(frame) for child in self.of))

    def tokens(self) -> set[str]:
        return _tokens(self.of)

    def next_change(self, person: Person, at: Moment) -> datetime | None:
        holding = [child for child in self.of if child.holds(person, at)]
        return _next(self.of, holding, person, at)

    def runs_at(self, frame: Frame) -> datetime | None:
        return earliest(child.runs_at(frame) for child in self.of)


@dataclass(frozen=True, slots=True)
class Not(Node):
    """The child does not hold."""

    of: Node
    type = "not"
    label = "Not"

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.of,)

    def sentence(self) -> str:
        return f"not ({self.of.sentence()})"

    def holds(self, person: Person, at: Moment) -> bool:
        return not self.of.holds(person, at)

    def observe(self, person: Person, at: Moment) -> Any:
        return {"true": int(self.of.holds(person, at)), "of": 1}

    def compile(self, frame: Frame) -> Test:
        return Group("not", (self.of.compile(frame),))

    def tokens(self) -> set[str]:
        return self.of.tokens()

    def next_change(self, person: Person, at: Moment) -> datetime | None:
        return self.of.next_change(person, at)

    def runs_at(self, frame: Frame) -> datetime | None:
        return self.of.runs_at(frame)


@dataclass(frozen=True, slots=True)
class Everyone(Node):
    """Every live profile."""

    type = "everyone"
    label = "Everyone"

    def sentence(self) -> str:
        return "is anyone"

    def holds(self, person: Person, at: Moment) -> bool:
        return True

    def observe(self, person: Person, at: Moment) -> Any:
        return None

    def compile(self, frame: Frame) -> Test:
        return Leaf("true")

    def tokens(self) -> set[str]:
        return set()


def _bracketed(child: Node) -> str:
    several = isinstance(child, All | AnyOf) and len(child.of) > 1
    return f"({child.sentence()})" if several else child.sentence()


def _tokens(nodes: tuple[Node, ...]) -> set[str]:
    return {token for node in nodes for token in node.tokens()}


def _next(children: tuple[Node, ...], decisive: list[Node], person: Person, at: Moment) -> datetime | None:
    """Combine children: while one decisive child (a false one of `all`, a true one of `any`) stands, nothing changes.

    So the answer cannot change before the last of the decisive ones may; without one, any child may change it.
    """
    if not decisive:
        return earliest(child.next_change(person, at) for child in children)
    changes = [child.next_change(person, at) for child in decisive]
    known = [change for change in changes if change is not None]
    return max(known) if len(known) == len(changes) else None
