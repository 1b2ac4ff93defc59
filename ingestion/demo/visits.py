"""Invent what people did on the web site: visits round their real purchases, and carts that they left.

A visit is drawn from the basket that it prepares, so that what was looked at is what was bought; a left cart follows a
purchase by one to three days and is never bought by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from random import Random
from typing import Any

from ingestion.demo.people import SEED, Account, Device, Household
from ingestion.demo.reading import Basket

PLANNED_SHARE = 0.34
LEFT_SHARE = 0.08
REFUND_SHARE = 0.008


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit: what was looked at and how far it got.

    `products` are places in the basket's lines. `order_id` is set where a checkout was started: the basket's own if the
    goods were fetched at the till, one that never completes if the cart was left.
    """

    key: str
    at: datetime
    account: Account
    device: Device
    signed_in: bool
    products: tuple[int, ...]
    added: int
    order_id: str
    link: int | None
    gaps_seconds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refund:
    """An invented refund of a real order: of one line (`line` is its place), or of everything (None)."""

    at: datetime
    line: int | None


def invent_visit(basket: Basket, household: Household, *, end: datetime) -> Visit | None:
    """Return the visit that goes with the basket, if there is one.

    Parameters
    ----------
    end : datetime
        The end of the data: nothing happens after it.
    """
    if not household.accounts:
        return None
    drawn = _draw("visit", basket.id)
    left = PLANNED_SHARE <= drawn < PLANNED_SHARE + LEFT_SHARE
    if drawn >= PLANNED_SHARE + LEFT_SHARE:
        return None
    random = Random(f"{SEED}:visit:{basket.id}")  # noqa: S311 - invented visits need no secrecy
    hours = random.uniform(20, 72) if left else -random.uniform(0.5, 30)
    at = basket.at + timedelta(seconds=round(hours * 3600))
    account = random.choice(household.accounts)
    devices = [device for device in account.devices if device.first_seen_at <= at]
    if not devices or at > end - timedelta(hours=1):
        return None
    device = random.choice(devices)
    products = tuple(sorted(random.sample(range(len(basket.lines)), min(len(basket.lines), random.randint(1, 3)))))
    added = random.randint(1, len(products)) if left or random.random() < 0.5 else 0
    checkout = added > 0 and random.random() < (0.5 if left else 0.6)
    return Visit(
        key=str(basket.id),
        at=at,
        account=account,
        device=device,
        signed_in=device.login_at is not None and device.login_at <= at,
        products=products,
        added=added,
        order_id=(f"left-{basket.id}" if left else str(basket.id)) if checkout else "",
        link=random.randrange(3) if random.random() < 0.2 else None,
        gaps_seconds=tuple(random.randint(5, 90) for _ in range(9)),
    )


def invent_refund(basket: Basket, *, end: datetime) -> Refund | None:
    """Return the refund of the order, if there is one: about one in 125, one to nine days later."""
    if _draw("refund", basket.id) >= REFUND_SHARE:
        return None
    random = Random(f"{SEED}:refund:{basket.id}")  # noqa: S311 - invented refunds need no secrecy
    at = basket.at + timedelta(days=random.randint(1, 9), minutes=random.randint(-240, 240))
    if at > end:
        return None
    return Refund(at, random.randrange(len(basket.lines)) if random.random() < 0.8 else None)


def steps_of(visit: Visit) -> Iterator[tuple[str, datetime, int | None]]:
    """Yield the visit's steps as (kind, time, place of the product in the basket)."""
    at = visit.at
    gaps: Any = iter(visit.gaps_seconds)
    yield "home", at, None
    for place, product in enumerate(visit.products):
        at += timedelta(seconds=next(gaps))
        yield "viewed", at, product
        if place < visit.added:
            at += timedelta(seconds=next(gaps))
            yield "added", at, product
    if visit.order_id:
        at += timedelta(seconds=next(gaps))
        yield "checkout", at, None


def _draw(about: str, basket_id: int) -> float:
    """Return a number in [0, 1) that belongs to the basket; a generator of its own would cost ten times as much."""
    digest = sha256(f"{SEED}:{about}:{basket_id}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
