"""The debugger by REST: the last messages of a source, and one of them step by step."""

from dataclasses import asdict
from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import read_limit
from cdp.core.api.principal import principal_of
from cdp.core.services.audit import note_read
from ingestion.api import shapes
from ingestion.errors import UnknownMessage
from ingestion.models import Message, Outcome, Source
from ingestion.queries.presenting import write_curl
from ingestion.queries.sources import get_source
from ingestion.queries.tail import TailRow, count_waiting, find_latest, read_wanted
from ingestion.services.strip import follow_message, show_step


class LatestMessages(APIView):
    """Lists the last messages of a source, newest first."""

    scopes = {"GET": "sources:read"}

    def permission_object(self) -> Source:
        """Return the source, on which a person may have a right of their own."""
        return get_source(key=self.kwargs["key"])

    @extend_schema(
        operation_id="sources_messages",
        parameters=[
            OpenApiParameter("outcome", enum=shapes.OUTCOMES),
            OpenApiParameter("event", description="name of the event"),
            OpenApiParameter("property", description="NAME of a property or trait, or NAME:VALUE"),
            OpenApiParameter("limit", int),
        ],
        responses=shapes.TailAnswer,
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer them, with how many messages wait."""
        source = get_source(key=key)
        given = request.query_params
        wanted = read_wanted(**{name: given.get(name, "") for name in ("outcome", "event", "property")})
        rows = find_latest(source_id=source.pk, wanted=wanted, rows=read_limit(request))
        return Response({"pending": count_waiting(source_id=source.pk), "results": [_present(row) for row in rows]})


def _present(row: TailRow) -> dict[str, Any]:
    shown = asdict(row)
    return {"id": str(shown.pop("row_id")), **shown}


class FollowMessage(APIView):
    """Follows one message step by step."""

    scopes = {"GET": "sources:read"}

    def permission_object(self) -> Source:
        """Return the source, on which a person may have a right of their own."""
        return get_source(key=self.kwargs["key"])

    @extend_schema(operation_id="sources_message", responses=shapes.StripSchema)
    def get(self, request: Request, key: str, row_id: int) -> Response:
        """Answer its steps; values are masked without `personal_data:read`."""
        source = get_source(key=key)
        principal = principal_of(request)
        row = Message.objects.filter(pk=row_id, source_id=source.pk).first()
        if row is None:
            message = "This source has no message with this id."
            raise UnknownMessage(message)
        strip = follow_message(row=row, source=source)
        if principal.sees_personal_data and strip.raw is not None:
            note_read(actor=principal.actor, object=f"message:{row.pk}")
        steps = [show_step(principal, step) for step in strip.steps]
        for step in steps:
            step["facts"] = [{"name": name, "value": value} for name, value in step["facts"]]
        curl = write_curl(strip.raw, base_url=settings.CDP_BASE_URL, principal=principal) if strip.raw else None
        outcome = Outcome(row.outcome).label
        return Response({"id": str(row.pk), "outcome": outcome, "reason": row.reason, "curl": curl, "steps": steps})
