"""Groups by REST."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate, read_page
from cdp.core.api.principal import principal_of
from cdp.core.services.audit import note_read
from profiles.api import schemas
from profiles.queries.groups import count_members, get_group, list_groups, list_members, present_group, read_groups_of
from profiles.queries.people import get_by_uuid
from profiles.queries.profiles import read_source_names

PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor")]


class GroupSchema(serializers.Serializer):
    """A group: an account, a company, a household that people belong to."""

    id = serializers.CharField()
    created_at = serializers.DateTimeField()
    members = serializers.IntegerField()
    traits = serializers.DictField()


class GroupMemberSchema(serializers.Serializer):
    """A profile that belongs to a group."""

    profile_id = serializers.UUIDField()
    since = serializers.DateTimeField()
    last_at = serializers.DateTimeField()


class GroupOfProfile(serializers.Serializer):
    """A group that a profile belongs to."""

    id = serializers.CharField()
    name = serializers.CharField()
    since = serializers.DateTimeField()
    last_at = serializers.DateTimeField()


class GroupsOfProfile(serializers.Serializer):
    """All groups of a profile."""

    results = GroupOfProfile(many=True)


class Groups(APIView):
    """Lists groups, newest first."""

    scopes = {"GET": "profiles:read"}

    @extend_schema(operation_id="groups_list", parameters=PAGE, responses=schemas.page_of(GroupSchema, "GroupPage"))
    def get(self, request: Request) -> Response:
        """Answer one page."""
        page = read_page(request, fetch=fetch_from(list_groups(), "-id"), key=key_from("id"))
        members, sources = count_members(groups=page.rows), read_source_names()
        shown = [
            present_group(row, members=members.get(row.pk, 0), sources=sources, principal=principal_of(request))
            for row in page.rows
        ]
        return Response(page.body(shown))


class ReadGroup(APIView):
    """Reads one group."""

    scopes = {"GET": "profiles:read"}

    @extend_schema(operation_id="groups_read", responses=GroupSchema)
    def get(self, request: Request, group_id: str) -> Response:
        """Answer the group with its traits."""
        group, principal = get_group(group_id=group_id), principal_of(request)
        if principal.sees_personal_data:
            note_read(actor=principal.actor, object=f"group:{group.pk}")
        members = count_members(groups=[group]).get(group.pk, 0)
        return Response(present_group(group, members=members, sources=read_source_names(), principal=principal))


class GroupMembers(APIView):
    """Lists the profiles of a group."""

    scopes = {"GET": "profiles:read"}

    @extend_schema(
        operation_id="groups_members",
        parameters=PAGE,
        responses=schemas.page_of(GroupMemberSchema, "GroupMemberPage"),
    )
    def get(self, request: Request, group_id: str) -> Response:
        """Answer one page, oldest profile first."""
        rows = list_members(group=get_group(group_id=group_id))

        def present(row: Any) -> dict[str, Any]:
            return {"profile_id": str(row.uuid), "since": row.since, "last_at": row.last_at}

        return paginate(request, fetch=fetch_from(rows, "id"), key=key_from("id"), present=present)


class ListProfileGroups(APIView):
    """Lists the groups of a profile."""

    scopes = {"GET": "profiles:read"}

    @extend_schema(operation_id="profiles_groups", responses=GroupsOfProfile)
    def get(self, request: Request, profile_id: str) -> Response:
        """Answer all of them, last named first."""
        person = get_by_uuid(public_id=profile_id)
        return Response({"results": read_groups_of(profile_ids=[person.profile_id], principal=principal_of(request))})
