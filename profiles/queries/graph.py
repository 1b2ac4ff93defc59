"""The identifier graph of a profile: what is linked with what, by which message, and how far that is trusted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from cdp.core.access import Principal, show
from cdp.core.copying import int_array
from profiles.errors import NoSuchEdge
from profiles.identity.confidence import Link, find_weakest, strength_of
from profiles.models import Edge, Identifier, Merge
from profiles.queries.profiles import PERSONAL_KINDS

# Beyond, what is drawn and judged would cost more than it tells.
MOST_EDGES = 20_000
EDGES = """
SELECT e.id, e.a, e.b, e.kind, e.rule, e.message_id, e.source_id, e.created_at, e.merge_id, m.score,
    ta.priority, ta.key, tb.priority, tb.key
FROM profiles_identifier i
JOIN profiles_edge e ON e.a = i.id AND e.state = 1
JOIN profiles_identifier j ON j.id = e.b
JOIN profiles_identifiertype ta ON ta.id = i.type_id
JOIN profiles_identifiertype tb ON tb.id = j.type_id
LEFT JOIN profiles_merge m ON m.id = e.merge_id
WHERE i.profile_id = %s ORDER BY e.id LIMIT %s
"""
LINKS = """
SELECT DISTINCT ON (e.merge_id) e.merge_id, e.kind, e.rule, e.source_id, e.created_at,
    CASE WHEN ta.priority > tb.priority THEN ta.key ELSE tb.key END,
    CASE WHEN ta.priority > tb.priority THEN tb.key ELSE ta.key END
FROM profiles_edge e
JOIN profiles_identifier i ON i.id = e.a JOIN profiles_identifiertype ta ON ta.id = i.type_id
JOIN profiles_identifier j ON j.id = e.b JOIN profiles_identifiertype tb ON tb.id = j.type_id
WHERE e.merge_id = ANY(%s::bigint[]) ORDER BY e.merge_id, e.id
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where an edge comes from. `weaker` and `stronger` are the types of its identifiers."""

    kind: int
    rule: str
    source_id: int
    created_at: datetime
    weaker: str
    stronger: str


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """An active edge of a profile, with the types of its two identifiers."""

    id: int
    a: int
    b: int
    type_a: str
    type_b: str
    message_id: str
    merge_id: int | None
    strength: float
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class IdentifierGraph:
    """The active edges of a profile, oldest first. `confidence` is None where they are too many to judge."""

    edges: list[GraphEdge]
    is_whole: bool
    confidence: float | None
    weakest: GraphEdge | None


def read_graph(*, profile_id: int) -> IdentifierGraph:
    """Return the identifier graph of a profile (one statement)."""
    with connection.cursor() as cursor:
        cursor.execute(EDGES, [profile_id, MOST_EDGES + 1])
        rows = cursor.fetchall()
    edges = [_edge(*row) for row in rows[:MOST_EDGES]]
    if len(rows) > MOST_EDGES:
        return IdentifierGraph(edges, False, None, None)
    link = find_weakest(Link(edge.id, edge.a, edge.b, edge.strength) for edge in edges)
    weakest = next((edge for edge in edges if link is not None and edge.id == link.id), None)
    return IdentifierGraph(edges, True, weakest.strength if weakest is not None else 1.0, weakest)


def _edge(  # noqa: PLR0913 - the columns of the statement
    edge_id: int,
    a: int,
    b: int,
    kind: int,
    rule: str,
    message_id: str,
    source_id: int,
    created_at: datetime,
    merge_id: int | None,
    score: float | None,
    priority_a: int,
    type_a: str,
    priority_b: int,
    type_b: str,
) -> GraphEdge:
    weaker, stronger = (type_a, type_b) if priority_a > priority_b else (type_b, type_a)
    strength = strength_of(kind=kind, priority=max(priority_a, priority_b), score=score)
    evidence = Evidence(kind, rule, source_id, created_at, weaker, stronger)
    return GraphEdge(edge_id, a, b, type_a, type_b, message_id, merge_id, strength, evidence)


def find_links(*, merges: Sequence[Merge]) -> dict[int, Evidence]:
    """Return what joined the two sides of merges, by merge (one statement)."""
    if not merges:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(LINKS, [int_array(merge.pk for merge in merges)])
        return {row[0]: Evidence(*row[1:]) for row in cursor.fetchall()}


def get_edge(*, edge_id: int) -> Edge:
    """Return an edge, active or not.

    Raises
    ------
    NoSuchEdge
        If there is none with this id.
    """
    edge = Edge.objects.select_related("merge").filter(pk=edge_id).first()
    if edge is None:
        message = "No edge has this id."
        raise NoSuchEdge(message)
    return edge


def list_blocked() -> QuerySet[Edge]:
    """Return the blocked edges; the caller orders them."""
    return Edge.objects.filter(state=Edge.State.BLOCKED)


def list_edges_of(*, profile_id: int) -> QuerySet[Edge]:
    """Return the active edges of a profile; the caller orders them."""
    held = Identifier.objects.filter(profile_id=profile_id).values("id")
    return Edge.objects.filter(state=Edge.State.ACTIVE, a__in=held)


def find_ends(*, edges: Sequence[Edge]) -> dict[int, Identifier]:
    """Return the identifiers of edges by id, with their types and profiles (one statement)."""
    ids = {one for edge in edges for one in (edge.a, edge.b)}
    return {one.pk: one for one in Identifier.objects.filter(pk__in=ids).select_related("type", "profile")}


def present_end(identifier: Identifier | None, *, principal: Principal) -> dict[str, Any] | None:
    """Return one end of an edge; None if it was erased."""
    if identifier is None:
        return None
    kind = PERSONAL_KINDS.get(identifier.type.key, "text")
    return {
        "type": identifier.type.key,
        "value": show(principal, identifier.value, kind),
        "profile_id": str(identifier.profile.uuid),
    }


def present_edge(
    edge: Edge, *, ends: Mapping[int, Identifier], sources: Mapping[int, str], principal: Principal
) -> dict[str, Any]:
    """Return an edge, with who blocked it and why if it is blocked."""
    return {
        "id": str(edge.pk),
        "state": Edge.State(edge.state).name.lower(),
        "kind": "different" if edge.kind == Edge.APART else Merge.Kind(edge.kind).name.lower(),
        "identifiers": [present_end(ends.get(one), principal=principal) for one in (edge.a, edge.b)],
        "rule": edge.rule,
        "message_id": edge.message_id,
        "source": sources.get(edge.source_id, ""),
        "merge_id": str(edge.merge_id) if edge.merge_id is not None else None,
        "created_at": edge.created_at,
        "blocked_at": edge.blocked_at,
        "blocked_by": edge.blocked_by,
        "blocked_for": edge.blocked_for,
        "block_reason": edge.block_reason,
    }


def present_graph(
    graph: IdentifierGraph, *, sources: Mapping[int, str], principal: Principal, most: int
) -> dict[str, Any]:
    """Return the graph for REST: at most `most` edges, and the identifiers that they link."""
    edges = graph.edges[:most]
    ids = {one for edge in edges for one in (edge.a, edge.b)}
    nodes = Identifier.objects.filter(pk__in=ids).select_related("type").order_by("type__priority", "id")
    return {
        "confidence": graph.confidence,
        "weakest_edge": str(graph.weakest.id) if graph.weakest is not None else None,
        "complete": graph.is_whole and len(edges) == len(graph.edges),
        "identifiers": [
            {
                "id": str(one.pk),
                "type": one.type.key,
                "value": show(principal, one.value, PERSONAL_KINDS.get(one.type.key, "text")),
            }
            for one in nodes
        ],
        "edges": [
            {
                "id": str(edge.id),
                "identifiers": [str(edge.a), str(edge.b)],
                "kind": Merge.Kind(edge.evidence.kind).name.lower(),
                "rule": edge.evidence.rule,
                "message_id": edge.message_id,
                "source": sources.get(edge.evidence.source_id, ""),
                "created_at": edge.evidence.created_at,
                "merge_id": str(edge.merge_id) if edge.merge_id is not None else None,
                "strength": edge.strength,
            }
            for edge in edges
        ],
    }
