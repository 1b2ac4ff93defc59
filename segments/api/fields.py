"""Reading input strictly, and the shapes for OpenAPI."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from cdp.core.api.times import read_time
from cdp.core.errors import FieldError, InvalidInput
from segments.models import MembershipChange, Segment

KEY = r"^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?$"
# Their addresses, in REST or in the browser, are those of something else.
RESERVED = ("preview", "compare", "values", "export", "import", "templates", "new", "properties")
MAX_TAGS = 20
MAX_SEGMENTS = 200
FORMAT = "cdp/segments/1"
STATUSES = tuple(Segment.Status.values)


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


class KeyField(serializers.RegexField):
    """A slug: lower-case letters, digits, `-` and `_`."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_length", 64)
        super().__init__(KEY, **options)


@extend_schema_field({"type": "object", "description": "A definition in the language segment/v1"})
class DefinitionField(serializers.Field):
    """A definition: passed on as it is, for the language reads it and names each fault."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the JSON."""
        if not isinstance(data, dict):
            raise serializers.ValidationError("A definition is an object: {version, timezone, match}.", code="invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        """Return the JSON."""
        return value


class SegmentFields(StrictSerializer):
    """The properties of a segment that can be changed."""

    name = serializers.CharField(max_length=200, required=False)
    definition = DefinitionField(required=False)
    status = serializers.ChoiceField(choices=STATUSES, required=False)
    purpose = serializers.CharField(max_length=64, allow_null=True, allow_blank=True, required=False)
    channel = serializers.CharField(max_length=32, allow_null=True, allow_blank=True, required=False)
    tags = serializers.ListField(child=serializers.CharField(max_length=40), max_length=20, required=False)


class NewSegmentFields(SegmentFields):
    """A segment to create."""

    key = KeyField()
    definition = DefinitionField()

    def validate_key(self, value: str) -> str:
        """Refuse keys whose address means something else."""
        if value in RESERVED:
            raise serializers.ValidationError(f"The key {value} is reserved.", code="reserved")
        return value


class PreviewRequest(StrictSerializer):
    """A definition to try; `now` in development only."""

    definition = DefinitionField()
    now = serializers.CharField(max_length=64, required=False, allow_null=True)
    key = serializers.CharField(max_length=64, required=False, allow_null=True)


class SegmentSchema(serializers.Serializer):
    """A segment."""

    key = serializers.CharField()
    name = serializers.CharField()
    definition = DefinitionField()
    version = serializers.IntegerField()
    status = serializers.ChoiceField(choices=STATUSES)
    count = serializers.IntegerField(allow_null=True)
    computed_at = serializers.DateTimeField(allow_null=True)
    purpose = serializers.CharField(allow_null=True)
    channel = serializers.CharField(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())


class CostSchema(serializers.Serializer):
    """What keeping a definition current would cost, in units of the database's planner and in a word."""

    estimate = serializers.IntegerField()
    level = serializers.ChoiceField(choices=("light", "moderate", "heavy"))


class SegmentPreviewSchema(serializers.Serializer):
    """What a definition finds; of a small group no count to whoever may not see persons."""

    count = serializers.IntegerField(allow_null=True)
    sample = serializers.ListField(child=serializers.DictField())
    cost = CostSchema()
    sentence = serializers.CharField()
    sql = serializers.CharField()
    took_ms = serializers.IntegerField()
    now = serializers.DateTimeField()


class MemberSchema(serializers.Serializer):
    """A member."""

    profile_id = serializers.UUIDField()
    since = serializers.DateTimeField()


class MembershipChangeSchema(serializers.Serializer):
    """An entry or exit."""

    profile_id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=MembershipChange.Kind.labels)
    at = serializers.DateTimeField()
    reason = serializers.DictField()


class SegmentVersionSchema(serializers.Serializer):
    """A version of a definition."""

    version = serializers.IntegerField()
    definition = DefinitionField()
    sentence = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()


class VersionDifferenceSchema(serializers.Serializer):
    """One change of a definition."""

    path = serializers.CharField()
    kind = serializers.ChoiceField(choices=("added", "removed", "changed"))
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class DifferencesAnswer(serializers.Serializer):
    """What changed between two versions."""

    version = serializers.IntegerField()
    against = serializers.IntegerField()
    sentence = serializers.CharField()
    sentence_before = serializers.CharField()
    changes = VersionDifferenceSchema(many=True)


class DuplicateRequest(StrictSerializer):
    """The key of the copy, and its name."""

    key = KeyField()
    name = serializers.CharField(max_length=200, required=False)

    validate_key = NewSegmentFields.validate_key


class CarriedFields(StrictSerializer):
    """A segment of a file."""

    key = KeyField()
    name = serializers.CharField(max_length=200)
    definition = DefinitionField()
    purpose = serializers.CharField(max_length=64, allow_null=True, allow_blank=True, required=False)
    channel = serializers.CharField(max_length=32, allow_null=True, allow_blank=True, required=False)
    tags = serializers.ListField(child=serializers.CharField(max_length=64), max_length=MAX_TAGS, required=False)

    validate_key = NewSegmentFields.validate_key


class CarriedFile(StrictSerializer):
    """A file of segments, as the export gives it; `replace` makes new versions of those that are there."""

    format = serializers.ChoiceField(choices=(FORMAT,), required=False)
    segments = CarriedFields(many=True, max_length=MAX_SEGMENTS)  # type: ignore[call-arg]
    replace = serializers.BooleanField(required=False, default=False)


class ExportedFile(serializers.Serializer):
    """A file of segments."""

    format = serializers.CharField()
    segments = CarriedFields(many=True)


class CarriedSchema(serializers.Serializer):
    """What became of one segment of a file."""

    key = serializers.CharField()
    outcome = serializers.ChoiceField(choices=("created", "changed", "unchanged", "refused"))
    code = serializers.CharField(allow_null=True)
    detail = serializers.CharField(allow_null=True)


class CarriedAnswer(serializers.Serializer):
    """What became of each segment of a file."""

    results = CarriedSchema(many=True)


class OverlapSchema(serializers.Serializer):
    """What a segment shares with another."""

    key = serializers.CharField()
    name = serializers.CharField()
    count = serializers.IntegerField(allow_null=True)
    shared = serializers.IntegerField(allow_null=True)


class OverlapAnswer(serializers.Serializer):
    """What a segment shares with others, the largest share first."""

    results = OverlapSchema(many=True)


class ExplanationSchema(serializers.Serializer):
    """One condition's part in the answer."""

    path = serializers.CharField()
    sentence = serializers.CharField()
    result = serializers.BooleanField()
    observed = serializers.JSONField(allow_null=True)


class ExplainAnswer(serializers.Serializer):
    """Why a profile is in a segment, or not."""

    profile_id = serializers.UUIDField()
    member = serializers.BooleanField()
    tree = ExplanationSchema(many=True)


class ProfileSegmentSchema(serializers.Serializer):
    """A segment that a profile is in."""

    key = serializers.CharField()
    name = serializers.CharField()
    since = serializers.DateTimeField()


def page_of(item: type[serializers.Serializer], name: str) -> type[serializers.Serializer]:
    """Return the shape of a page of items."""
    fields = {
        "results": item(many=True),
        "next": serializers.URLField(allow_null=True),
        "previous": serializers.URLField(allow_null=True),
        "__doc__": "A page.",
    }
    return type(name, (serializers.Serializer,), fields)


def read_input(shape: type[serializers.Serializer], data: Any, *, partial: bool = False) -> dict[str, Any]:
    """Return the checked input, or raise what is wrong with it."""
    given = shape(data=data, partial=partial)
    given.is_valid(raise_exception=True)
    checked: dict[str, Any] = given.validated_data
    return checked


def read_moment(text: str) -> Any:
    """Read the `now` of a preview.

    Raises
    ------
    InvalidInput
        If it is no time from 1970 to 2200: a window back from it must be one that can be computed.
    """
    moment = read_time(text, path="now")
    if moment is None or not 1970 <= moment.year <= 2200:
        message = "now is a time from 1970 to 2200."
        raise InvalidInput(message, errors=[FieldError("now", "out_of_range", message)])
    return moment
