"""The shapes of exports and destinations."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from segments.api.fields import StrictSerializer
from segments.sending.hashing import TRANSFORMS
from segments.sending.presets import PRESETS
from segments.sending_models import Export, ExportSchedule

FORMATS = tuple(Export.Format.values)
EXPORT_STATUSES = tuple(Export.Status.values)
PRESET_NAMES = tuple(PRESETS)
RHYTHMS = tuple(ExportSchedule.Every.values)
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
    at = serializers.TimeField()
    weekday = serializers.IntegerField()
    day = serializers.IntegerField()
    timezone = serializers.CharField()
    enabled = serializers.BooleanField()
    fault = serializers.CharField(allow_null=True)
    next_at = serializers.DateTimeField(allow_null=True)
