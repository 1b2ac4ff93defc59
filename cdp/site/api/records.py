"""Records of processing, lineage and self-check by REST."""

from dataclasses import asdict
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from cdp.site.lineage import read_lineage
from cdp.site.records import export_register, read_register
from cdp.site.self_check import find_gaps, read_last_check
from consent.api import fields
from consent.retention_models import RegisterEdition


class RegisterSchema(serializers.Serializer):
    """The register, for OpenAPI."""

    made_at = serializers.DateTimeField()
    controller = serializers.DictField()
    activities = serializers.ListField(child=serializers.DictField())
    collection = serializers.ListField(child=serializers.DictField())
    outlets = serializers.ListField(child=serializers.DictField())
    erasure_limits = serializers.DictField()
    notices = serializers.ListField(child=serializers.CharField())
    security_measures = serializers.ListField(child=serializers.CharField())


class EditionSchema(serializers.Serializer):
    """A dated edition, for OpenAPI."""

    id = serializers.IntegerField()
    made_at = serializers.DateTimeField()
    actor = serializers.CharField()
    sha256 = serializers.CharField()
    document = serializers.DictField()


class DataMapSchema(serializers.Serializer):
    """The graph, for OpenAPI."""

    nodes = serializers.ListField(child=serializers.DictField())
    flows = serializers.ListField(child=serializers.DictField())


class SelfCheckSchema(serializers.Serializer):
    """What is missing, for OpenAPI."""

    findings = serializers.ListField(child=serializers.DictField())
    last_check = serializers.DictField(allow_null=True)


class ProcessingRegister(APIView):
    """Gives the register of processing activities as it is now."""

    scopes = {"GET": "privacy:read"}

    @extend_schema(operation_id="processing_register_read", responses=RegisterSchema)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - Django's signature
        """Answer it."""
        return Response(read_register(now=timezone.now()))


class RegisterEditions(APIView):
    """Lists dated editions of the register, and makes one."""

    scope_resource = "privacy"

    @extend_schema(
        operation_id="processing_register_editions_list",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=fields.page_of(EditionSchema, "RegisterEditionPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, newest first."""
        rows = RegisterEdition.objects.all()
        return paginate(request, fetch=fetch_from(rows, "-id"), key=key_from("id"), present=_present)

    @extend_schema(operation_id="processing_register_editions_make", request=None, responses={201: EditionSchema})
    def post(self, request: Request) -> Response:
        """Keep an edition as of now."""
        row = export_register(actor=principal_of(request).actor, now=timezone.now())
        return Response(_present(row), status=status.HTTP_201_CREATED)


class DataMap(APIView):
    """Gives sources, fields, segments and recipients, and what flows between them."""

    scopes = {"GET": "privacy:read"}

    @extend_schema(operation_id="data_map_read", responses=DataMapSchema)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the graph."""
        nodes, flows = read_lineage(now=timezone.now())
        return Response(
            {
                "nodes": [{"key": one.key, "kind": one.kind, "name": one.name, "detail": one.detail} for one in nodes],
                "flows": [{"from": one.start, "to": one.end, "basis": one.basis} for one in flows],
            }
        )


class CheckSelf(APIView):
    """Checks the configuration against the rules."""

    scopes = {"GET": "privacy:read"}

    @extend_schema(operation_id="self_check_read", responses=SelfCheckSchema)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - Django's signature
        """Answer what is missing now, and the last scheduled run."""
        return Response({"findings": [asdict(one) for one in find_gaps()], "last_check": read_last_check()})


def _present(row: RegisterEdition) -> dict[str, Any]:
    return {
        "id": row.pk,
        "made_at": row.made_at,
        "actor": row.actor,
        "sha256": row.sha256,
        "document": row.document,
    }
