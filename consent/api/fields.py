"""Reading input strictly: unknown members are refused, times are read as everywhere, texts can be stored."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from cdp.core.api.times import read_time
from cdp.core.errors import InvalidInput
from consent.decision import ACTORS, LEGAL_BASES, RECORDABLE, STATES
from consent.tcf.mapping import MODE_SIGNALS, TCF_PURPOSES
from consent.words.choosing import LANGUAGES

FIRST_TIME = datetime(1970, 1, 1, tzinfo=UTC)
LAST_YEAR = 9998
KEY = r"^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?$"
EVIDENCE_BYTES = 16 * 1024
LANGUAGE_CODES = tuple(LANGUAGES)


class StrictSerializer(serializers.Serializer):
    """Refuses members that it does not know: a misspelt member must not be ignored."""

    def to_internal_value(self, data: Any) -> Any:
        """Check the names, then read the values."""
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in data if name not in self.fields)
            if unknown:
                allowed = ", ".join(name for name, field in self.fields.items() if not field.read_only)
                raise serializers.ValidationError(
                    {name: [f"There is no such member. Members: {allowed}."] for name in unknown}, code="unknown"
                )
        return super().to_internal_value(data)


class TimeField(serializers.DateTimeField):
    """ISO 8601; without a zone it is UTC. Years 1970 to 9998."""

    def to_internal_value(self, value: Any) -> datetime:
        """Read a time."""
        if not isinstance(value, str):
            raise serializers.ValidationError("A time is a text in ISO 8601.", code="invalid")
        try:
            found = read_time(value, path="")
        except InvalidInput as error:
            message = "This is no time. Give ISO 8601, e.g. 2026-01-31T12:00:00Z."
            raise serializers.ValidationError(message, code="invalid") from error
        if found is None or found < FIRST_TIME or found.year > LAST_YEAR:
            raise serializers.ValidationError(f"Times lie between 1970 and {LAST_YEAR}.", code="out_of_range")
        return found


class KeyField(serializers.RegexField):
    """A slug: lower-case letters, digits, `-` and `_`."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_length", 64)
        super().__init__(KEY, **options)


class TextList(serializers.ListField):
    """A list of short texts."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=serializers.CharField(max_length=200), max_length=100, **options)


class IdentifierInput(StrictSerializer):
    """An identifier: type and value."""

    type = serializers.CharField(max_length=64)
    value = serializers.CharField(max_length=512)


def need_one_person(attrs: dict[str, Any]) -> dict[str, Any]:
    """Return the input, or say that the person must be named in one way."""
    if ("profile_id" in attrs) == ("identifier" in attrs):
        raise serializers.ValidationError("Give either profile_id or identifier.", code="one_of")
    return attrs


class PurposeFields(StrictSerializer):
    """The properties of a purpose that can be changed."""

    name = serializers.CharField(max_length=200)
    legal_basis = serializers.ChoiceField(choices=LEGAL_BASES, required=False)
    channels = serializers.ListField(child=KeyField(max_length=32), max_length=50, required=False)
    retention_days = serializers.IntegerField(min_value=1, max_value=36500, allow_null=True, required=False)
    recipients = TextList(required=False)
    consent_categories = TextList(required=False)
    special_category = serializers.BooleanField(required=False)


class NewPurpose(PurposeFields):
    """A purpose to create."""

    key = KeyField()
    name = serializers.CharField(max_length=200, required=False)


class NewNotice(StrictSerializer):
    """A text to become a version of a notice."""

    key = KeyField()
    language = serializers.RegexField(r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=16)
    text = serializers.CharField(trim_whitespace=False, max_length=1_000_000)


class NewConsent(StrictSerializer):
    """A decision to record."""

    profile_id = serializers.CharField(max_length=64, required=False)
    identifier = IdentifierInput(required=False)
    purpose = serializers.CharField(max_length=64)
    channel = serializers.CharField(max_length=32, allow_null=True, required=False, default=None)
    state = serializers.ChoiceField(choices=RECORDABLE)
    occurred_at = TimeField(required=False, allow_null=True)
    expires_at = TimeField(required=False, allow_null=True)
    actor = serializers.ChoiceField(choices=ACTORS, required=False)
    source = serializers.CharField(max_length=200, required=False, allow_blank=True)  # type: ignore[assignment]
    notice = serializers.CharField(max_length=128, required=False, allow_null=True)
    notice_version = serializers.IntegerField(min_value=1, required=False, allow_null=True)
    evidence = serializers.DictField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Need one way to name the person."""
        return need_one_person(attrs)

    def validate_evidence(self, value: dict[str, Any] | None) -> dict[str, Any]:
        """Bound what is stored."""
        if len(str(value)) > EVIDENCE_BYTES:
            raise serializers.ValidationError(f"Evidence has at most {EVIDENCE_BYTES} characters.", code="too_long")
        return value or {}


class PurposeSignals(StrictSerializer):
    """What public pages say of a purpose, and what signals of the outside mean for it."""

    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    words = serializers.DictField(
        child=serializers.DictField(child=serializers.CharField(max_length=2000, allow_blank=True)), required=False
    )
    tcf_purposes = serializers.ListField(
        child=serializers.IntegerField(min_value=TCF_PURPOSES[0], max_value=TCF_PURPOSES[-1]), required=False
    )
    consent_mode = serializers.ListField(child=serializers.ChoiceField(choices=MODE_SIGNALS), required=False)
    gpc = serializers.BooleanField(required=False)

    def validate_words(self, value: dict[str, Any]) -> dict[str, Any]:
        """Take the languages of public pages only, each with a name and a description."""
        for language, said in value.items():
            if language not in LANGUAGES or not set(said) <= {"name", "description"}:
                known = ", ".join(LANGUAGES)
                message = f"words maps languages ({known}) to name and description."
                raise serializers.ValidationError(message, code="unknown")
        return value


class NewEvidence(StrictSerializer):
    """Evidence for a grant in conflict."""

    evidence = serializers.DictField()


class Reason(StrictSerializer):
    """Why."""

    reason = serializers.CharField(max_length=2000)


class PurposeSchema(PurposeFields):
    """A purpose."""

    key = KeyField()


class NoticeSchema(serializers.Serializer):
    """A version of a notice."""

    key = serializers.CharField()
    language = serializers.CharField()
    version = serializers.IntegerField()
    text = serializers.CharField()
    sha256 = serializers.CharField()
    created_at = serializers.DateTimeField()


class ConsentSchema(serializers.Serializer):
    """A decision."""

    id = serializers.CharField(allow_null=True)
    profile_id = serializers.UUIDField(allow_null=True)
    purpose = serializers.CharField()
    channel = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(choices=STATES)
    effective_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    occurred_at = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()
    source = serializers.CharField()  # type: ignore[assignment]
    actor = serializers.ChoiceField(choices=ACTORS)
    notice = serializers.CharField(allow_null=True)
    notice_version = serializers.IntegerField(allow_null=True)
    notice_is_latest = serializers.BooleanField(
        allow_null=True, help_text="false: a newer text is out than the one that was agreed to; null: none was named"
    )
    evidence = serializers.DictField()
    conflict = serializers.BooleanField()


class CheckSchema(serializers.Serializer):
    """The gate's answer."""

    allowed = serializers.BooleanField()
    state = serializers.ChoiceField(choices=STATES)
    reason = serializers.CharField()
    decided_by = serializers.CharField(allow_null=True)


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
