"""The inventory of sources by REST."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ingestion.api import shapes
from ingestion.queries.inventory import Entry, list_inventory


class InventorySchema(serializers.Serializer):
    """A source with what is known about it; `messages` were received in the last 30 days, `score` is of the last 7."""

    key = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.CharField()
    enabled = serializers.BooleanField()
    owner = serializers.CharField(allow_null=True)
    purpose = serializers.CharField(allow_null=True)
    required_purpose = serializers.CharField(allow_null=True)
    expected_every_minutes = serializers.IntegerField(allow_null=True)
    last_seen_at = serializers.DateTimeField(allow_null=True)
    overdue = serializers.BooleanField()
    plan_version = serializers.IntegerField(allow_null=True)
    messages = serializers.IntegerField()
    events = serializers.ListField(child=serializers.CharField())
    field_count = serializers.IntegerField()
    traits = serializers.ListField(child=serializers.CharField())
    identifiers = serializers.ListField(child=serializers.CharField())
    score = serializers.FloatField(allow_null=True)


def present_entry(one: Entry) -> dict[str, Any]:
    """Return an entry of the inventory."""
    source = one.source
    return {
        "key": source.key,
        "name": source.name,
        "kind": source.kind,
        "enabled": source.enabled,
        "owner": source.owner or None,
        "purpose": source.purpose or None,
        "required_purpose": source.required_purpose or None,
        "expected_every_minutes": source.expected_every_minutes,
        "last_seen_at": one.last_seen_at,
        "overdue": one.is_overdue,
        "plan_version": source.plan_version or None,
        "messages": one.messages,
        "events": one.event_names,
        "field_count": one.fields,
        "traits": one.traits,
        "identifiers": one.identifiers,
        "score": None if one.score is None else round(one.score, 1),
    }


class Inventory(APIView):
    """Lists all sources with what is known about them."""

    scope_resource = "sources"

    @extend_schema(
        operation_id="inventory_list", responses=shapes.page_of(InventorySchema, "InventoryPage"), parameters=[]
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the same for everybody who may read
        """Answer them all, by key."""
        entries = [present_entry(one) for one in list_inventory(now=timezone.now())]
        return Response({"results": entries, "next": None, "previous": None})
