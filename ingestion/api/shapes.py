"""Shapes of requests and answers, for OpenAPI and for reading input."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from ingestion.models import Outcome, Replay, Source
from ingestion.queries.outcomes import PENDING
from ingestion.services.sources import KINDS

REPLAY_KINDS = [kind.value for kind in Replay.Kind]
DIFFERENCES = ["added", "removed", "changed"]
OUTCOMES = [PENDING, *(outcome.label for outcome in Outcome)]


class StrictSerializer(serializers.Serializer):
    """Refuses members that it does not know: a misspelt member must not be ignored."""

    def to_internal_value(self, data: Any) -> Any:
        """Check the names, then read the values."""
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in data if name not in self.fields)
            if unknown:
                allowed = ", ".join(self.fields)
                raise serializers.ValidationError(
                    {name: [f"There is no such member. Members: {allowed}."] for name in unknown}, code="unknown"
                )
        return super().to_internal_value(data)


class SourceFields(StrictSerializer):
    """What can be changed of a source."""

    name = serializers.CharField(max_length=120, required=False)
    required_purpose = serializers.CharField(max_length=64, required=False, allow_blank=True)
    hold_days = serializers.IntegerField(required=False, min_value=1, max_value=365)
    max_event_bytes = serializers.IntegerField(required=False, min_value=1024, max_value=4 * 1024 * 1024)
    ip_storage = serializers.ChoiceField(choices=Source.IpStorage.values, required=False)
    enabled = serializers.BooleanField(required=False)
    owner = serializers.CharField(max_length=120, required=False, allow_blank=True)
    purpose = serializers.CharField(max_length=300, required=False, allow_blank=True)
    expected_every_minutes = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=44_640)


class NewSource(SourceFields):
    """A new source."""

    key = serializers.CharField(max_length=64)
    kind = serializers.ChoiceField(choices=[kind.value for kind in KINDS])
    write_key = serializers.CharField(max_length=255, required=False)


class SourceSchema(serializers.Serializer):
    """A source; `write_key` only for who may change sources."""

    key = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=[kind.value for kind in Source.Kind])
    public = serializers.BooleanField()
    write_key = serializers.CharField(required=False)
    required_purpose = serializers.CharField(allow_null=True)
    hold_days = serializers.IntegerField()
    max_event_bytes = serializers.IntegerField()
    ip_storage = serializers.ChoiceField(choices=Source.IpStorage.values)
    enabled = serializers.BooleanField()
    owner = serializers.CharField(allow_null=True)
    purpose = serializers.CharField(allow_null=True)
    expected_every_minutes = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class MessageSchema(serializers.Serializer):
    """What became of a message."""

    message_id = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # a member of that name, not DRF's attribute
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    copies = serializers.IntegerField()
    reason = serializers.CharField()
    warnings = serializers.ListField(child=serializers.CharField())
    profile_id = serializers.UUIDField(allow_null=True)
    received_at = serializers.DateTimeField()
    processed_at = serializers.DateTimeField(allow_null=True)


class TailSchema(serializers.Serializer):
    """One of the last messages of a source; `id` is that of its row, `detail` says what is wrong with it."""

    id = serializers.CharField()
    message_id = serializers.CharField()
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    type = serializers.CharField()
    event = serializers.CharField()
    reason = serializers.CharField()
    detail = serializers.CharField()
    warnings = serializers.ListField(child=serializers.CharField())
    copies = serializers.IntegerField()
    received_at = serializers.DateTimeField()
    processed_at = serializers.DateTimeField()


class TailAnswer(serializers.Serializer):
    """The last messages of a source, newest first, and how many wait."""

    pending = serializers.IntegerField()
    results = TailSchema(many=True)


class DifferenceSchema(serializers.Serializer):
    """One place that a step changed; without `before` it was added, without `after` removed."""

    path = serializers.CharField()
    kind = serializers.ChoiceField(choices=DIFFERENCES)
    before = serializers.JSONField(required=False)
    after = serializers.JSONField(required=False)


class FactSchema(serializers.Serializer):
    """A name and its value."""

    name = serializers.CharField()
    value = serializers.JSONField()


class MessageStepSchema(serializers.Serializer):
    """What one step made of a message."""

    key = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=["passed", "stopped", "skipped", "unknown"])
    sentence = serializers.CharField()
    facts = FactSchema(many=True)
    differences = DifferenceSchema(many=True)
    value = serializers.JSONField(allow_null=True)


class StripSchema(serializers.Serializer):
    """A message step by step; `curl` sends it again, null where it is not kept."""

    id = serializers.CharField()
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    reason = serializers.CharField()
    curl = serializers.CharField(allow_null=True)
    steps = MessageStepSchema(many=True)


class QuarantinedSchema(serializers.Serializer):
    """A message that was put aside."""

    id = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # as above
    message_id = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()
    payload = serializers.JSONField()
    created_at = serializers.DateTimeField()


class SourceCounts(serializers.Serializer):
    """What became of a source's messages; `received` is the sum of the rest."""

    source = serializers.CharField()  # type: ignore[assignment]  # as above
    received = serializers.IntegerField()
    pending = serializers.IntegerField()
    accepted = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    rejected = serializers.IntegerField()
    quarantined = serializers.IntegerField()
    suppressed = serializers.IntegerField()
    held = serializers.IntegerField()


class StatusSchema(serializers.Serializer):
    """The state of ingestion."""

    inbox_pending = serializers.IntegerField()
    changes_pending = serializers.IntegerField()
    overdue_checks = serializers.IntegerField()
    oldest_pending_seconds = serializers.FloatField()
    unattributed = serializers.IntegerField()
    per_source = SourceCounts(many=True)


def page_of(item: type[serializers.Serializer], name: str) -> type[serializers.Serializer]:
    """Return the shape of a page of items."""
    fields = {
        "results": item(many=True),
        "next": serializers.URLField(allow_null=True),
        "previous": serializers.URLField(allow_null=True),
        "__doc__": "A page.",
    }
    return type(name, (serializers.Serializer,), fields)
