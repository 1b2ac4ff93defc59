"""What requests about static lists and splits hold, and the shapes of their answers."""

from decimal import Decimal

from rest_framework import serializers

from segments.api.fields import KeyField, NewSegmentFields, SegmentSchema, StrictSerializer

MAX_PARTS = 20
MAX_LINES = 100_000


class NewList(StrictSerializer):
    """A static list to create."""

    key = KeyField()
    name = serializers.CharField(max_length=200, required=False)


class IdentifierLine(StrictSerializer):
    """An identifier: type and value."""

    type = serializers.CharField(max_length=64, allow_blank=True)
    value = serializers.CharField(max_length=512, allow_blank=True)


class ListLine(StrictSerializer):
    """One person: by public id, or by an identifier. Blank ones are counted, not refused."""

    profile_id = serializers.CharField(max_length=64, required=False, allow_blank=True)
    identifier = IdentifierLine(required=False)


class ListLines(StrictSerializer):
    """People to put on a list, or to take off it."""

    members = ListLine(many=True, max_length=MAX_LINES)  # type: ignore[call-arg]


class ListSchema(serializers.Serializer):
    """A static list."""

    key = serializers.CharField()
    name = serializers.CharField()
    count = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class UploadSchema(serializers.Serializer):
    """What became of the lines of an upload."""

    added = serializers.IntegerField()
    known = serializers.IntegerField()
    unmatched = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    blank = serializers.IntegerField()
    count = serializers.IntegerField()


class NewListUpload(StrictSerializer):
    """A CSV or Excel file of people; without `column` the first one called like an identifier type, or profile_id."""

    file = serializers.FileField()
    column = serializers.CharField(max_length=200, required=False, allow_blank=True)
    type = serializers.CharField(max_length=64, required=False, allow_blank=True)


class ListUploadSchema(serializers.Serializer):
    """A file that was put on a list, and what became of its rows."""

    id = serializers.IntegerField()
    column = serializers.CharField()
    type = serializers.CharField()
    rows = serializers.IntegerField()
    added = serializers.IntegerField()
    known = serializers.IntegerField()
    unmatched = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    blank = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()


class ListUploadRowSchema(serializers.Serializer):
    """What became of a row; the header is row 1."""

    row = serializers.IntegerField()
    outcome = serializers.CharField()


class SplitPart(StrictSerializer):
    """A part of a segment."""

    key = KeyField()
    name = serializers.CharField(max_length=200, required=False)
    percent = serializers.DecimalField(max_digits=8, decimal_places=4, min_value=Decimal("0.0001"), max_value=100)

    validate_key = NewSegmentFields.validate_key


class SegmentSplitRequest(StrictSerializer):
    """The parts of a segment, and the salt that decides who falls into which."""

    parts = SplitPart(many=True, min_length=1, max_length=MAX_PARTS)  # type: ignore[call-arg]
    salt = serializers.CharField(max_length=200)


class SplitAnswer(serializers.Serializer):
    """The parts of a segment."""

    results = SegmentSchema(many=True)


class RemovalSchema(serializers.Serializer):
    """How many were taken off a list."""

    removed = serializers.IntegerField()
    count = serializers.IntegerField()


class ListMemberSchema(serializers.Serializer):
    """A person on a list."""

    profile_id = serializers.UUIDField()
    added_at = serializers.DateTimeField()
