"""Reconciliations by REST."""

from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.access import need
from cdp.core.api.json import JsonRenderer
from cdp.core.api.pagination import fetch_from, key_from, paginate, read_page
from cdp.core.api.principal import principal_of
from cdp.core.services.audit import note_read
from ingestion.api import shapes
from ingestion.api.imports import CsvRenderer
from ingestion.queries.reconciliations import (
    FIELD_STATES,
    csv_people,
    get_reconciliation,
    list_people,
    list_reconciliations,
    present_people,
    present_reconciliation,
)
from ingestion.reconciliation_models import Reconciliation
from ingestion.services.reconciling import cancel_reconciliation, create_reconciliation


class NewReconciliation(shapes.StrictSerializer):
    """Two sources, and the period in which something occurred; without one everything."""

    a = serializers.CharField(max_length=64)
    b = serializers.CharField(max_length=64)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)


class ReconciledPeople(serializers.Serializer):
    """How many people are in both sources, and in one only."""

    both = serializers.IntegerField()
    only_a = serializers.IntegerField()
    only_b = serializers.IntegerField()


class ReconciledFieldSchema(serializers.Serializer):
    """Of the people in both: the same value, the same but for its form, different ones, a value from one side only."""

    field = serializers.CharField()
    same = serializers.IntegerField()
    form = serializers.IntegerField()
    different = serializers.IntegerField()
    only_a = serializers.IntegerField()
    only_b = serializers.IntegerField()


class ReconciliationSchema(serializers.Serializer):
    """Two sources held against each other, as of `created_at`; `done` of about `total` profiles are compared."""

    id = serializers.CharField()
    a = serializers.CharField()
    b = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True)
    status = serializers.ChoiceField(choices=Reconciliation.Status.values)
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    people = ReconciledPeople()
    fields = ReconciledFieldSchema(many=True)  # type: ignore[assignment]  # a member of that name
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class ReconciledPersonSchema(serializers.Serializer):
    """A person whom the list holds; `a` and `b` are the last statements of a field, masked where they must be."""

    profile_id = serializers.UUIDField()
    a = serializers.JSONField(required=False, allow_null=True)
    a_at = serializers.DateTimeField(required=False, allow_null=True)
    b = serializers.JSONField(required=False, allow_null=True)
    b_at = serializers.DateTimeField(required=False, allow_null=True)


class Reconciliations(APIView):
    """Lists reconciliations, newest first, and begins one."""

    scope_resource = "sources"

    @extend_schema(
        operation_id="reconciliations_list",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=shapes.page_of(ReconciliationSchema, "ReconciliationPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page."""
        rows = list_reconciliations()
        return paginate(request, fetch=fetch_from(rows, "-id"), key=key_from("id"), present=present_reconciliation)

    @extend_schema(
        operation_id="reconciliations_create", request=NewReconciliation, responses={202: ReconciliationSchema}
    )
    def post(self, request: Request) -> Response:
        """Begin one; a worker does it."""
        given = NewReconciliation(data=request.data)
        given.is_valid(raise_exception=True)
        principal = principal_of(request)
        need(principal, "profiles:read")
        fields = given.validated_data
        made = create_reconciliation(
            a=fields["a"],
            b=fields["b"],
            since=fields.get("since"),
            until=fields.get("until"),
            actor=principal.actor,
            now=timezone.now(),
        )
        return Response(present_reconciliation(made), status=status.HTTP_202_ACCEPTED)


class OneReconciliation(APIView):
    """Reads a reconciliation."""

    scopes = {"GET": "sources:read"}

    @extend_schema(operation_id="reconciliations_read", responses=ReconciliationSchema)
    def get(self, request: Request, reconciliation_id: int) -> Response:  # noqa: ARG002 - DRF's signature
        """Answer it with its progress."""
        return Response(present_reconciliation(get_reconciliation(reconciliation_id=reconciliation_id)))


class CancelReconciliation(APIView):
    """Stops a reconciliation."""

    scopes = {"POST": "sources:write"}

    @extend_schema(operation_id="reconciliations_cancel", request=None, responses=ReconciliationSchema)
    def post(self, request: Request, reconciliation_id: int) -> Response:
        """Stop it; what it has found stays."""
        principal = principal_of(request)
        need(principal, "profiles:read")
        found = cancel_reconciliation(reconciliation_id=reconciliation_id, actor=principal.actor, now=timezone.now())
        return Response(present_reconciliation(found))


class ReconciledPeopleList(APIView):
    """Lists the people whom a reconciliation found."""

    renderer_classes = [JsonRenderer, CsvRenderer]
    scopes = {"GET": "profiles:read"}

    @extend_schema(
        operation_id="reconciliations_people",
        parameters=[
            OpenApiParameter("state", enum=FIELD_STATES, required=True),
            OpenApiParameter("field", description="A trait: who disagrees in it. Without: who is in one source only"),
            OpenApiParameter("format", enum=["csv"], description="csv: all of them as one file"),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses={
            (200, "application/json"): shapes.page_of(ReconciledPersonSchema, "ReconciledPersonPage"),
            (200, "text/csv"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request, reconciliation_id: int) -> Any:
        """Answer one page, or all as CSV."""
        principal = principal_of(request)
        need(principal, "sources:read")
        found = get_reconciliation(reconciliation_id=reconciliation_id)
        state, field = request.query_params.get("state", ""), request.query_params.get("field", "")
        people = list_people(found=found, state=state, field=field)
        if principal.sees_personal_data:
            note_read(actor=principal.actor, object=f"reconciliation:{found.pk}:people")
        now = timezone.now()
        if request.query_params.get("format") == "csv":
            name = f"reconciliation-{found.pk}-{state}.csv"
            headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
            lines = csv_people(found=found, state=state, field=field, principal=principal, now=now)
            return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)
        page = read_page(request, fetch=fetch_from(people, "id"), key=key_from("id"))
        shown = present_people(page.rows, found=found, field=field, principal=principal, now=now)
        return Response(page.body([{name: value for name, value in one.items() if name != "profile"} for one in shown]))
