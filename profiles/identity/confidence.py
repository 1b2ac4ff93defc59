"""How sure it is that the identifiers of a profile are one person's: as sure as the weakest link that it needs.

Each edge has a strength between 0 and 1: that of its kind, or of the weaker of its two identifiers, whichever is less.
The confidence of a profile is the strength of the weakest edge that cannot be done without: the least one of a maximum
spanning tree. A further edge beside a weak one can so only raise it. It is an order of trust, not a measured
probability; where the matching model joined two profiles, the edge has the model's own probability.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from profiles.identity.graph import LinkKind

# By the priority of the weaker identifier: something that only one person should have, down to a browser's cookie.
BY_PRIORITY = {1: 0.99, 2: 0.97, 3: 0.95, 4: 0.95, 5: 0.9}
WEAKEST = 0.85
BY_KIND = {LinkKind.STEWARD: 1.0, LinkKind.ALIAS: 0.99, LinkKind.IMPORT: 0.97}


@dataclass(frozen=True, slots=True)
class Link:
    """An active edge with how far it is trusted."""

    id: int
    a: int
    b: int
    strength: float


def strength_of(*, kind: int, priority: int, score: float | None = None) -> float:
    """Return how far an edge is trusted.

    Parameters
    ----------
    kind : int
        A `LinkKind`.
    priority : int
        That of the weaker of the two identifiers; 1 is the strongest.
    score : float or None
        The probability that the matching model gave, if it made the edge.
    """
    if kind == LinkKind.STEWARD:
        # Somebody looked: what they saw may say more than the identifiers do.
        return BY_KIND[LinkKind.STEWARD]
    if kind == LinkKind.MODEL and score is not None:
        return score
    by_type = BY_PRIORITY.get(priority, WEAKEST)
    return min(by_type, BY_KIND.get(LinkKind(kind), 1.0))


def find_weakest(links: Iterable[Link]) -> Link | None:
    """Return the weakest link that cannot be done without; None if nothing had to be joined."""
    parent: dict[int, int] = {}

    def root(one: int) -> int:
        parent.setdefault(one, one)
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    weakest = None
    for link in sorted(links, key=lambda link: (-link.strength, link.id)):
        one, other = root(link.a), root(link.b)
        if one != other:
            parent[other] = one
            weakest = link
    return weakest
