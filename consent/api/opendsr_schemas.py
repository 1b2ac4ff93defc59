"""Shapes of OpenDSR, for OpenAPI."""

from rest_framework import serializers

from consent.opendsr import answers
from consent.opendsr.wire import FORMATS, IDENTITY_TYPES, REGULATIONS, TYPES


class OpenDsrIdentity(serializers.Serializer):
    """Who is meant."""

    identity_type = serializers.ChoiceField(choices=sorted(IDENTITY_TYPES))
    identity_value = serializers.CharField()
    identity_format = serializers.ChoiceField(choices=FORMATS, required=False)


class OpenDsrRequest(serializers.Serializer):
    """A request of a controller."""

    subject_request_id = serializers.UUIDField()
    subject_request_type = serializers.ChoiceField(choices=TYPES)
    regulation = serializers.ChoiceField(choices=REGULATIONS)
    submitted_time = serializers.DateTimeField()
    subject_identities = OpenDsrIdentity(many=True)
    status_callback_urls = serializers.ListField(child=serializers.URLField(), required=False)
    api_version = serializers.CharField(required=False)
    group_id = serializers.CharField(required=False)
    extensions = serializers.DictField(required=False)


class OpenDsrCreated(serializers.Serializer):
    """A request was taken."""

    controller_id = serializers.CharField()
    expected_completion_time = serializers.DateTimeField()
    received_time = serializers.DateTimeField()
    encoded_request = serializers.CharField()
    subject_request_id = serializers.UUIDField()
    processor_signature = serializers.CharField(required=False)


class OpenDsrStatus(serializers.Serializer):
    """How a request stands."""

    controller_id = serializers.CharField()
    expected_completion_time = serializers.DateTimeField()
    subject_request_id = serializers.UUIDField()
    request_status = serializers.ChoiceField(choices=answers.ORDER)
    api_version = serializers.CharField()
    results_url = serializers.CharField(allow_null=True)
    results_count = serializers.IntegerField(allow_null=True)
    group_id = serializers.CharField(required=False)
    extensions = serializers.DictField(required=False)
    processor_signature = serializers.CharField(required=False)


class OpenDsrCancelled(serializers.Serializer):
    """A request was cancelled."""

    controller_id = serializers.CharField()
    received_time = serializers.DateTimeField()
    expected_completion_time = serializers.DateTimeField(allow_null=True)
    subject_request_id = serializers.UUIDField()
    api_version = serializers.CharField()
    processor_signature = serializers.CharField(required=False)


class OpenDsrErrorBody(serializers.Serializer):
    """What is wrong."""

    code = serializers.IntegerField()
    message = serializers.CharField()
    errors = serializers.ListField(child=serializers.DictField())  # type: ignore[assignment]


class OpenDsrError(serializers.Serializer):
    """An error; nothing in it tells whom the request was about."""

    error = OpenDsrErrorBody()
