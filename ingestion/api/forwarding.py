"""Forwarding of a source by REST."""

from dataclasses import asdict
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.principal import principal_of
from ingestion.api import shapes
from ingestion.models import Forwarding, Source
from ingestion.queries.forwarding import read_forwarding_state
from ingestion.queries.sources import get_source
from ingestion.services.forwarding import (
    ForwardingSettings,
    discard_copies,
    get_forwarding,
    remove_forwarding,
    replay_copies,
    set_forwarding,
    try_forwarding,
)

COUNTS = (
    "sent_requests",
    "sent_messages",
    "suppressed_messages",
    "refused_messages",
    "unreadable_messages",
    "uncopied_requests",
)


class NewForwarding(shapes.StrictSerializer):
    """Where to, with which key, on which basis: a purpose that people must allow, or the same controller's system."""

    url = serializers.CharField(max_length=2048)
    write_key = serializers.CharField(max_length=255, required=False)
    purpose = serializers.CharField(max_length=64, required=False, allow_null=True, allow_blank=True)
    same_controller = serializers.BooleanField(required=False)
    enabled = serializers.BooleanField(required=False)


class ForwardingSchema(serializers.Serializer):
    """A forwarding and how it goes; the other system's key is not given back."""

    url = serializers.CharField()
    purpose = serializers.CharField(allow_null=True)
    same_controller = serializers.BooleanField()
    enabled = serializers.BooleanField()
    since = serializers.DateTimeField()
    state = serializers.ChoiceField(choices=["on", "off", "paused", "full"])
    waiting = serializers.IntegerField()
    oldest_at = serializers.DateTimeField(allow_null=True)
    given_up = serializers.IntegerField()
    given_up_reasons = serializers.DictField(child=serializers.IntegerField())
    sent_requests = serializers.IntegerField()
    sent_messages = serializers.IntegerField()
    suppressed_messages = serializers.IntegerField()
    refused_messages = serializers.IntegerField()
    unreadable_messages = serializers.IntegerField()
    uncopied_requests = serializers.IntegerField()
    last_at = serializers.DateTimeField(allow_null=True)
    last_status = serializers.IntegerField(allow_null=True)
    last_reason = serializers.CharField()
    retry_at = serializers.DateTimeField(allow_null=True)


class ForwardingTest(serializers.Serializer):
    """What the other system said to a test."""

    works = serializers.BooleanField()
    status = serializers.IntegerField(allow_null=True)
    error = serializers.CharField()
    took_ms = serializers.IntegerField()


class CopiesMoved(serializers.Serializer):
    """How many copies it concerned."""

    copies = serializers.IntegerField()


def present_forwarding(forwarding: Forwarding) -> dict[str, Any]:
    """Return a forwarding in the shape of REST."""
    state = read_forwarding_state(forwarding=forwarding, now=timezone.now())
    return {
        "url": forwarding.url,
        "purpose": forwarding.purpose or None,
        "same_controller": not forwarding.purpose,
        "enabled": forwarding.enabled,
        "since": forwarding.since,
        "state": state.state,
        "waiting": state.waiting,
        "oldest_at": state.oldest_at,
        "given_up": state.dead,
        "given_up_reasons": dict(state.reasons),
        **{name: getattr(forwarding, name) for name in COUNTS},
        "last_at": forwarding.last_at,
        "last_status": forwarding.last_status,
        "last_reason": forwarding.last_reason,
        "retry_at": forwarding.retry_at,
    }


class _OfSource(APIView):
    """What the views of a source's forwarding share."""

    scope_resource = "sources"
    deletes_parts = True

    def permission_object(self) -> Source:
        """Return the source, on which a person may have a right of their own."""
        return get_source(key=self.kwargs["key"])


class OneForwarding(_OfSource):
    """Reads, sets and removes what a source forwards."""

    @extend_schema(operation_id="forwarding_read", responses=ForwardingSchema)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - DRF's signature
        """Answer it with its counts; 404 if the source does not forward."""
        return Response(present_forwarding(get_forwarding(key=key)))

    @extend_schema(operation_id="forwarding_set", request=NewForwarding, responses=ForwardingSchema)
    def put(self, request: Request, key: str) -> Response:
        """Set it; without a write key the one that is known stays."""
        given = NewForwarding(data=request.data)
        given.is_valid(raise_exception=True)
        fields = dict(given.validated_data)
        fields["purpose"] = fields.get("purpose") or ""
        actor = principal_of(request).actor
        set_forwarding(key=key, wanted=ForwardingSettings(**fields), actor=actor, now=timezone.now())
        return Response(present_forwarding(get_forwarding(key=key)))

    @extend_schema(operation_id="forwarding_remove", responses={204: None})
    def delete(self, request: Request, key: str) -> Response:
        """Remove it, and the copies that wait."""
        remove_forwarding(key=key, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class TryForwarding(_OfSource):
    """Sends one event of nobody to the other system."""

    scopes = {"POST": "sources:write"}

    @extend_schema(operation_id="forwarding_test", request=None, responses=ForwardingTest)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - DRF's signature
        """Answer what it says."""
        tested = try_forwarding(key=key, now=timezone.now())
        return Response({"works": tested.works, **asdict(tested)})


class ReplayCopies(_OfSource):
    """Puts copies that were given up back into the line."""

    scopes = {"POST": "sources:write"}

    @extend_schema(operation_id="forwarding_replay", request=None, responses=CopiesMoved)
    def post(self, request: Request, key: str) -> Response:
        """Answer how many."""
        count = replay_copies(key=key, actor=principal_of(request).actor, now=timezone.now())
        return Response({"copies": count})


class DiscardCopies(_OfSource):
    """Deletes copies that were given up."""

    scopes = {"POST": "sources:write"}

    @extend_schema(operation_id="forwarding_discard", request=None, responses=CopiesMoved)
    def post(self, request: Request, key: str) -> Response:
        """Answer how many."""
        count = discard_copies(key=key, actor=principal_of(request).actor, now=timezone.now())
        return Response({"copies": count})
