"""Messages by REST: what became of them, what was put aside, and the counts."""

from typing import Any

import orjson
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.access import Principal, show
from cdp.core.api.pagination import fetch_from, key_from, read_page
from cdp.core.api.principal import principal_of
from cdp.core.api.times import read_time
from cdp.core.errors import FieldError, InvalidInput
from cdp.core.services.audit import note_read
from ingestion.api import shapes
from ingestion.models import Quarantined
from ingestion.queries.outcomes import find_outcomes, get_outcome
from ingestion.queries.sources import get_source, read_source_keys
from ingestion.queries.status import read_status

MISSING = "input.missing"


class ReadStatus(APIView):
    """Counts what came in and what became of it."""

    scopes = {"GET": "sources:read"}

    @extend_schema(
        operation_id="ingestion_status",
        parameters=[
            OpenApiParameter("since", description="received not before this time (ISO 8601, rounded down to the hour)"),
            OpenApiParameter("until", description="received before this time"),
        ],
        responses=shapes.StatusSchema,
    )
    def get(self, request: Request) -> Response:
        """Answer the counts."""
        given = request.query_params
        return Response(
            read_status(
                since=read_time(given.get("since"), path="since"),
                until=read_time(given.get("until"), path="until"),
                now=timezone.now(),
            )
        )


class FindMessages(APIView):
    """Finds what became of a message, in all sources that sent it."""

    scopes = {"GET": "sources:read"}

    @extend_schema(
        operation_id="messages_find",
        parameters=[
            OpenApiParameter("message_id", required=True),
            OpenApiParameter("source", description="key of a source"),
        ],
        responses=shapes.page_of(shapes.MessageSchema, "MessagePage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one row for each source."""
        message_id = request.query_params.get("message_id")
        if not message_id:
            message = "Name the message: ?message_id=…"
            raise InvalidInput(message, errors=[FieldError(path="message_id", code=MISSING, message=message)])
        found = find_outcomes(message_id=message_id, source=request.query_params.get("source") or None)
        return Response({"results": found, "next": None, "previous": None})


class ReadMessage(APIView):
    """Reads what became of a message."""

    scopes = {"GET": "sources:read"}

    @extend_schema(
        operation_id="messages_read",
        parameters=[OpenApiParameter("source", description="key of a source, if several sent a message with this id")],
        responses=shapes.MessageSchema,
    )
    def get(self, request: Request, message_id: str) -> Response:
        """Answer its row."""
        return Response(get_outcome(message_id=message_id, source=request.query_params.get("source") or None))


class ListQuarantined(APIView):
    """Lists messages that were put aside, newest first; payloads are masked without `personal_data:read`."""

    scopes = {"GET": "sources:read"}

    @extend_schema(
        operation_id="quarantine_list",
        parameters=[
            OpenApiParameter("source", description="key of a source"),
            OpenApiParameter("code", description="of the fault"),
            OpenApiParameter("message_id"),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses=shapes.page_of(shapes.QuarantinedSchema, "QuarantinePage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page."""
        given = request.query_params
        principal = principal_of(request)
        rows = Quarantined.objects.all()
        if given.get("source"):
            rows = rows.filter(source_id=get_source(key=given["source"]).pk)
        for name in ("code", "message_id"):
            if given.get(name):
                rows = rows.filter(**{name: given[name].replace("\0", "")})
        page = read_page(request, fetch=fetch_from(rows, "-row_id"), key=key_from("row_id"))
        if principal.sees_personal_data and page.rows:
            note_read(actor=principal.actor, object="quarantine:list")
        keys = read_source_keys()
        return Response(page.body([_present(row, keys, principal) for row in page.rows]))


def _present(row: Quarantined, keys: dict[int, str], principal: Principal) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "source": keys.get(row.source_id, ""),
        "message_id": row.message_id,
        "code": row.code,
        "detail": row.detail,
        "payload": show(principal, _payload(bytes(row.payload))),
        "created_at": row.created_at,
    }


def _payload(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode("utf-8", "replace").replace("\0", "\ufffd")
