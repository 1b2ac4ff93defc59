"""Static lists by REST."""

from typing import Any

from django.db.models import Count
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate, read_page
from cdp.core.api.principal import principal_of
from segments.api import fields
from segments.api.present import present_list_members
from segments.models import ListMember, StaticList
from segments.queries.lists import Line, get_list, list_list_members, list_lists
from segments.services.lists import add_to_list, create_list, remove_from_list

PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor")]


class StaticLists(APIView):
    """Lists static lists, and creates one."""

    scope_resource = "segments"

    @extend_schema(
        operation_id="lists_list", parameters=PAGE, responses=fields.page_of(fields.ListSchema, "StaticListPage")
    )
    def get(self, request: Request) -> Response:
        """Answer one page, by key."""
        rows = list_lists().annotate(count=Count("members__profile_id"))
        return paginate(
            request,
            fetch=fetch_from(rows, "key"),
            key=key_from("key"),
            present=lambda row: present_list(row, count=row.count),
        )

    @extend_schema(
        operation_id="lists_create",
        request=fields.NewList,
        responses={201: fields.ListSchema, 200: fields.ListSchema},
    )
    def post(self, request: Request) -> Response:
        """Create a list; the same again answers 200."""
        given = fields.read_input(fields.NewList, request.data)
        chosen, created = create_list(
            key=given["key"],
            name=given.get("name") or given["key"],
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        answer = present_list(chosen, count=count_members(chosen))
        return Response(answer, status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)


class OneStaticList(APIView):
    """Reads a list."""

    scope_resource = "segments"

    @extend_schema(operation_id="lists_read", responses=fields.ListSchema)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the list."""
        chosen = get_list(key=key)
        return Response(present_list(chosen, count=count_members(chosen)))


class StaticListMembers(APIView):
    """Lists who is on a list; adds and removes people."""

    scope_resource = "segments"

    @extend_schema(
        operation_id="lists_members",
        parameters=PAGE,
        responses=fields.page_of(fields.ListMemberSchema, "StaticListMemberPage"),
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer one page, in the order of their profiles."""
        rows = list_list_members(chosen=get_list(key=key))
        page = read_page(request, fetch=fetch_from(rows, "profile_id"), key=key_from("profile_id"))
        return Response(page.body(present_list_members(page.rows)))

    @extend_schema(operation_id="lists_add", request=fields.ListLines, responses=fields.UploadSchema)
    def post(self, request: Request, key: str) -> Response:
        """Put people on the list; answers what became of each line."""
        upload = add_to_list(
            key=key, lines=read_lines(request.data), actor=principal_of(request).actor, now=timezone.now()
        )
        return Response(
            {
                "added": upload.added,
                "known": upload.known,
                "unmatched": upload.unmatched,
                "duplicate": upload.duplicate,
                "blank": upload.blank,
                "count": count_members(get_list(key=key)),
            }
        )

    @extend_schema(operation_id="lists_remove", request=fields.ListLines, responses=fields.RemovalSchema)
    def delete(self, request: Request, key: str) -> Response:
        """Take people off the list."""
        removed = remove_from_list(
            key=key, lines=read_lines(request.data), actor=principal_of(request).actor, now=timezone.now()
        )
        return Response({"removed": removed, "count": count_members(get_list(key=key))})


def present_list(chosen: StaticList, *, count: int) -> dict[str, Any]:
    """Return a list."""
    return {"key": chosen.key, "name": chosen.name, "count": count, "created_at": chosen.created_at}


def count_members(chosen: StaticList) -> int:
    """Return how many people are on a list."""
    return ListMember.objects.filter(list=chosen).count()


def read_lines(data: Any) -> list[Line]:
    """Read the people that a request names."""
    given = fields.read_input(fields.ListLines, data)
    return [
        Line(
            profile_id=line.get("profile_id", ""),
            type=line.get("identifier", {}).get("type", ""),
            value=line.get("identifier", {}).get("value", ""),
        )
        for line in given["members"]
    ]
