"""Edges by REST: the graph of a profile, one edge, blocking and lifting."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, read_page
from cdp.core.api.principal import principal_of
from profiles.api import schemas
from profiles.models import Edge
from profiles.queries.graph import find_ends, get_edge, list_blocked, present_edge, present_graph, read_graph
from profiles.queries.people import get_by_uuid
from profiles.queries.profiles import read_source_names
from profiles.services.blocking import block_edge, declare_different, lift_block

MOST_EDGES = 1_000


class ReadGraph(APIView):
    """Reads the identifier graph of a profile."""

    scopes = {"GET": "identity:read"}

    @extend_schema(operation_id="profiles_graph", responses=schemas.GraphSchema)
    def get(self, request: Request, profile_id: str) -> Response:
        """Answer identifiers, edges and the confidence; at most 1 000 edges, oldest first."""
        person = get_by_uuid(public_id=profile_id)
        graph = read_graph(profile_id=person.profile_id)
        sources = read_source_names()
        return Response(present_graph(graph, sources=sources, principal=principal_of(request), most=MOST_EDGES))


class ReadEdge(APIView):
    """Reads one edge."""

    scopes = {"GET": "identity:read"}

    @extend_schema(operation_id="edges_read", responses=schemas.EdgeSchema)
    def get(self, request: Request, edge_id: int) -> Response:
        """Answer the edge."""
        return Response(_present(request, [get_edge(edge_id=edge_id)])[0])


class BlockEdge(APIView):
    """Takes an edge back and blocks it until it is lifted."""

    scopes = {"POST": "identity:write"}

    @extend_schema(operation_id="edges_block", request=schemas.ReasonRequest, responses=schemas.EdgeSchema)
    def post(self, request: Request, edge_id: int) -> Response:
        """Block and answer the edge."""
        given = schemas.ReasonRequest(data=request.data)
        given.is_valid(raise_exception=True)
        blocked = block_edge(
            edge_id=edge_id,
            reason=given.validated_data["reason"],
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response(_present(request, [blocked.edge])[0])


class Blocks(APIView):
    """Lists what is blocked, newest first; declares two profiles different."""

    scopes = {"GET": "identity:read", "POST": "identity:write"}

    @extend_schema(operation_id="blocks_list", responses=schemas.page_of(schemas.EdgeSchema, "BlockPage"))
    def get(self, request: Request) -> Response:
        """Answer one page."""
        page = read_page(request, fetch=fetch_from(list_blocked(), "-id"), key=key_from("id"))
        return Response(page.body(_present(request, page.rows)))

    @extend_schema(operation_id="blocks_create", request=schemas.MergeRequest, responses={201: schemas.EdgeSchema})
    def post(self, request: Request) -> Response:
        """Declare two profiles different and answer the block."""
        given = schemas.MergeRequest(data=request.data)
        given.is_valid(raise_exception=True)
        one, other = (str(public_id) for public_id in given.validated_data["profile_ids"])
        edge = declare_different(
            public_ids=(one, other),
            reason=given.validated_data["reason"],
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response(_present(request, [edge])[0], status=status.HTTP_201_CREATED)


class LiftBlock(APIView):
    """Lifts a block: the next message that says so joins again."""

    scopes = {"DELETE": "identity:write"}

    @extend_schema(operation_id="blocks_delete", responses={204: None})
    def delete(self, request: Request, edge_id: int) -> Response:
        """Lift it."""
        lift_block(edge_id=edge_id, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


def _present(request: Request, edges: list[Edge]) -> list[dict[str, Any]]:
    ends, sources, principal = find_ends(edges=edges), read_source_names(), principal_of(request)
    return [present_edge(edge, ends=ends, sources=sources, principal=principal) for edge in edges]
