"""Shapes of REST of privacy requests and suppressions."""

from rest_framework import serializers

from consent.api.fields import LANGUAGE_CODES, IdentifierInput, StrictSerializer, TimeField
from consent.deadlines import REGULATIONS
from consent.models import PrivacyRequest
from consent.queries.suppressions import HASHES, RAW

SUPPRESSED_FORMS = (RAW, *HASHES)


class SuppressedIdentifierInput(IdentifierInput):
    """An identifier, or a hash of its normal form (hexadecimal)."""

    format = serializers.ChoiceField(choices=SUPPRESSED_FORMS, required=False, default="raw")


class NewSuppression(StrictSerializer):
    """An identifier to keep out."""

    identifier = SuppressedIdentifierInput()
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
    clean_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)


class RequestPreviewSchema(serializers.Serializer):
    """What an erasure would delete."""

    stores = serializers.DictField(child=serializers.IntegerField())
