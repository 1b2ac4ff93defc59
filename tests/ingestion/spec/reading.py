"""How the tests of the spec package read bytes: one place for the rules and the clock."""

import itertools
from datetime import UTC, datetime

import orjson

from ingestion.spec.identifiers import DEFAULT_BLOCKED, IdentifierRules
from ingestion.spec.item import read_item
from ingestion.spec.message import Fault, Message
from ingestion.spec.split import split_items

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)

TYPES = [
    ("user_id", 1),
    ("email", 2),
    ("phone", 3),
    ("loyalty_id", 4),
    ("ios.id", 5),
    ("android.id", 5),
    ("device_id", 5),
    ("anonymous_id", 6),
    ("record_id", 9),
]
RULES = IdentifierRules.build((key, priority, DEFAULT_BLOCKED) for key, priority in TYPES)


def read_all(body: bytes, endpoint: str = "batch", *, max_event_bytes: int = 32 * 1024) -> list[Message | Fault]:
    """Read every item of a body; made-up message ids are made-1, made-2, …"""
    numbers = itertools.count(1)
    batch = split_items(body, endpoint)
    return [
        read_item(
            item,
            batch=batch,
            received_at=NOW,
            max_event_bytes=max_event_bytes,
            rules=RULES,
            new_id=lambda: f"made-{next(numbers)}",
        )
        for item in batch.items
    ]


def read_one(endpoint: str = "track", **fields: object) -> Message | Fault:
    """Read one message, by default a good track."""
    document = {"event": "Order Completed", "userId": "u-1", "messageId": "m-1", **fields}
    return read_all(orjson.dumps(document), endpoint)[0]


def message(endpoint: str = "track", **fields: object) -> Message:
    """Read one message that must be good."""
    result = read_one(endpoint, **fields)
    assert isinstance(result, Message), result
    return result


def fault(endpoint: str = "track", **fields: object) -> str:
    """Read one message that must have a fault and return the fault's code."""
    result = read_one(endpoint, **fields)
    assert isinstance(result, Fault), result
    return result.code
