"""Identity by REST: merge, undo, split, edges and blocks, the ledgers and the rules."""

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from profiles.api import schemas
from profiles.errors import NoSuchMerge
from profiles.queries.people import get_by_uuid
from profiles.queries.timeline import list_merges, list_refusals, present_merge, present_refusal
from profiles.services.steward import merge_profiles, split_profile
from profiles.services.undoing import undo_merge


class MergeProfiles(APIView):
    """Declares two profiles to be one person."""

    scopes = {"POST": "identity:write"}

    @extend_schema(operation_id="profiles_merge", request=schemas.MergeRequest, responses={201: schemas.MergeSchema})
    def post(self, request: Request) -> Response:
        """Merge and answer the row of the ledger."""
        given = schemas.MergeRequest(data=request.data)
        given.is_valid(raise_exception=True)
        merge = merge_profiles(
            public_ids=[str(one) for one in given.validated_data["profile_ids"]],
            reason=given.validated_data["reason"],
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response(present_merge(merge), status=status.HTTP_201_CREATED)


class ListMerges(APIView):
    """Lists the merge ledger, newest first."""

    scopes = {"GET": "identity:read"}

    @extend_schema(operation_id="merges_list", responses=schemas.page_of(schemas.MergeSchema, "MergePage"))
    def get(self, request: Request) -> Response:
        """Answer one page."""
        return paginate(request, fetch=fetch_from(list_merges(), "-id"), key=key_from("id"), present=present_merge)


class ReadMerge(APIView):
    """Reads one merge."""

    scopes = {"GET": "identity:read"}

    @extend_schema(operation_id="merges_read", responses=schemas.MergeSchema)
    def get(self, request: Request, merge_id: int) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the row of the ledger."""
        merge = list_merges().filter(pk=merge_id).first()
        if merge is None:
            message = "No merge has this id."
            raise NoSuchMerge(message)
        return Response(present_merge(merge))


class UndoMerge(APIView):
    """Takes a merge back, and blocks its edges until they are lifted."""

    scopes = {"POST": "identity:write"}

    @extend_schema(operation_id="merges_undo", request=None, responses=schemas.MergeSchema)
    def post(self, request: Request, merge_id: int) -> Response:
        """Undo and answer the row of the ledger."""
        merge = undo_merge(merge_id=merge_id, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_merge(merge))


class SplitProfile(APIView):
    """Takes identifiers off a profile into a new one."""

    scopes = {"POST": "identity:write"}

    @extend_schema(operation_id="profiles_split", request=schemas.SplitRequest, responses=schemas.SplitSchema)
    def post(self, request: Request, profile_id: str) -> Response:
        """Split and answer both ids."""
        given = schemas.SplitRequest(data=request.data)
        given.is_valid(raise_exception=True)
        stays, new = split_profile(
            public_id=profile_id,
            identifiers=[(one["type"], one["value"]) for one in given.validated_data["identifiers"]],
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response({"profile_id": stays, "new_profile_id": new})


class ListRefusals(APIView):
    """Lists what was not joined, and why, newest first."""

    scopes = {"GET": "identity:read"}

    @extend_schema(
        operation_id="refusals_list",
        parameters=[OpenApiParameter("profile", description="only those of this profile")],
        responses=schemas.page_of(schemas.RefusalSchema, "RefusalPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page."""
        principal = principal_of(request)
        wanted = request.query_params.get("profile")
        profile_uuid = get_by_uuid(public_id=wanted).uuid if wanted else None
        return paginate(
            request,
            fetch=fetch_from(list_refusals(profile_uuid=profile_uuid), "-id"),
            key=key_from("id"),
            present=lambda row: present_refusal(row, principal=principal),
        )
