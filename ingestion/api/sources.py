"""Sources by REST."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.access import Principal
from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from cdp.core.queries.rights import rows_within_rights
from ingestion.api import shapes
from ingestion.models import Source
from ingestion.queries.sources import get_source
from ingestion.queries.traffic import list_sources
from ingestion.queries.write_keys import read_write_key
from ingestion.services.sources import SourceSettings, change_source, create_source


def present_source(source: Source, principal: Principal) -> dict[str, Any]:
    """Return a source as this caller may see it."""
    shown = {
        "key": source.key,
        "name": source.name,
        "kind": source.kind,
        "public": source.is_public,
        "required_purpose": source.required_purpose or None,
        "hold_days": source.hold_days,
        "max_event_bytes": source.max_event_bytes,
        "ip_storage": source.ip_storage,
        "enabled": source.enabled,
        "owner": source.owner or None,
        "purpose": source.purpose or None,
        "expected_every_minutes": source.expected_every_minutes,
        "created_at": source.created_at,
    }
    return {**shown, "write_key": read_write_key(source)} if principal.may("sources:write") else shown


class Sources(APIView):
    """Lists sources, and makes one."""

    scope_resource = "sources"

    def permission_rows(self) -> QuerySet[Source]:
        """Return the sources that the person may see."""
        return rows_within_rights(list_sources(), principal=principal_of(self.request), scope="sources:read")

    @extend_schema(
        operation_id="sources_list",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=shapes.page_of(shapes.SourceSchema, "SourcePage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, by key."""
        principal = principal_of(request)
        return paginate(
            request,
            fetch=fetch_from(self.permission_rows(), "key"),
            key=key_from("key"),
            present=lambda source: present_source(source, principal),
        )

    @extend_schema(
        operation_id="sources_create",
        request=shapes.NewSource,
        responses={201: shapes.SourceSchema, 200: shapes.SourceSchema},
    )
    def post(self, request: Request) -> Response:
        """Make a source; the same again answers 200."""
        given = shapes.NewSource(data=request.data)
        given.is_valid(raise_exception=True)
        fields = dict(given.validated_data)
        principal = principal_of(request)
        now = timezone.now()
        source = create_source(
            key=fields.pop("key"),
            kind=fields.pop("kind"),
            write_key=fields.pop("write_key", None),
            settings=SourceSettings(**fields),
            actor=principal.actor,
            now=now,
        )
        created = source.created_at == now
        return Response(
            present_source(source, principal), status=status.HTTP_201_CREATED if created else status.HTTP_200_OK
        )


class OneSource(APIView):
    """Reads and changes a source."""

    scope_resource = "sources"

    def permission_object(self) -> Source:
        """Return the source, on which a person may have a right of their own."""
        return get_source(key=self.kwargs["key"])

    @extend_schema(operation_id="sources_read", responses=shapes.SourceSchema)
    def get(self, request: Request, key: str) -> Response:
        """Answer the source."""
        return Response(present_source(get_source(key=key), principal_of(request)))

    @extend_schema(operation_id="sources_change", request=shapes.SourceFields, responses=shapes.SourceSchema)
    def patch(self, request: Request, key: str) -> Response:
        """Change what is given."""
        given = shapes.SourceFields(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        principal = principal_of(request)
        source = change_source(key=key, changes=given.validated_data, actor=principal.actor, now=timezone.now())
        return Response(present_source(source, principal))
