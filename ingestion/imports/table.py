"""What readers of all formats yield."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that the format itself makes unreadable. `message` holds no personal data."""

    code: str
    message: str


Row = list[Any] | dict[str, Any] | Unreadable
"""Cells in the order of the columns; an object of JSON Lines; or a fault."""
