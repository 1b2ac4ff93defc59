"""API keys by REST: made, rotated, revoked. The text of a key is in the answer that makes it, and nowhere else."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from cdp.core.models import ApiKey
from cdp.core.queries.api_keys import get_key, list_keys, state_of
from cdp.core.reauthentication import need_recent_authentication
from cdp.core.services.api_keys import (
    MOST_OVERLAP_HOURS,
    KeyLimits,
    check_grant,
    create_api_key,
    revoke_api_key,
    rotate_api_key,
)

KEY_STATES = ("active", "rotating", "expired", "revoked")


class ApiKeySchema(serializers.Serializer):
    """A key without its text."""

    name = serializers.CharField()
    prefix = serializers.CharField(help_text="the first characters of its text")
    state = serializers.ChoiceField(KEY_STATES)
    scopes = serializers.ListField(child=serializers.CharField())
    sources = serializers.ListField(child=serializers.CharField(), help_text="empty: no limit")
    addresses = serializers.ListField(child=serializers.CharField(), help_text="empty: from anywhere")
    created_at = serializers.DateTimeField()
    rotated_at = serializers.DateTimeField(allow_null=True)
    previous_until = serializers.DateTimeField(allow_null=True, help_text="until when the text before works too")
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="a minute late at most")


class ApiKeyPageSchema(serializers.Serializer):
    """A page of keys, for OpenAPI."""

    results = ApiKeySchema(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class ShownApiKeySchema(ApiKeySchema):
    """A key with its text, shown once."""

    key = serializers.CharField()


class CreateApiKeySchema(serializers.Serializer):
    """What a new key may do."""

    name = serializers.CharField(max_length=64)
    scopes = serializers.ListField(child=serializers.CharField(max_length=64), min_length=1, max_length=50)
    sources = serializers.ListField(child=serializers.SlugField(max_length=64), max_length=500, default=list)
    addresses = serializers.ListField(child=serializers.CharField(max_length=64), max_length=500, default=list)
    expires_at = serializers.DateTimeField(allow_null=True, default=None)


class RotateApiKeySchema(serializers.Serializer):
    """How long the text before goes on working."""

    overlap_hours = serializers.FloatField(min_value=0, max_value=MOST_OVERLAP_HOURS, default=24)


class ApiKeys(APIView):
    """Lists keys, and makes one."""

    scope_resource = "keys"

    @extend_schema(
        operation_id="api_keys_list",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=ApiKeyPageSchema,
    )
    def get(self, request: Request) -> Response:
        """Answer one page, by name."""
        return paginate(request, fetch=fetch_from(list_keys(), "name"), key=key_from("name"), present=present_key)

    @extend_schema(operation_id="api_keys_create", request=CreateApiKeySchema, responses={201: ShownApiKeySchema})
    def post(self, request: Request) -> Response:
        """Make a key; nobody gives a key more than they have themselves."""
        need_recent_authentication(request)
        given = CreateApiKeySchema(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = given.validated_data
        principal = principal_of(request)
        check_grant(principal, wanted["scopes"])
        limits = KeyLimits(
            expires_at=wanted["expires_at"],
            sources=tuple(wanted["sources"]),
            addresses=tuple(wanted["addresses"]),
        )
        text = create_api_key(
            name=wanted["name"], scopes=wanted["scopes"], actor=principal.actor, now=timezone.now(), limits=limits
        )
        return Response({"key": text, **present_key(get_key(name=wanted["name"]))}, status=status.HTTP_201_CREATED)


class OneApiKey(APIView):
    """Reads one key, or revokes it."""

    scope_resource = "keys"

    @extend_schema(operation_id="api_keys_read", responses=ApiKeySchema)
    def get(self, request: Request, name: str) -> Response:  # noqa: ARG002 - DRF's signature
        """Answer the key without its text."""
        return Response(present_key(get_key(name=name)))

    @extend_schema(operation_id="api_keys_revoke", responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Revoke it: in this process at once, everywhere within five seconds."""
        revoke_api_key(name=name, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class RotateApiKey(APIView):
    """Gives a key a new text."""

    scopes = {"POST": "keys:write"}

    @extend_schema(operation_id="api_keys_rotate", request=RotateApiKeySchema, responses={200: ShownApiKeySchema})
    def post(self, request: Request, name: str) -> Response:
        """Answer the new text; the one before works on for the overlap."""
        need_recent_authentication(request)
        given = RotateApiKeySchema(data=request.data)
        given.is_valid(raise_exception=True)
        principal = principal_of(request)
        check_grant(principal, get_key(name=name).scopes)
        text = rotate_api_key(
            name=name,
            overlap_hours=given.validated_data["overlap_hours"],
            actor=principal.actor,
            now=timezone.now(),
        )
        return Response({"key": text, **present_key(get_key(name=name))})


def present_key(key: ApiKey) -> dict[str, Any]:
    """Return a key as REST shows it."""
    return {
        "name": key.name,
        "prefix": key.prefix,
        "state": state_of(key, now=timezone.now()),
        "scopes": key.scopes,
        "sources": key.sources,
        "addresses": key.addresses,
        "created_at": key.created_at,
        "rotated_at": key.rotated_at,
        "previous_until": key.previous_until,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }
