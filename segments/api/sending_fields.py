"""The shapes of exports and destinations."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from segments.api.fields import KeyField, StrictSerializer
from segments.sending.hashing import TRANSFORMS
from segments.sending.presets import PRESETS
from segments.sending.templates import BODY_FORMATS, METHODS, MOST_PEOPLE_PER_REQUEST
from segments.sending_models import DeliveryRecord, Destination, Export, ExportSchedule

FORMATS = tuple(Export.Format.values)
DESTINATION_KINDS = tuple(Destination.Kind.values)
DESTINATION_STATES = ("active", "resting", "paused", "disabled")
DELIVERY_KINDS = ("entered", "left", "member")
DELIVERY_OUTCOMES = tuple(DeliveryRecord.Outcome.values)
EXPORT_STATUSES = tuple(Export.Status.values)
PRESET_NAMES = tuple(PRESETS)
RHYTHMS = tuple(ExportSchedule.Every.values)
TEMPLATE = {
    "type": "object",
    "properties": {
        "method": {"type": "string", "enum": list(METHODS)},
        "url": {"type": "string", "maxLength": 2048},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "body": {
            "nullable": True,
            "description": "JSON whose texts may hold {{person.NAME}}, {{secret.NAME}}, {{event}}",
        },
        "body_format": {"type": "string", "enum": list(BODY_FORMATS)},
    },
    "required": ["url"],
}
COLUMN = {
    "oneOf": [
        {"type": "string", "description": "A source alone: its name is what stands behind the colon"},
        {
            "type": "object",
            "properties": {
                "name": {"type": "string", "maxLength": 200},
                "source": {
                    "type": "string",
                    "description": "id, email, phone, first_seen_at, last_seen_at, identifier:TYPE or trait:NAME",
                },
                "transform": {"type": "string", "enum": ["", *TRANSFORMS]},
            },
            "required": ["source"],
            "additionalProperties": False,
        },
    ]
}


@extend_schema_field({"type": "array", "items": COLUMN, "maxItems": 100})
class ColumnsField(serializers.Field):
    """Columns: passed on as they are, for their own reader names each fault."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the JSON."""
        if not isinstance(data, list):
            raise serializers.ValidationError("Columns are a list.", code="invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        """Return the JSON."""
        return value


class NewExportFields(StrictSerializer):
    """An export to make. Without columns and preset: id, email, phone and names."""

    segment = serializers.CharField(max_length=64)
    format = serializers.ChoiceField(choices=FORMATS, required=False)
    preset = serializers.ChoiceField(choices=PRESET_NAMES, required=False)
    columns = ColumnsField(required=False)
    purpose = serializers.CharField(max_length=64, required=False, help_text="Default: the segment's")
    channel = serializers.CharField(max_length=32, required=False, allow_null=True, help_text="Default: the segment's")
    recipient = serializers.CharField(
        max_length=200, required=False, help_text="Who receives the file, for the register of disclosures"
    )


class NewScheduleFields(NewExportFields):
    """An export to make again and again."""

    name = serializers.CharField(max_length=200, required=False)
    every = serializers.ChoiceField(choices=RHYTHMS)
    at = serializers.TimeField(help_text="Time of the day, such as 06:30")
    weekday = serializers.IntegerField(min_value=0, max_value=6, required=False, help_text="Of a week; 0 is Monday")
    day = serializers.IntegerField(min_value=1, max_value=31, required=False, help_text="Of a month")
    timezone = serializers.CharField(max_length=64, required=False, help_text="IANA name; default: the installation's")


class ScheduleSwitch(StrictSerializer):
    """Whether a schedule goes on."""

    enabled = serializers.BooleanField()


class ColumnSchema(serializers.Serializer):
    """A column."""

    name = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # DRF takes it out of the class
    transform = serializers.CharField()


class ExportSchema(serializers.Serializer):
    """An export."""

    id = serializers.IntegerField()
    segment = serializers.CharField()
    schedule = serializers.IntegerField(allow_null=True)
    purpose = serializers.CharField()
    channel = serializers.CharField(allow_null=True)
    recipient = serializers.CharField()
    format = serializers.ChoiceField(choices=FORMATS)
    preset = serializers.CharField(allow_null=True)
    columns = ColumnSchema(many=True)
    masked = serializers.BooleanField()
    status = serializers.ChoiceField(choices=EXPORT_STATUSES)
    fault = serializers.CharField(allow_null=True)
    members = serializers.IntegerField()
    rows = serializers.IntegerField()
    skipped = serializers.DictField(child=serializers.IntegerField())
    downloads = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField()
    file = serializers.URLField(allow_null=True)


class ScheduleSchema(serializers.Serializer):
    """A schedule."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    segment = serializers.CharField()
    purpose = serializers.CharField()
    channel = serializers.CharField(allow_null=True)
    recipient = serializers.CharField()
    format = serializers.ChoiceField(choices=FORMATS)
    preset = serializers.CharField(allow_null=True)
    columns = ColumnSchema(many=True)
    every = serializers.ChoiceField(choices=RHYTHMS)
    at = serializers.CharField(help_text="HH:MM, in the time zone of the schedule")
    weekday = serializers.IntegerField()
    day = serializers.IntegerField()
    timezone = serializers.CharField()
    enabled = serializers.BooleanField()
    fault = serializers.CharField(allow_null=True)
    next_at = serializers.DateTimeField(allow_null=True)


@extend_schema_field(TEMPLATE)
class TemplateField(serializers.Field):
    """A request template: passed on as it is, for its own reader names each fault."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the JSON."""
        if not isinstance(data, dict):
            raise serializers.ValidationError("A request is an object {method, url, headers, body}.", code="invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        """Return the JSON."""
        return value


class DestinationFields(StrictSerializer):
    """The properties of a destination that can be changed."""

    name = serializers.CharField(max_length=200, required=False)
    recipient = serializers.CharField(max_length=200, required=False)
    purpose = serializers.CharField(max_length=64, required=False, help_text="Default: the segment's")
    channel = serializers.CharField(max_length=32, required=False, help_text="Default: the segment's")
    columns = ColumnsField(required=False)
    request = TemplateField(required=False)
    removal = TemplateField(required=False, allow_null=True)
    secrets = serializers.DictField(
        child=serializers.CharField(max_length=4096, allow_null=True),
        required=False,
        write_only=True,
        help_text="Never shown again; null takes one away",
    )
    people_per_request = serializers.IntegerField(
        min_value=1, max_value=MOST_PEOPLE_PER_REQUEST, required=False, help_text="How many may go in one request"
    )
    send_entered = serializers.BooleanField(required=False)
    send_left = serializers.BooleanField(required=False)
    enabled = serializers.BooleanField(required=False)


class NewDestinationFields(DestinationFields):
    """A destination to set up. A webhook needs `request.url` only."""

    key = KeyField()
    segment = serializers.CharField(max_length=64)
    kind = serializers.ChoiceField(choices=DESTINATION_KINDS)
    request = TemplateField()

    def validate_key(self, value: str) -> str:
        """Refuse the one key whose page means something else."""
        if value == "new":
            raise serializers.ValidationError("The key new is reserved.", code="reserved")
        return value


class DestinationSchema(serializers.Serializer):
    """A destination, and how it goes."""

    key = serializers.CharField()
    name = serializers.CharField()
    recipient = serializers.CharField()
    segment = serializers.CharField()
    kind = serializers.ChoiceField(choices=DESTINATION_KINDS)
    purpose = serializers.CharField()
    channel = serializers.CharField()
    columns = ColumnSchema(many=True)
    request = TemplateField()
    removal = TemplateField(allow_null=True)
    secrets = serializers.ListField(child=serializers.CharField(), help_text="Their names")
    people_per_request = serializers.IntegerField()
    send_entered = serializers.BooleanField()
    send_left = serializers.BooleanField()
    enabled = serializers.BooleanField()
    state = serializers.ChoiceField(choices=DESTINATION_STATES)
    disabled_reason = serializers.CharField(allow_null=True)
    failures = serializers.IntegerField()
    retry_at = serializers.DateTimeField(allow_null=True)
    last_at = serializers.DateTimeField(allow_null=True)
    last_status = serializers.IntegerField(allow_null=True)
    last_reason = serializers.CharField(allow_null=True)
    waiting = serializers.IntegerField()
    dead = serializers.IntegerField()
    activated = serializers.IntegerField(help_text="Of how many people it was told")
    sent = serializers.IntegerField(help_text="In the last 30 days")
    skipped = serializers.DictField(child=serializers.IntegerField())
    created_at = serializers.DateTimeField()


class NewDestinationSchema(DestinationSchema):
    """A destination just made, with the signing secret of a webhook, shown this once."""

    signing_secret = serializers.CharField(allow_null=True)


class SigningSecretSchema(serializers.Serializer):
    """A new signing secret, shown this once."""

    signing_secret = serializers.CharField()


class TriedDestinationSchema(serializers.Serializer):
    """What a test send came to."""

    delivered = serializers.BooleanField()
    status = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    took_ms = serializers.IntegerField()


class QueuedSchema(serializers.Serializer):
    """How many people or deliveries will be looked at."""

    queued = serializers.IntegerField()


class DeliveryRecordSchema(serializers.Serializer):
    """A line of the delivery log."""

    id = serializers.IntegerField()
    profile_id = serializers.UUIDField(allow_null=True)
    kind = serializers.CharField(allow_null=True)
    outcome = serializers.ChoiceField(choices=DELIVERY_OUTCOMES)
    reason = serializers.CharField(allow_null=True)
    status = serializers.IntegerField(allow_null=True)
    took_ms = serializers.IntegerField(allow_null=True)
    attempt = serializers.IntegerField()
    at = serializers.DateTimeField()
