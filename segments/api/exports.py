"""Exports and their schedules by REST."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate, read_page
from cdp.core.api.principal import principal_of
from cdp.core.reauthentication import need_recent_authentication
from segments.api import fields
from segments.api import sending_fields as shapes
from segments.api.sending_present import present_exports, present_schedule
from segments.models import Segment
from segments.queries.exports import get_export, get_exported_segment, get_schedule, list_schedules
from segments.queries.rights import visible_exports, visible_segments
from segments.queries.segments import get_segment
from segments.services.sending.exports import NewExport, create_export, delete_export, open_file
from segments.services.sending.filing import CSV_TYPE, PARQUET_TYPE
from segments.services.sending.schedules import NewSchedule, create_schedule, delete_schedule, switch_schedule

PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor")]


class OneKindOfAnswer(BaseContentNegotiation):
    """Whatever the caller accepts: a file is of the type that it is of, and errors are JSON."""

    def select_parser(self, request: Any, parsers: Any) -> Any:  # noqa: ARG002 - DRF's signature
        """Take the first."""
        return parsers[0]

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:  # noqa: ARG002
        """Take the first."""
        return renderers[0], renderers[0].media_type


def asked_export(given: Mapping[str, Any]) -> NewExport:
    """Return what the input asks for."""
    return NewExport(
        segment=given["segment"],
        format=given.get("format", "csv"),
        preset=given.get("preset", ""),
        columns=given.get("columns", ()),
        purpose=given.get("purpose", ""),
        channel=given.get("channel") or "",
        recipient=given.get("recipient", ""),
    )


class Exports(APIView):
    """Lists exports, and makes one."""

    scope_resource = "segments"

    def permission_rows(self) -> QuerySet[Segment]:
        """Return the segments whose exports the person may see."""
        return visible_segments(principal=principal_of(self.request))

    def permission_object(self) -> Segment:
        """Return the segment that is asked for: a person may have the right to export just this one."""
        given = self.request.data
        return get_segment(key=str(given.get("segment", "")) if isinstance(given, Mapping) else "")

    @extend_schema(
        operation_id="exports_list",
        parameters=[
            OpenApiParameter("segment"),
            OpenApiParameter("status", enum=list(shapes.EXPORT_STATUSES)),
            *PAGE,
        ],
        responses=fields.page_of(shapes.ExportSchema, "ExportPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, newest first."""
        asked = request.query_params
        rows = visible_exports(
            principal=principal_of(request), segment=asked.get("segment"), status=asked.get("status")
        )
        page = read_page(request, fetch=fetch_from(rows, "-pk"), key=key_from("pk"))
        return Response(page.body(present_exports(page.rows)))

    @extend_schema(operation_id="exports_create", request=shapes.NewExportFields, responses={202: shapes.ExportSchema})
    def post(self, request: Request) -> Response:
        """Begin an export: every person passes the gate, the file is made in the background."""
        need_recent_authentication(request)
        given = fields.read_input(shapes.NewExportFields, request.data)
        made = create_export(new=asked_export(given), principal=principal_of(request), now=timezone.now())
        return Response(present_exports([made])[0], status=status.HTTP_202_ACCEPTED)


class ExportView(APIView):
    """A view of one export: a right on its segment is one on the export."""

    deletes_parts = True

    def permission_object(self) -> Segment:
        """Return the segment."""
        return get_exported_segment(export_id=self.kwargs["export_id"])


class OneExport(ExportView):
    """Reads and deletes an export."""

    scope_resource = "segments"

    @extend_schema(operation_id="exports_read", responses=shapes.ExportSchema)
    def get(self, request: Request, export_id: int) -> Response:  # noqa: ARG002 - Django's signature
        """Answer how far it is, who was left out and why."""
        return Response(present_exports([get_export(export_id=export_id)])[0])

    @extend_schema(operation_id="exports_delete", responses={204: None})
    def delete(self, request: Request, export_id: int) -> Response:
        """Delete it with its file."""
        delete_export(export=get_export(export_id=export_id), actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class ExportFile(ExportView):
    """Hands out the file of an export."""

    scopes = {"GET": "segments:write"}
    content_negotiation_class = OneKindOfAnswer

    @extend_schema(
        operation_id="exports_file",
        responses={(200, "text/csv"): OpenApiTypes.STR, (200, PARQUET_TYPE): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, export_id: int) -> StreamingHttpResponse:
        """Answer the file; each person in it is held against the gate once more, and entered as disclosed."""
        need_recent_authentication(request)
        found = get_export(export_id=export_id)
        pieces = open_file(export=found, principal=principal_of(request), now=timezone.now())
        return file_response(found.segment_key, found.pk, found.format, pieces)


def file_response(segment: str, export_id: int, format: str, pieces: Any) -> StreamingHttpResponse:
    """Return a file that is made while it is sent."""
    kind = PARQUET_TYPE if format == "parquet" else CSV_TYPE
    name = f"{segment}-{export_id}.{format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(pieces, content_type=kind, headers=headers)


class ExportSchedules(APIView):
    """Lists schedules, and sets one up."""

    scope_resource = "segments"

    @extend_schema(
        operation_id="export_schedules_list",
        parameters=PAGE,
        responses=fields.page_of(shapes.ScheduleSchema, "ExportSchedulePage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, oldest first."""
        return paginate(request, fetch=fetch_from(list_schedules(), "pk"), key=key_from("pk"), present=present_schedule)

    @extend_schema(
        operation_id="export_schedules_create",
        request=shapes.NewScheduleFields,
        responses={201: shapes.ScheduleSchema},
    )
    def post(self, request: Request) -> Response:
        """Set up a schedule; the rights of whoever does so count each time."""
        need_recent_authentication(request)
        given = fields.read_input(shapes.NewScheduleFields, request.data)
        new = NewSchedule(
            name=given.get("name", ""),
            export=asked_export(given),
            every=given["every"],
            at=given["at"],
            weekday=given.get("weekday", 0),
            day=given.get("day", 1),
            timezone=given.get("timezone", ""),
        )
        made = create_schedule(new=new, principal=principal_of(request), now=timezone.now())
        return Response(present_schedule(made), status=status.HTTP_201_CREATED)


class OneExportSchedule(APIView):
    """Reads, pauses and deletes a schedule."""

    scope_resource = "segments"

    @extend_schema(operation_id="export_schedules_read", responses=shapes.ScheduleSchema)
    def get(self, request: Request, schedule_id: int) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the schedule."""
        return Response(present_schedule(get_schedule(schedule_id=schedule_id)))

    @extend_schema(
        operation_id="export_schedules_change", request=shapes.ScheduleSwitch, responses=shapes.ScheduleSchema
    )
    def patch(self, request: Request, schedule_id: int) -> Response:
        """Pause it, or let it go on."""
        given = fields.read_input(shapes.ScheduleSwitch, request.data)
        changed = switch_schedule(
            schedule=get_schedule(schedule_id=schedule_id),
            enabled=given["enabled"],
            principal=principal_of(request),
            now=timezone.now(),
        )
        return Response(present_schedule(changed))

    @extend_schema(operation_id="export_schedules_delete", responses={204: None})
    def delete(self, request: Request, schedule_id: int) -> Response:
        """Delete it; its files stay until their time is up."""
        found = get_schedule(schedule_id=schedule_id)
        delete_schedule(schedule=found, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)
