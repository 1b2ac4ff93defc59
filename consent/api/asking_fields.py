"""Shapes of REST of how people are asked: forms, links, banners, TC strings, files of decisions."""

from typing import Any

from rest_framework import serializers

from consent.api.fields import LANGUAGE_CODES, IdentifierInput, KeyField, StrictSerializer, TimeField, need_one_person
from consent.asking_models import ConsentImport
from consent.services.links import MOST_DAYS
from consent.tables.rows import PRESETS
from consent.tcf.decode import MAX_CHARACTERS
from consent.words.choosing import LANGUAGES

LINK_KINDS = ("preferences", "unsubscribe")


class NewTcf(StrictSerializer):
    """An IAB consent string of a person."""

    profile_id = serializers.CharField(max_length=64, required=False)
    identifier = IdentifierInput(required=False)
    tc_string = serializers.CharField(max_length=MAX_CHARACTERS)
    occurred_at = TimeField(required=False, allow_null=True)
    source = serializers.CharField(max_length=200, required=False, allow_blank=True)  # type: ignore[assignment]
    evidence = serializers.DictField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Need one way to name the person."""
        return need_one_person(attrs)


class AskInput(StrictSerializer):
    """A purpose and a channel."""

    purpose = serializers.CharField(max_length=64)
    channel = serializers.CharField(max_length=32, required=False, allow_blank=True, allow_null=True, default="")

    def validate_channel(self, value: str | None) -> str:
        """Read null as all channels."""
        return value or ""


class NewPreferenceLink(StrictSerializer):
    """A link to be made for a person."""

    profile_id = serializers.CharField(max_length=64, required=False)
    identifier = IdentifierInput(required=False)
    kind = serializers.ChoiceField(choices=LINK_KINDS, default="preferences")
    asks = AskInput(many=True, required=False, max_length=20)  # type: ignore[call-arg]
    language = serializers.ChoiceField(choices=LANGUAGE_CODES, required=False)
    expires_in_days = serializers.IntegerField(min_value=1, max_value=MOST_DAYS, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Need one way to name the person."""
        return need_one_person(attrs)


class PreferenceLinkSchema(serializers.Serializer):
    """A link; `url` and `headers` are in the answer that made it only."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(choices=LINK_KINDS)
    asks = AskInput(many=True)
    language = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    url = serializers.URLField(required=False)
    headers = serializers.DictField(child=serializers.CharField(), required=False)


class FormFields(StrictSerializer):
    """The properties of a hosted form."""

    name = serializers.CharField(max_length=200)
    asks = AskInput(many=True, max_length=20)  # type: ignore[call-arg]
    notice_key = KeyField()
    languages = serializers.ListField(child=serializers.ChoiceField(choices=LANGUAGE_CODES), max_length=len(LANGUAGES))
    texts = serializers.DictField(
        child=serializers.DictField(child=serializers.CharField(max_length=5000, allow_blank=True)), required=False
    )
    identifier_type = serializers.CharField(max_length=64, required=False)
    double_opt_in = serializers.BooleanField(required=False)
    enabled = serializers.BooleanField(required=False)


class NewForm(FormFields):
    """A form to set up."""

    key = KeyField()


class FormSchema(FormFields):
    """A hosted form, and where it stands."""

    key = KeyField()
    url = serializers.URLField()


class BannerFields(StrictSerializer):
    """What the banner of a website asks."""

    purposes = serializers.ListField(child=serializers.CharField(max_length=64), max_length=20)
    notice_key = KeyField()
    policy_url = serializers.CharField(max_length=500, required=False, allow_blank=True)
    enabled = serializers.BooleanField(required=False)


class NewConsentImport(StrictSerializer):
    """A table of consents, as multipart/form-data."""

    file = serializers.FileField()
    preset = serializers.ChoiceField(choices=PRESETS, default="columns")
    purpose = serializers.CharField(max_length=64, required=False, allow_blank=True)
    purposes = serializers.JSONField(required=False, help_text="names in the table → keys of purposes")

    def validate_purposes(self, value: Any) -> dict[str, str]:
        """Take texts only."""
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise serializers.ValidationError("purposes maps names in the table to keys of purposes.", code="invalid")
        return value


class ConsentImportSchema(serializers.Serializer):
    """A table of consents that is read in."""

    id = serializers.CharField()
    preset = serializers.ChoiceField(choices=PRESETS)
    status = serializers.ChoiceField(choices=ConsentImport.Status.values)
    fault = serializers.CharField()
    rows = serializers.IntegerField()
    recorded = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    conflicts = serializers.IntegerField()
    rejected = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class ConsentImportRowSchema(serializers.Serializer):
    """What became of one decision of a table."""

    row = serializers.IntegerField()
    outcome = serializers.ChoiceField(choices=["recorded", "unchanged", "conflict", "rejected"])
    reason = serializers.CharField()
    consent_id = serializers.CharField(allow_null=True)


class ModeSchema(serializers.Serializer):
    """Google's consent mode as it stands for a person."""

    signals = serializers.DictField(child=serializers.ChoiceField(choices=["granted", "denied", "unknown"]))


class TcfSchema(serializers.Serializer):
    """What a consent string said, and the decisions that came of it."""

    tcf = serializers.DictField()
    consents = serializers.ListField()
