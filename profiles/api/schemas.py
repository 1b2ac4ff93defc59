"""Shapes of requests and answers, for OpenAPI and for reading input."""

from rest_framework import serializers


class IdentifierField(serializers.Serializer):
    """An identifier: type and value."""

    type = serializers.CharField(max_length=64)
    value = serializers.CharField(max_length=512)


class HeldIdentifier(IdentifierField):
    """An identifier with where it came from."""

    first_seen_at = serializers.DateTimeField()
    source = serializers.CharField()  # type: ignore[assignment]  # a member of that name, not DRF's attribute


class ProfileSchema(serializers.Serializer):
    """A profile."""

    id = serializers.UUIDField()
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    traits = serializers.DictField()
    identifiers = HeldIdentifier(many=True)
    segments = serializers.ListField(child=serializers.CharField())
    merged_ids = serializers.ListField(child=serializers.UUIDField())
    anonymous = serializers.BooleanField()


class EventSchema(serializers.Serializer):
    """An event."""

    id = serializers.CharField()
    message_id = serializers.CharField()
    type = serializers.CharField()
    name = serializers.CharField()
    occurred_at = serializers.DateTimeField()
    original_timestamp = serializers.CharField(allow_null=True)
    sent_at = serializers.DateTimeField(allow_null=True)
    received_at = serializers.DateTimeField()
    source = serializers.CharField()  # type: ignore[assignment]  # a member of that name, not DRF's attribute
    properties = serializers.DictField()
    context = serializers.DictField()  # type: ignore[assignment]  # as above


class MergeSchema(serializers.Serializer):
    """A row of the merge ledger."""

    id = serializers.CharField()
    survivor_id = serializers.UUIDField()
    absorbed_id = serializers.UUIDField()
    kind = serializers.CharField()
    rule = serializers.CharField()
    message_id = serializers.CharField()
    score = serializers.FloatField(allow_null=True)
    actor = serializers.CharField()
    created_at = serializers.DateTimeField()
    state = serializers.CharField()
    undone_at = serializers.DateTimeField(allow_null=True)
    undone_by = serializers.CharField()


class RefusalSchema(serializers.Serializer):
    """A row of the ledger of refusals."""

    id = serializers.CharField()
    profile_ids = serializers.ListField(child=serializers.UUIDField())
    identifier = IdentifierField()
    reason = serializers.CharField()
    limit = serializers.IntegerField(allow_null=True)
    rule = serializers.CharField()
    message_id = serializers.CharField()
    created_at = serializers.DateTimeField()


class EdgeEnd(IdentifierField):
    """One end of an edge, with the profile that holds it."""

    profile_id = serializers.UUIDField()


class EdgeSchema(serializers.Serializer):
    """An edge between two identifiers, with who blocked it if it is blocked."""

    id = serializers.CharField()
    state = serializers.CharField()
    kind = serializers.CharField()
    identifiers = serializers.ListField(child=EdgeEnd(allow_null=True))
    rule = serializers.CharField()
    message_id = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # a member of that name, not DRF's attribute
    merge_id = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    blocked_at = serializers.DateTimeField(allow_null=True)
    blocked_by = serializers.CharField()
    blocked_for = serializers.CharField()
    block_reason = serializers.CharField()


class GraphNode(IdentifierField):
    """An identifier in the graph."""

    id = serializers.CharField()


class GraphEdgeSchema(serializers.Serializer):
    """An edge in the graph, with how far it is trusted."""

    id = serializers.CharField()
    identifiers = serializers.ListField(child=serializers.CharField())
    kind = serializers.CharField()
    rule = serializers.CharField()
    message_id = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # a member of that name, not DRF's attribute
    created_at = serializers.DateTimeField()
    merge_id = serializers.CharField(allow_null=True)
    strength = serializers.FloatField()


class GraphSchema(serializers.Serializer):
    """The identifier graph of a profile."""

    confidence = serializers.FloatField(allow_null=True)
    weakest_edge = serializers.CharField(allow_null=True)
    complete = serializers.BooleanField()
    identifiers = GraphNode(many=True)
    edges = GraphEdgeSchema(many=True)


class ReasonRequest(serializers.Serializer):
    """Why something is done."""

    reason = serializers.CharField(max_length=1000, required=False, default="", allow_blank=True)


class ChangeSchema(serializers.Serializer):
    """A row of a profile's history."""

    kind = serializers.CharField()
    at = serializers.DateTimeField()
    detail = serializers.DictField()


class LookupRequest(serializers.Serializer):
    """A look-up by identifier, with the value in the body and not in the address."""

    identifier = IdentifierField()


class MergeRequest(serializers.Serializer):
    """Two profiles that are one person."""

    profile_ids = serializers.ListField(child=serializers.UUIDField(), min_length=2, max_length=2)
    reason = serializers.CharField(max_length=1000, required=False, default="", allow_blank=True)


class SplitRequest(serializers.Serializer):
    """Identifiers to take off a profile."""

    identifiers = IdentifierField(many=True, allow_empty=False)


class SplitSchema(serializers.Serializer):
    """What a split made."""

    profile_id = serializers.UUIDField()
    new_profile_id = serializers.UUIDField()


def page_of(item: type[serializers.Serializer], name: str) -> type[serializers.Serializer]:
    """Return the shape of a page of items."""
    fields = {
        "results": item(many=True),
        "next": serializers.URLField(allow_null=True),
        "previous": serializers.URLField(allow_null=True),
        "__doc__": "A page.",
    }
    return type(name, (serializers.Serializer,), fields)
