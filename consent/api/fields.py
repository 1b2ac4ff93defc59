"""Reading input strictly: unknown members are refused, times are read as everywhere, texts can be stored."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from cdp.core.api.times import read_time
from cdp.core.errors import InvalidInput
from consent.deadlines import REGULATIONS
from consent.decision import ACTORS, LEGAL_BASES, RECORDABLE, STATES
from consent.models import ConsentImport, PrivacyRequest
from consent.queries.suppressions import HASHES, RAW
from consent.services.links import MOST_DAYS
from consent.tables.rows import PRESETS
from consent.tcf.decode import MAX_CHARACTERS
from consent.tcf.mapping import MODE_SIGNALS, TCF_PURPOSES
from consent.words.choosing import LANGUAGES

FIRST_TIME = datetime(1970, 1, 1, tzinfo=UTC)
LAST_YEAR = 9998
KEY = r"^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?$"
EVIDENCE_BYTES = 16 * 1024
LINK_KINDS = ("preferences", "unsubscribe")
LANGUAGE_CODES = tuple(LANGUAGES)
SUPPRESSED_FORMS = (RAW, *HASHES)


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


class NewEvidence(StrictSerializer):
    """Evidence for a grant in conflict."""

    evidence = serializers.DictField()


class SuppressedIdentifierInput(IdentifierInput):
    """An identifier, or a hash of its normal form (hexadecimal)."""

    format = serializers.ChoiceField(choices=SUPPRESSED_FORMS, required=False, default="raw")


class NewSuppression(StrictSerializer):
    """An identifier to keep out."""

    identifier = SuppressedIdentifierInput()
    reason = serializers.CharField(max_length=2000)


class Reason(StrictSerializer):
    """Why."""

    reason = serializers.CharField(max_length=2000)


class RequestedCorrection(StrictSerializer):
    """What a trait should be; null keeps it empty."""

    trait = serializers.CharField(max_length=255)
    value = serializers.JSONField(allow_null=True)


class RequestParticulars(StrictSerializer):
    """What a request says beyond its kind."""

    corrections = RequestedCorrection(many=True, required=False, max_length=100)  # type: ignore[call-arg]
    purposes = serializers.ListField(child=serializers.SlugField(max_length=64), required=False, max_length=100)
    contact = serializers.EmailField(required=False, allow_blank=True, max_length=254)
    language = serializers.ChoiceField(choices=LANGUAGE_CODES, required=False)


class NewPrivacyRequest(RequestParticulars):
    """A request of a person."""

    type = serializers.ChoiceField(choices=PrivacyRequest.Type.values)
    identities = IdentifierInput(many=True, allow_empty=False, max_length=100)  # type: ignore[call-arg]
    regulation = serializers.ChoiceField(choices=REGULATIONS, required=False)
    received_at = TimeField(required=False)
    message = serializers.CharField(required=False, allow_blank=True, max_length=5000)


class RequestChanges(RequestParticulars):
    """Changes to a request that is not decided; `shared` are identifiers that other people hold too."""

    shared = IdentifierInput(many=True, required=False, max_length=100)  # type: ignore[call-arg]


class Lifting(StrictSerializer):
    """Why a restriction ends, and whether the person was told otherwise."""

    reason = serializers.CharField(max_length=2000)
    person_told = serializers.BooleanField(required=False)


class CancelReason(StrictSerializer):
    """Why a request is cancelled, if somebody said so."""

    reason = serializers.CharField(required=False, allow_blank=True, max_length=2000)


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


class SuppressionSchema(serializers.Serializer):
    """A suppression."""

    id = serializers.CharField()
    identifier_type = serializers.CharField()
    format = serializers.ChoiceField(choices=SUPPRESSED_FORMS)
    reason = serializers.CharField()
    request_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()


class StepSchema(serializers.Serializer):
    """What became of the rows of one store."""

    store = serializers.CharField()
    before = serializers.IntegerField()
    erased = serializers.IntegerField()
    withheld = serializers.IntegerField()
    remaining = serializers.IntegerField()


class PrivacyRequestSchema(serializers.Serializer):
    """A privacy request."""

    id = serializers.UUIDField()
    type = serializers.ChoiceField(choices=PrivacyRequest.Type.values)
    status = serializers.ChoiceField(choices=PrivacyRequest.Status.values)
    identities = IdentifierInput(many=True)
    regulation = serializers.ChoiceField(choices=REGULATIONS)
    received_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    extended_to = serializers.DateTimeField(allow_null=True)
    verified_by = serializers.CharField()
    verified_at = serializers.DateTimeField(allow_null=True)
    confirm_by = serializers.DateTimeField(allow_null=True)
    paused_days = serializers.IntegerField()
    language = serializers.ChoiceField(choices=LANGUAGE_CODES)
    came_by = serializers.CharField()
    approvals = serializers.IntegerField()
    corrections = RequestedCorrection(many=True)
    purposes = serializers.ListField(child=serializers.CharField())
    steps = StepSchema(many=True)
    recipients = serializers.ListField()
    reason = serializers.CharField()
    completed_at = serializers.DateTimeField(allow_null=True)


class RequestPreviewSchema(serializers.Serializer):
    """What an erasure would delete."""

    stores = serializers.DictField(child=serializers.IntegerField())


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
