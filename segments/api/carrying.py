"""Versions, copies and files of definitions by REST."""

from dataclasses import asdict

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.principal import principal_of
from cdp.core.errors import FieldError, InvalidInput
from segments.api import fields
from segments.api.present import present_segments, present_version
from segments.api.segments import SegmentView
from segments.language.difference import differences
from segments.models import Segment
from segments.queries.segments import find_segments, get_segment, list_segments, read_definitions
from segments.queries.versions import get_version
from segments.services.carrying import duplicate_segment, import_segments, restore_version
from segments.services.definitions import NewSegment

ARCHIVED = Segment.Status.ARCHIVED
MOST = 2_147_483_647


class OneVersion(SegmentView):
    """Reads a version of a definition."""

    scopes = {"GET": "segments:read"}

    @extend_schema(operation_id="segments_version", responses=fields.SegmentVersionSchema)
    def get(self, request: Request, key: str, version: int) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the version."""
        return Response(present_version(get_version(segment=get_segment(key=key), version=min(version, MOST))))


class DiffVersion(SegmentView):
    """Compares a version of a definition with another."""

    scopes = {"GET": "segments:read"}

    @extend_schema(
        operation_id="segments_version_diff",
        parameters=[OpenApiParameter("against", int, description="The earlier version; without it, the one before")],
        responses=fields.DifferencesAnswer,
    )
    def get(self, request: Request, key: str, version: int) -> Response:
        """Answer what changed, place by place."""
        asked = request.query_params.get("against", str(version - 1))
        if not (asked.isascii() and asked.isdecimal() and len(asked) <= 9):
            message = "against is the number of a version."
            raise InvalidInput(message, errors=[FieldError("against", "invalid_value", message)])
        later = present_version(get_version(segment=get_segment(key=key), version=min(version, MOST)))
        earlier = present_version(get_version(segment=get_segment(key=key), version=int(asked)))
        return Response(
            {
                "version": version,
                "against": int(asked),
                "sentence": later["sentence"],
                "sentence_before": earlier["sentence"],
                "changes": [asdict(one) for one in differences(earlier["definition"], later["definition"])],
            }
        )


class RestoreVersion(SegmentView):
    """Makes an earlier definition the latest again."""

    scopes = {"POST": "segments:write"}

    @extend_schema(operation_id="segments_version_restore", request=None, responses=fields.SegmentSchema)
    def post(self, request: Request, key: str, version: int) -> Response:
        """Answer the segment with its new version."""
        segment = restore_version(
            key=key, version=min(version, MOST), actor=principal_of(request).actor, clock=timezone.now
        )
        return Response(present_segments([segment], principal=principal_of(request))[0])


class DuplicateSegment(APIView):
    """Copies a segment into a draft."""

    scopes = {"POST": "segments:write"}

    @extend_schema(
        operation_id="segments_duplicate",
        request=fields.DuplicateRequest,
        responses={201: fields.SegmentSchema, 200: fields.SegmentSchema},
    )
    def post(self, request: Request, key: str) -> Response:
        """Answer the copy; the same again answers 200."""
        given = fields.read_input(fields.DuplicateRequest, request.data)
        segment, created = duplicate_segment(
            key=key,
            new_key=given["key"],
            name=given.get("name", ""),
            actor=principal_of(request).actor,
            clock=timezone.now,
        )
        answer = present_segments([segment])[0]
        return Response(answer, status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)


class ExportSegments(APIView):
    """Gives definitions as one file."""

    scopes = {"GET": "segments:read"}

    @extend_schema(
        operation_id="segments_export",
        parameters=[OpenApiParameter("keys", description="Keys, separated by commas; without it, all but archived")],
        responses=fields.ExportedFile,
    )
    def get(self, request: Request) -> Response:
        """Answer the file."""
        named = [part.strip() for part in request.query_params.get("keys", "").split(",") if part.strip()]
        rows = find_segments(keys=named) if named else list(list_segments().exclude(status=ARCHIVED).order_by("key"))
        definitions = read_definitions(rows)
        told = [
            {
                "key": row.key,
                "name": row.name,
                "definition": definitions[row.pk],
                "purpose": row.purpose or None,
                "channel": row.channel or None,
                "tags": row.tags,
            }
            for row in rows
        ]
        answer = Response({"format": fields.FORMAT, "segments": told})
        answer["Content-Disposition"] = 'attachment; filename="segments.json"'
        return answer


class ImportSegments(APIView):
    """Takes definitions from a file."""

    scopes = {"POST": "segments:write"}

    @extend_schema(operation_id="segments_import", request=fields.CarriedFile, responses=fields.CarriedAnswer)
    def post(self, request: Request) -> Response:
        """Create them as drafts and answer what became of each."""
        given = fields.read_input(fields.CarriedFile, request.data)
        new = [
            NewSegment(
                key=one["key"],
                name=one["name"],
                definition=one["definition"],
                purpose=one.get("purpose") or "",
                channel=one.get("channel") or "",
                tags=tuple(one.get("tags", ())),
            )
            for one in given["segments"]
        ]
        done = import_segments(
            segments=new, replace=given["replace"], actor=principal_of(request).actor, clock=timezone.now
        )
        told = [
            {
                "key": one.key,
                "outcome": one.outcome,
                "code": one.error.code if one.error else None,
                "detail": str(one.error) if one.error else None,
            }
            for one in done
        ]
        return Response({"results": told})
