"""What the undo of a merge would give each side, worked out before anything is changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cdp.core.copying import int_array
from profiles.identity.components import Edge, components, reachable
from profiles.models import Merge

ACTIVE = """
SELECT a, b, merge_id FROM profiles_edge
WHERE state = 1 AND a = ANY(%(ids)s::bigint[]) AND b = ANY(%(ids)s::bigint[])
"""
HELD = "SELECT id FROM profiles_identifier WHERE profile_id = %s"
ABSORBED = """
SELECT x.uuid::text, x.merge_id, m.survivor_uuid::text, m.absorbed_created_at, m.absorbed_identifier_ids
FROM profiles_absorbedid x JOIN profiles_merge m ON m.id = x.merge_id
WHERE x.profile_id = ANY(%s::bigint[]) ORDER BY x.merge_id, x.uuid
"""


@dataclass(frozen=True, slots=True)
class Sides:
    """The identifiers of the absorbed side (`leaving`) and of the other, and the edges that an undo blocks."""

    staying: set[int]
    leaving: set[int]
    blocked: set[Edge]
    remaining: set[Edge]


@dataclass(frozen=True, slots=True)
class Absorbed:
    """A public id that a merge absorbed. `own` are the identifiers that it had without those it had absorbed itself."""

    uuid: str
    merge_id: int
    created_at: Any
    own: frozenset[int]


def read_held(cursor: Any, profile_id: int) -> set[int]:
    """Return the ids of a profile's identifiers."""
    cursor.execute(HELD, [profile_id])
    return {row[0] for row in cursor.fetchall()}


def active_edges(cursor: Any, identifier_ids: Iterable[int]) -> set[Edge]:
    """Return the active edges among identifiers."""
    cursor.execute(ACTIVE, {"ids": int_array(identifier_ids)})
    return {(a, b) for a, b, _ in cursor.fetchall()}


def find_sides(cursor: Any, *, merge: Merge, profile_id: int) -> Sides | None:
    """Return the sides of a merge within the profile that it is part of; None if there is only one left.

    Notes
    -----
    An identifier that came after the merge is on the side that it hangs on; on the survivor's where it hangs on both.
    Links that arose later between the two sides are blocked with the merge's own.
    """
    held = read_held(cursor, profile_id)
    then_absorbed = set(merge.absorbed_identifier_ids) & held
    if not then_absorbed or then_absorbed == held:
        return None
    cursor.execute(ACTIVE, {"ids": int_array(held)})
    rows = cursor.fetchall()
    edges = {(a, b) for a, b, _ in rows}
    own = {(a, b) for a, b, merge_id in rows if merge_id == merge.pk}
    # Where the merge's own edges touched the other side; from there on the side is what hangs together without it.
    then_survivor = {one for edge in own for one in edge} - then_absorbed
    if then_survivor:
        rest = edges - own
        staying = reachable(then_survivor, (edge for edge in rest if not then_absorbed & set(edge)))
        leaving = reachable(then_absorbed, (edge for edge in rest if not staying & set(edge)))
    else:
        # What joined them was taken back already, and something later holds them together.
        leaving = then_absorbed
    crossing = {edge for edge in edges if (edge[0] in leaving) != (edge[1] in leaving)}
    blocked = own | crossing
    return Sides(held - leaving, leaving, blocked, edges - blocked)


def list_absorbed(cursor: Any, profile_ids: Sequence[int]) -> list[Absorbed]:
    """Return the public ids that profiles absorbed, in the order in which that happened."""
    cursor.execute(ABSORBED, [int_array(profile_ids)])
    rows = cursor.fetchall()
    inner: dict[str, set[int]] = {}
    for _, _, survivor, _, identifiers in rows:
        inner.setdefault(survivor, set()).update(identifiers)
    return [
        Absorbed(uuid, merge_id, created_at, frozenset(set(identifiers) - inner.get(uuid, set()) or identifiers))
        for uuid, merge_id, _, created_at, identifiers in rows
    ]


def parts_of(sides: Sides) -> tuple[list[set[int]], list[set[int]]]:
    """Return the components of the side that stays and of the one that leaves."""
    return components(sides.staying, sides.remaining), components(sides.leaving, sides.remaining)
