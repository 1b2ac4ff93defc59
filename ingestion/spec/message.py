"""What reading an item gives: a message, or a fault."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

MESSAGE_TYPES = frozenset({"track", "identify", "page", "screen", "group", "alias"})

# Collection path → the type that a message has when its own is missing; "" for lists of messages.
ENDPOINTS = {
    "batch": "",
    "b": "",
    "import": "",
    "track": "track",
    "t": "track",
    "identify": "identify",
    "i": "identify",
    "page": "page",
    "p": "page",
    "screen": "screen",
    "s": "screen",
    "group": "group",
    "g": "group",
    "alias": "alias",
    "a": "alias",
    "merge": "merge",
}

Identifier = tuple[str, str, str]
"""Type key, normalised value, value as given."""


@dataclass(slots=True)
class Message:
    """An item that was read; every value in it can be stored.

    Attributes
    ----------
    type : str
        One of `MESSAGE_TYPES`, or ``merge`` for the link call.
    message_id : str
        As sent, or made by the caller's function.
    name : str
        Event name of a track, name of a page or screen, else ``""``.
    occurred_at : datetime
        Corrected by the sender's clock, never after receipt. UTC.
    original_timestamp : str or None
        The device's time as given, readable or not.
    sent_at : datetime or None
        The sender's clock at sending, of the item or else of its batch. UTC.
    properties, context, integrations : dict
        Without NUL, surrogates or numbers that no database holds.
    traits : dict or None
        Of an identify (its own over those of its context) or a group; else None.
    user_id, anonymous_id, previous_id, group_id : str
        As given (numbers as text), ``""`` where absent.
    identifiers : list
        Strongest type first.
    warnings : list of str
        Codes of what was changed or left out.
    """

    type: str
    message_id: str
    name: str
    occurred_at: datetime
    original_timestamp: str | None
    sent_at: datetime | None
    properties: dict[str, Any]
    traits: dict[str, Any] | None
    context: dict[str, Any]
    integrations: dict[str, Any]
    user_id: str
    anonymous_id: str
    previous_id: str
    group_id: str
    identifiers: list[Identifier]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an item cannot be a message.

    `message_id` is the id as sent where one could be read, else ``""``. `message` holds no personal data.
    """

    code: str
    message: str
    message_id: str = ""


class Faulty(Exception):
    """Internal to the package: carries a fault out of a reader."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class BadItem:
    """An item that strict JSON refuses; `item` is what of it can be stored."""

    code: str
    message: str
    item: dict[str, Any] = field(default_factory=dict)
