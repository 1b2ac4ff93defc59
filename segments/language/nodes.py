"""What every kind of condition has: its JSON, its English, its reference evaluation and its SQL, side by side."""

# ruff: noqa: ARG002 - every kind of condition has the same signature

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from segments.language.person import Moment, Person
from segments.language.plan import Frame, Test


@dataclass(frozen=True, slots=True)
class Node(ABC):
    """A condition about a person; `path` is its place in the definition's JSON, e.g. `match.of[0]`.

    Attributes
    ----------
    type : str
        Its name in JSON.
    label : str
        What a form calls a row of this kind.
    """

    path: str

    type: ClassVar[str] = ""
    label: ClassVar[str] = ""

    @property
    def children(self) -> tuple["Node", ...]:
        """The nodes below."""
        return ()

    def walk(self) -> Iterator["Node"]:
        """Yield this node and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()

    @abstractmethod
    def sentence(self) -> str:
        """Return the condition in English, as a phrase about the person."""

    @abstractmethod
    def holds(self, person: Person, at: Moment) -> bool:
        """Evaluate the condition: the reference for all engines."""

    @abstractmethod
    def observe(self, person: Person, at: Moment) -> Any:
        """Return what was found, as JSON, to explain the result."""

    @abstractmethod
    def compile(self, frame: Frame) -> Test:
        """Add sources to the plan and return the test over them."""

    def gate(self, frame: Frame) -> str | None:
        """Return a sub-select of few people, found cheaply, outside of whom the node is false; None without one."""
        return None

    def compile_within(self, frame: Frame, gate: str) -> Test:
        """Compile for people inside a gate; for others the test may say anything."""
        return self.compile(frame)

    @abstractmethod
    def tokens(self) -> set[str]:
        """Return what a change has to touch to matter: `trait:plan`, `event:Order Completed`, `segment:vip`, …"""

    def next_change(self, person: Person, at: Moment) -> datetime | None:
        """Return the next instant after `now` at which the answer could change by itself, until `runs_at`.

        None means never. Early is allowed (the answer is then found unchanged), late is not.
        """
        return None

    def runs_at(self, frame: Frame) -> datetime | None:
        """Return when everyone has to be looked at again, whatever `next_change` says; None means never."""
        return None


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a node needs to know about its place."""

    path: str
    depth: int = 1

    def below(self, suffix: str, *, deeper: bool = True) -> "Reading":
        """Return the reading of a node below this one."""
        return Reading(f"{self.path}{suffix}", self.depth + deeper)
