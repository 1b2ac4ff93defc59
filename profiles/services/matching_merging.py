"""Merges that a matching model decides: through the same services as every other, so that each can be undone.

No blocked edge is lifted, no limit broken, nobody restricted or suppressed is touched: what stands against a merge
leaves the pair as it is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from cdp.core import locks
from cdp.core.copying import int_array
from cdp.core.services import audit
from profiles.errors import BusyProfile
from profiles.identity.graph import Claim, EdgeRecord, Graph, Group, LinkKind, find
from profiles.identity.resolve import join
from profiles.models import IdentifierType, Merge
from profiles.queries.matching_records import barred_from_matching
from profiles.services.graphs import GROUPS
from profiles.services.guarding import refuse_while_busy
from profiles.services.merging import apply_merges, write_edges
from profiles.services.retrying import retry_deadlocks
from profiles.services.splitting import note_work

STRONGEST = """
SELECT DISTINCT ON (i.profile_id) i.profile_id, i.id
FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
WHERE i.profile_id = ANY(%s::bigint[]) ORDER BY i.profile_id, t.priority, i.first_seen_at, i.id
"""
BLOCKED = """
SELECT i.profile_id, j.profile_id FROM profiles_edge e
JOIN profiles_identifier i ON i.id = e.a JOIN profiles_identifier j ON j.id = e.b
WHERE e.state = 3 AND i.profile_id = ANY(%s::bigint[]) AND j.profile_id = ANY(%s::bigint[])
"""
COUNTS = """
SELECT profile_id, type_id, count(*) FROM profiles_identifier WHERE profile_id = ANY(%s::bigint[])
GROUP BY profile_id, type_id
"""
RESTRICTED = "SELECT id FROM profiles_profile WHERE restricted AND id = ANY(%s::bigint[])"


@dataclass(frozen=True, slots=True)
class Matched:
    """Two profiles to be joined, by their identifiers' present holders, and how likely they are one person."""

    left: int
    right: int
    probability: float


@retry_deadlocks
def merge_matched(*, pairs: Sequence[Matched], model: str, actor: str, now: datetime) -> list[int]:
    """Join profiles that a model takes for one person.

    Parameters
    ----------
    pairs : sequence of Matched
        Few enough for one transaction.
    model : str
        Key and version, for the ledger.

    Returns
    -------
    list of int
        Ids of the merges. Pairs that something stands against, or that are one already, are left out.
    """
    ids = {one for pair in pairs for one in (pair.left, pair.right)}
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        literal = int_array(ids)
        cursor.execute(GROUPS, [literal])
        groups = {row[0]: Group(row[0], row[1], row[2], row[3], row[4]) for row in cursor.fetchall()}
        cursor.execute(RESTRICTED, [literal])
        barred = {row[0] for row in cursor.fetchall()} | barred_from_matching(groups) | _busy(cursor, groups)
        cursor.execute(BLOCKED, [literal, literal])
        blocked = {frozenset(row) for row in cursor.fetchall()}
        cursor.execute(COUNTS, [literal])
        for profile_id, type_id, count in cursor.fetchall():
            groups[profile_id].counts[type_id] = count
        limits = {row.pk: row.value_limit for row in IdentifierType.objects.all() if row.value_limit is not None}
        cursor.execute(STRONGEST, [literal])
        strongest = dict(cursor.fetchall())
        graph = Graph({}, set(), {}, iter(()), iter(()), iter(()))
        claim = Claim([], "", 0, now, now, f"model {model}")
        edges: list[EdgeRecord] = []
        scores: list[float] = []
        for pair in pairs:
            if pair.left not in groups or pair.right not in groups or {pair.left, pair.right} & barred:
                continue
            one, other = find(groups[pair.left]), find(groups[pair.right])
            if one is other or _are_apart(one, other, blocked) or _breaks_limit(one, other, limits):
                continue
            join(graph, claim, [one, other], kind=LinkKind.MODEL)
            a, b = sorted((strongest[pair.left], strongest[pair.right]))
            edges.append(EdgeRecord(a, b, claim, LinkKind.MODEL, graph.merges[-1]))
            scores.append(pair.probability)
        rows = apply_merges(cursor, graph.merges, now=now, actor=actor)
        write_edges(cursor, edges, rows, now=now)
        made = [rows[id(merge)] for merge in graph.merges]
        cursor.execute(
            "UPDATE profiles_merge m SET score = t.s FROM unnest(%s::bigint[], %s::float8[]) AS t(id, s) "
            "WHERE m.id = t.id",
            [made, scores],
        )
        kept = {find(merge.group).id for merge in graph.merges}
        note_work(cursor, sorted(kept), "merge", now)
        audit.record_all(
            (
                audit.Act(
                    actor,
                    "profile.merged",
                    f"profile:{merge.survivor_uuid}",
                    {"merge": merge.pk, "absorbed": str(merge.absorbed_uuid), "model": model},
                )
                for merge in Merge.objects.filter(pk__in=made).order_by("id")
            ),
            now=now,
        )
    return made


def _busy(cursor: object, profile_ids: Iterable[int]) -> set[int]:
    """Return those whose events are being moved, or that are being erased."""
    ids = list(profile_ids)
    try:
        refuse_while_busy(cursor, ids)
    except BusyProfile:
        return {one for one in ids if _is_busy(cursor, one)}
    return set()


def _is_busy(cursor: object, profile_id: int) -> bool:
    try:
        refuse_while_busy(cursor, [profile_id])
    except BusyProfile:
        return True
    return False


def _are_apart(one: Group, other: Group, blocked: set[frozenset[int]]) -> bool:
    return bool(blocked) and any(frozenset((a, b)) in blocked for a in one.profile_ids for b in other.profile_ids)


def _breaks_limit(one: Group, other: Group, limits: dict[int, int]) -> bool:
    return any(
        one.counts.get(type_id, 0) + other.counts.get(type_id, 0) > limit
        and one.counts.get(type_id, 0)
        and other.counts.get(type_id, 0)
        for type_id, limit in limits.items()
    )
