"""The messages that benchmarks send: a shop's, about 400 bytes each, the same for the same seed."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import orjson

EVENTS = ("Page Viewed", "Product Viewed", "Product Added", "Order Completed", "Email Opened", "App Opened")
CATEGORIES = ("shoes", "bags", "dresses", "coats", "kids", "sport", "home", "beauty", "books", "toys")
COUNTRIES = ("DE", "FR", "US", "GB", "NL", "ES", "IT", "PL")


def track(random: Random, *, person: int, message_id: str, at: datetime) -> dict[str, Any]:
    """Return a `track` of a known person on one device."""
    event = random.choices(EVENTS, weights=(40, 30, 10, 5, 10, 5))[0]
    properties: dict[str, Any] = {
        "category": random.choice(CATEGORIES),
        "product_id": f"p{random.randrange(20_000)}",
        "channel": "web",
        "position": random.randrange(50),
    }
    if event == "Order Completed":
        properties |= {"order_id": message_id, "revenue": round(random.lognormvariate(3.6, 0.8), 2), "currency": "EUR"}
    return {
        "type": "track",
        "event": event,
        "messageId": message_id,
        "userId": f"u{person}",
        "anonymousId": f"a{person}",
        "timestamp": at.isoformat(timespec="milliseconds"),
        "originalTimestamp": at.isoformat(timespec="milliseconds"),
        "properties": properties,
        "context": {"page": {"path": f"/p/{random.randrange(9999)}"}, "locale": "en-GB", "library": {"name": "bench"}},
    }


def identify(random: Random, *, person: int, message_id: str, at: datetime) -> dict[str, Any]:
    """Return an `identify` that links user id, device and e-mail."""
    return {
        "type": "identify",
        "messageId": message_id,
        "userId": f"u{person}",
        "anonymousId": f"a{person}",
        "timestamp": at.isoformat(timespec="milliseconds"),
        "originalTimestamp": at.isoformat(timespec="milliseconds"),
        "traits": {
            "email": f"u{person}@example.org",
            "country": random.choice(COUNTRIES),
            "plan": random.choice(("free", "basic", "pro", "business")),
            "score": round(random.gammavariate(2, 30), 2),
        },
    }


def messages(
    seed: int, *, count: int, people: int, first_person: int = 0, days: float = 90, named: str = ""
) -> list[bytes]:
    """Return `count` messages of `people` different people, one `identify` in four, as JSON.

    Message ``n`` belongs to person ``first_person + n mod people``; `named` begins the message ids.
    """
    random = Random(seed)
    now = datetime.now(UTC)
    made = []
    for place in range(count):
        at = now - timedelta(seconds=random.random() * days * 86_400)
        make = identify if random.random() < 0.25 else track
        person = first_person + place % people
        made.append(orjson.dumps(make(random, person=person, message_id=f"{named}-{seed}-{place}", at=at)))
    return made


def batch_body(items: list[bytes]) -> bytes:
    """Return the body of a batch request."""
    return b'{"batch":[' + b",".join(items) + b"]}"
