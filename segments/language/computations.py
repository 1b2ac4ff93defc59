"""Computed traits: a value per person, from what they did, from a table of criteria with weights, or from RFM ranks.

Each kind has its JSON, its English, its reference evaluation and its SQL side by side, as conditions have.
"""

# ruff: noqa: ARG002 - every kind of computation has the same signature

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from segments.language.nodes import Node
from segments.language.person import Moment, Person
from segments.language.plan import Frame


@dataclass(frozen=True, slots=True)
class Column:
    """A computed trait as SQL over the joined sources of a plan.

    Attributes
    ----------
    value : str
        Expression of type jsonb; null means that the person has none.
    next_at : str or None
        Expression for the next instant at which the value could change by itself; None means never.
    """

    value: str
    next_at: str | None = None


@dataclass(frozen=True, slots=True)
class Computation(ABC):
    """How a computed trait is found; `path` is its place in the definition's JSON."""

    path: str

    type: ClassVar[str] = ""
    label: ClassVar[str] = ""

    @property
    def default(self) -> Any:
        """What everybody has for whom nothing else is stored; None: no value."""
        return None

    @property
    def conditions(self) -> Iterator[Node]:
        """The nodes inside, for checks."""
        return iter(())

    @abstractmethod
    def sentence(self) -> str:
        """Return it in English, as a noun phrase."""

    @abstractmethod
    def compute(self, person: Person, at: Moment) -> Any:
        """Return the value: the reference for all engines."""

    @abstractmethod
    def column(self, frame: Frame) -> Column:
        """Add sources to the plan and return the value over them."""

    @abstractmethod
    def tokens(self) -> set[str]:
        """Return what a change has to touch to matter, as `Node.tokens`."""

    def runs_at(self, frame: Frame) -> datetime | None:
        """Return when everyone has to be looked at again; None means never."""
        return None


@dataclass(frozen=True, slots=True)
class TraitDefinition:
    """A parsed definition of a computed trait."""

    timezone: str
    compute: Computation
