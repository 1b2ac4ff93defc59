"""The audit trail by REST."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.times import read_time
from cdp.core.models import AuditEntry
from cdp.core.queries.audit import find_entries


class AuditEntrySchema(serializers.Serializer):
    """An entry, for OpenAPI."""

    id = serializers.IntegerField()
    seq = serializers.IntegerField(allow_null=True)
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    action = serializers.CharField()
    object = serializers.CharField()
    detail = serializers.DictField()
    hash = serializers.CharField(allow_null=True)


class AuditPageSchema(serializers.Serializer):
    """A page of entries, for OpenAPI."""

    results = AuditEntrySchema(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class ListAudit(APIView):
    """Lists who did what, newest first."""

    scopes = {"GET": "audit:read"}

    @extend_schema(
        operation_id="audit_list",
        parameters=[
            OpenApiParameter("actor", description="user:ID, key:NAME or system"),
            OpenApiParameter("action", description="e.g. consent.withdrawn"),
            OpenApiParameter("object", description="KIND:ID"),
            OpenApiParameter("since", description="not before this time (ISO 8601)"),
            OpenApiParameter("until", description="before this time (ISO 8601)"),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses=AuditPageSchema,
    )
    def get(self, request: Request) -> Response:
        """Answer one page."""
        given = request.query_params
        entries = find_entries(
            actor=given.get("actor"),
            action=given.get("action"),
            object=given.get("object"),
            since=read_time(given.get("since"), path="since"),
            until=read_time(given.get("until"), path="until"),
        )
        return paginate(request, fetch=fetch_from(entries, "-id"), key=key_from("id"), present=present_entry)


def present_entry(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry as REST shows it; `seq` and `hash` are null until it is sealed."""
    return {
        "id": entry.pk,
        "seq": entry.seq,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "detail": entry.detail,
        "hash": bytes(entry.hash).hex() if entry.hash is not None else None,
    }
