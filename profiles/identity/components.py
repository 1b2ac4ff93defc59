"""What hangs together: components of identifiers over edges."""

from collections.abc import Iterable

Edge = tuple[int, int]


def reachable(start: Iterable[int], edges: Iterable[Edge]) -> set[int]:
    """Return the identifiers that hang together with those of `start`, those included."""
    neighbours: dict[int, list[int]] = {}
    for a, b in edges:
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    found = set(start)
    frontier = list(found)
    while frontier:
        for other in neighbours.get(frontier.pop(), ()):
            if other not in found:
                found.add(other)
                frontier.append(other)
    return found


def components(members: Iterable[int], edges: Iterable[Edge]) -> list[set[int]]:
    """Return the components of `members`, the one with the smallest identifier first; edges that leave them are none.

    One pass over the edges: a profile may hold thousands of identifiers.
    """
    parent = {one: one for one in members}

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for a, b in edges:
        if a in parent and b in parent:
            one, other = root(a), root(b)
            parent[max(one, other)] = min(one, other)
    parts: dict[int, set[int]] = {}
    for one in sorted(parent):
        parts.setdefault(root(one), set()).add(one)
    return list(parts.values())


def hold_together(members: set[int], edges: Iterable[Edge]) -> list[Edge]:
    """Return the edges that must be added to make one component of `members`: from the smallest to each part's."""
    first, *others = components(members, edges)
    return [(min(first), min(part)) for part in others]
