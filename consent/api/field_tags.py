"""What traits and events may be used for, by REST."""

from dataclasses import asdict
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from consent.api.fields import KEY, KeyField, StrictSerializer, page_of, read_input
from consent.field_models import FieldOverride, FieldTag
from consent.queries.field_tags import (
    get_field_override,
    get_field_tag,
    list_field_overrides,
    list_field_tags,
    list_uncovered_uses,
)
from consent.services.field_tags import (
    NewFieldOverride,
    NewFieldTag,
    allow_field,
    lift_field_override,
    tag_field,
    untag_field,
)

PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor")]
MAX_NAME = 255


class NewFieldTagInput(StrictSerializer):
    """A tag: `purposes` null lets the field serve any purpose, an empty list none."""

    kind = serializers.ChoiceField(choices=FieldTag.Kind.choices)
    name = serializers.CharField(max_length=MAX_NAME)
    purposes = serializers.ListField(child=KeyField(), max_length=100, allow_null=True, required=False, default=None)
    sensitivity = serializers.ChoiceField(
        choices=FieldTag.Sensitivity.choices, required=False, default=FieldTag.Sensitivity.PERSONAL
    )


class FieldTagSchema(serializers.Serializer):
    """A tag."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(choices=FieldTag.Kind.choices)
    name = serializers.CharField()
    purposes = serializers.ListField(child=serializers.CharField(), allow_null=True)
    sensitivity = serializers.ChoiceField(choices=FieldTag.Sensitivity.choices)
    changed_at = serializers.DateTimeField()


class UncoveredFieldSchema(serializers.Serializer):
    """A field that does not serve the purpose, and why."""

    kind = serializers.ChoiceField(choices=FieldTag.Kind.choices)
    name = serializers.CharField()
    sensitivity = serializers.ChoiceField(choices=FieldTag.Sensitivity.choices)
    reason = serializers.CharField()


class UncoveredUseSchema(serializers.Serializer):
    """Who uses fields against their tags, e.g. ``segment:KEY``."""

    used_by = serializers.CharField()
    title = serializers.CharField()
    purpose = serializers.CharField()
    fields = UncoveredFieldSchema(many=True)  # type: ignore[assignment]


class UncoveredUsesSchema(serializers.Serializer):
    """All uses against tags."""

    results = UncoveredUseSchema(many=True)


class NewFieldOverrideInput(StrictSerializer):
    """Leave for a segment, which need not exist yet, to use a field for a purpose."""

    segment = serializers.RegexField(KEY, max_length=64)
    purpose = serializers.CharField(max_length=64)
    kind = serializers.ChoiceField(choices=FieldTag.Kind.choices)
    name = serializers.CharField(max_length=MAX_NAME)
    reason = serializers.CharField(max_length=2000)


class FieldOverrideSchema(serializers.Serializer):
    """Leave to use a field against its tag."""

    id = serializers.CharField()
    used_by = serializers.CharField()
    purpose = serializers.CharField()
    kind = serializers.ChoiceField(choices=FieldTag.Kind.choices)
    name = serializers.CharField()
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    lifted_at = serializers.DateTimeField(allow_null=True)


class FieldTags(APIView):
    """Lists tags, and tags a field."""

    scope_resource = "consents"

    @extend_schema(operation_id="field_tags_list", parameters=PAGE, responses=page_of(FieldTagSchema, "FieldTagPage"))
    def get(self, request: Request) -> Response:
        """Answer one page, by kind and name."""
        return paginate(
            request,
            fetch=fetch_from(list_field_tags(), "kind", "name"),
            key=key_from("kind", "name"),
            present=present_field_tag,
        )

    @extend_schema(
        operation_id="field_tags_write",
        request=NewFieldTagInput,
        responses={201: FieldTagSchema, 200: FieldTagSchema},
    )
    def post(self, request: Request) -> Response:
        """Tag a field, or change its tag (200)."""
        given = read_input(NewFieldTagInput, request.data)
        tag, created = tag_field(new=NewFieldTag(**given), actor=principal_of(request).actor, now=timezone.now())
        return Response(present_field_tag(tag), status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)


class OneFieldTag(APIView):
    """Reads a tag, and takes it away."""

    scope_resource = "consents"

    @extend_schema(operation_id="field_tags_read", responses=FieldTagSchema)
    def get(self, request: Request, tag_id: int) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the tag."""
        return Response(present_field_tag(get_field_tag(tag_id=tag_id)))

    @extend_schema(operation_id="field_tags_delete", responses={204: None})
    def delete(self, request: Request, tag_id: int) -> Response:
        """Let the field serve any purpose again."""
        untag_field(tag_id=tag_id, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class UncoveredFields(APIView):
    """Lists who uses fields against their tags now."""

    scopes = {"GET": "consents:read"}

    @extend_schema(operation_id="field_tags_uncovered", responses=UncoveredUsesSchema)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - Django's signature
        """Answer all of them; the tags may be younger than the segments."""
        found = [asdict(one) for one in list_uncovered_uses()]
        for use in found:
            for one in use["fields"]:
                del one["token"]
        return Response({"results": found})


class FieldOverrides(APIView):
    """Lists leaves to use fields against their tags, and gives one."""

    scope_resource = "consents"

    @extend_schema(
        operation_id="field_overrides_list",
        parameters=PAGE,
        responses=page_of(FieldOverrideSchema, "FieldOverridePage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, newest first."""
        rows = list_field_overrides()
        return paginate(request, fetch=fetch_from(rows, "-id"), key=key_from("id"), present=present_field_override)

    @extend_schema(
        operation_id="field_overrides_create",
        request=NewFieldOverrideInput,
        responses={201: FieldOverrideSchema, 200: FieldOverrideSchema},
    )
    def post(self, request: Request) -> Response:
        """Give leave, with a reason; one that stands answers 200."""
        given = read_input(NewFieldOverrideInput, request.data)
        new = NewFieldOverride(used_by=f"segment:{given.pop('segment')}", **given)
        override, created = allow_field(new=new, actor=principal_of(request).actor, now=timezone.now())
        answer = present_field_override(override)
        return Response(answer, status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)


class OneFieldOverride(APIView):
    """Reads a leave, and lifts it."""

    scope_resource = "consents"

    @extend_schema(operation_id="field_overrides_read", responses=FieldOverrideSchema)
    def get(self, request: Request, override_id: int) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the leave."""
        return Response(present_field_override(get_field_override(override_id=override_id)))

    @extend_schema(operation_id="field_overrides_lift", responses=FieldOverrideSchema)
    def delete(self, request: Request, override_id: int) -> Response:
        """End the leave and answer it; it stays in the list."""
        actor = principal_of(request).actor
        override = lift_field_override(override_id=override_id, actor=actor, now=timezone.now())
        return Response(present_field_override(override))


def present_field_tag(tag: FieldTag) -> dict[str, Any]:
    """Return a tag."""
    return {
        "id": str(tag.pk),
        "kind": tag.kind,
        "name": tag.name,
        "purposes": tag.purposes,
        "sensitivity": tag.sensitivity,
        "changed_at": tag.changed_at,
    }


def present_field_override(override: FieldOverride) -> dict[str, Any]:
    """Return a leave."""
    return {
        "id": str(override.pk),
        "used_by": override.used_by,
        "purpose": override.purpose.key,
        "kind": override.kind,
        "name": override.name,
        "reason": override.reason,
        "created_at": override.created_at,
        "created_by": override.created_by,
        "lifted_at": override.lifted_at,
    }
