"""Static lists by REST."""

from typing import Any

from django.db.models import Count
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate, read_page
from cdp.core.api.principal import principal_of
from segments.api import fields, list_fields
from segments.api.present import present_list_members, present_segments
from segments.models import ListMember, ListUpload, ListUploadRow, StaticList
from segments.queries.lists import (
    Line,
    get_list,
    get_upload,
    list_identifier_types,
    list_list_members,
    list_lists,
    list_upload_rows,
    list_uploads,
)
from segments.services.lists import (
    add_to_list,
    create_list,
    delete_list,
    remove_from_list,
    snapshot_segment,
    upload_list,
)
from segments.services.splitting import Part, split_segment
from segments.tables import read_table

OUTCOMES = ListUploadRow.Outcome.labels
LARGEST = 2**63 - 1
PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor")]


class StaticLists(APIView):
    """Lists static lists, and creates one."""

    scope_resource = "segments"

    @extend_schema(
        operation_id="lists_list", parameters=PAGE, responses=fields.page_of(list_fields.ListSchema, "StaticListPage")
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
        request=list_fields.NewList,
        responses={201: list_fields.ListSchema, 200: list_fields.ListSchema},
    )
    def post(self, request: Request) -> Response:
        """Create a list; the same again answers 200."""
        given = fields.read_input(list_fields.NewList, request.data)
        chosen, created = create_list(
            key=given["key"],
            name=given.get("name") or given["key"],
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        answer = present_list(chosen, count=count_members(chosen))
        return Response(answer, status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)


class OneStaticList(APIView):
    """Reads and deletes a list."""

    scope_resource = "segments"

    @extend_schema(operation_id="lists_read", responses=list_fields.ListSchema)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the list."""
        chosen = get_list(key=key)
        return Response(present_list(chosen, count=count_members(chosen)))

    @extend_schema(operation_id="lists_delete", responses={204: None})
    def delete(self, request: Request, key: str) -> Response:
        """Delete a list that no segment asks for."""
        delete_list(key=key, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class StaticListUploads(APIView):
    """Lists the files that were put on a list, and takes one."""

    scope_resource = "segments"
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="lists_uploads",
        parameters=PAGE,
        responses=fields.page_of(list_fields.ListUploadSchema, "ListUploadPage"),
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer one page, newest first."""
        rows = list_uploads(chosen=get_list(key=key))
        return paginate(request, fetch=fetch_from(rows, "-id"), key=key_from("id"), present=present_upload)

    @extend_schema(
        operation_id="lists_upload",
        request={"multipart/form-data": list_fields.NewListUpload},
        responses={201: list_fields.ListUploadSchema},
    )
    def post(self, request: Request, key: str) -> Response:
        """Put the people of a CSV or Excel file on the list; answers what became of its rows."""
        given = fields.read_input(list_fields.NewListUpload, request.data)
        table = read_table(
            given["file"].read(),
            types=list_identifier_types(),
            column=given.get("column", ""),
            type=given.get("type", ""),
        )
        upload = upload_list(key=key, table=table, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_upload(upload), status=status.HTTP_201_CREATED)


class StaticListUploadRows(APIView):
    """Tells what became of each row of a file."""

    scopes = {"GET": "segments:read"}

    @extend_schema(
        operation_id="lists_upload_rows",
        parameters=[OpenApiParameter("outcome", enum=OUTCOMES), *PAGE],
        responses=fields.page_of(list_fields.ListUploadRowSchema, "ListUploadRowPage"),
    )
    def get(self, request: Request, key: str, upload_id: int) -> Response:
        """Answer one page, in the order of the file."""
        upload = get_upload(key=key, upload_id=min(upload_id, LARGEST))
        rows = list_upload_rows(upload=upload, outcome=request.query_params.get("outcome", ""))
        return paginate(
            request,
            fetch=fetch_from(rows, "row"),
            key=key_from("row"),
            present=lambda row: {"row": row.row, "outcome": row.get_outcome_display()},
        )


class StaticListMembers(APIView):
    """Lists who is on a list; adds and removes people."""

    scope_resource = "segments"

    @extend_schema(
        operation_id="lists_members",
        parameters=PAGE,
        responses=fields.page_of(list_fields.ListMemberSchema, "StaticListMemberPage"),
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer one page, in the order of their profiles."""
        rows = list_list_members(chosen=get_list(key=key))
        page = read_page(request, fetch=fetch_from(rows, "profile_id"), key=key_from("profile_id"))
        return Response(page.body(present_list_members(page.rows)))

    @extend_schema(operation_id="lists_add", request=list_fields.ListLines, responses=list_fields.UploadSchema)
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

    @extend_schema(operation_id="lists_remove", request=list_fields.ListLines, responses=list_fields.RemovalSchema)
    def delete(self, request: Request, key: str) -> Response:
        """Take people off the list."""
        removed = remove_from_list(
            key=key, lines=read_lines(request.data), actor=principal_of(request).actor, now=timezone.now()
        )
        return Response({"removed": removed, "count": count_members(get_list(key=key))})


class SnapshotSegment(APIView):
    """Keeps who is in a segment now as a list."""

    scopes = {"POST": "segments:write"}

    @extend_schema(
        operation_id="segments_snapshot",
        request=list_fields.NewList,
        responses={201: list_fields.ListSchema, 200: list_fields.ListSchema},
    )
    def post(self, request: Request, key: str) -> Response:
        """Answer the list; one of this key that is there already answers 200, unchanged."""
        given = fields.read_input(list_fields.NewList, request.data)
        made, created = snapshot_segment(
            segment_key=key,
            key=given["key"],
            name=given.get("name") or "",
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        answer = present_list(made, count=count_members(made))
        return Response(answer, status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)


class SplitSegment(APIView):
    """Splits a segment at random into segments."""

    scopes = {"POST": "segments:write"}

    @extend_schema(
        operation_id="segments_split", request=list_fields.SegmentSplitRequest, responses=list_fields.SplitAnswer
    )
    def post(self, request: Request, key: str) -> Response:
        """Answer the parts; the same again answers the same."""
        given = fields.read_input(list_fields.SegmentSplitRequest, request.data)
        parts = [Part(part["key"], part.get("name", ""), part["percent"]) for part in given["parts"]]
        made = split_segment(
            key=key, parts=parts, salt=given["salt"], actor=principal_of(request).actor, clock=timezone.now
        )
        return Response({"results": present_segments([segment for segment, _ in made])})


def present_upload(upload: ListUpload) -> dict[str, Any]:
    """Return a file that was put on a list."""
    return {
        "id": upload.pk,
        "column": upload.column,
        "type": upload.type,
        "rows": sum(upload.counts.values()),
        **upload.counts,
        "created_at": upload.created_at,
        "created_by": upload.created_by,
    }


def present_list(chosen: StaticList, *, count: int) -> dict[str, Any]:
    """Return a list."""
    return {"key": chosen.key, "name": chosen.name, "count": count, "created_at": chosen.created_at}


def count_members(chosen: StaticList) -> int:
    """Return how many people are on a list."""
    return ListMember.objects.filter(list=chosen).count()


def read_lines(data: Any) -> list[Line]:
    """Read the people that a request names."""
    given = fields.read_input(list_fields.ListLines, data)
    return [
        Line(
            profile_id=line.get("profile_id", ""),
            type=line.get("identifier", {}).get("type", ""),
            value=line.get("identifier", {}).get("value", ""),
        )
        for line in given["members"]
    ]
