"""Computed traits by REST."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.access import Principal, show
from cdp.core.api.pagination import fetch_from, key_from, paginate, read_page
from cdp.core.api.principal import principal_of
from profiles.queries.profiles import present_by_id
from segments.api import fields
from segments.api.present import public_ids
from segments.models import ComputedTrait
from segments.queries.computed_traits import (
    ValuesSummary,
    default_of,
    get_trait,
    list_traits,
    list_values,
    preview_trait,
    summarise_values,
    trait_sentence,
)
from segments.queries.groups import shown_size, smallest_group
from segments.queries.segments import parsed_trait
from segments.services.computed_traits import NewTrait, change_trait, create_trait, delete_trait

PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor")]
NAME = r"^[a-z][a-z0-9_]{0,63}$"


class TraitFields(fields.StrictSerializer):
    """The properties of a computed trait that can be changed."""

    name = serializers.CharField(max_length=200, required=False)
    definition = fields.DefinitionField(required=False)
    status = serializers.ChoiceField(choices=ComputedTrait.Status.values, required=False)


class NewTraitFields(TraitFields):
    """A computed trait to create; `key` is its name in conditions."""

    key = serializers.RegexField(NAME, max_length=64)
    definition = fields.DefinitionField()

    def validate_key(self, value: str) -> str:
        """Refuse names whose address means something else."""
        if value in {"preview", "new"}:
            raise serializers.ValidationError(f"The name {value} is reserved.", code="reserved")
        return value


class TraitPreviewRequest(fields.StrictSerializer):
    """A definition to try."""

    definition = fields.DefinitionField()


class ComputedTraitSchema(serializers.Serializer):
    """A computed trait."""

    key = serializers.CharField()
    name = serializers.CharField()
    definition = fields.DefinitionField()
    sentence = serializers.CharField()
    version = serializers.IntegerField()
    status = serializers.ChoiceField(choices=ComputedTrait.Status.values)
    computed_at = serializers.DateTimeField(allow_null=True)
    default = serializers.JSONField(allow_null=True)


class TraitNumbersSchema(serializers.Serializer):
    """What values come to that are numbers."""

    known = serializers.IntegerField()
    least = serializers.FloatField()
    most = serializers.FloatField()
    mean = serializers.FloatField()
    total = serializers.FloatField()


class FrequentValueSchema(serializers.Serializer):
    """A value with how many people have it."""

    value = serializers.JSONField()
    count = serializers.IntegerField()


class ValuesSummarySchema(serializers.Serializer):
    """What the values of a computed trait come to."""

    count = serializers.IntegerField(allow_null=True)
    numbers = TraitNumbersSchema(allow_null=True)
    values = FrequentValueSchema(many=True)


class PersonValueSchema(serializers.Serializer):
    """A person with a value."""

    profile = serializers.DictField()
    value = serializers.JSONField(allow_null=True)


class TraitPreviewSchema(ValuesSummarySchema):
    """What a definition would give."""

    sample = PersonValueSchema(many=True)
    sentence = serializers.CharField()
    sql = serializers.CharField()
    took_ms = serializers.IntegerField()
    now = serializers.DateTimeField()


class TraitValueSchema(serializers.Serializer):
    """A person's value."""

    profile_id = serializers.UUIDField()
    value = serializers.JSONField()


class ComputedTraits(APIView):
    """Lists computed traits, and creates one."""

    scope_resource = "segments"

    @extend_schema(
        operation_id="computed_traits_list",
        parameters=PAGE,
        responses=fields.page_of(ComputedTraitSchema, "ComputedTraitPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, by name."""
        return paginate(request, fetch=fetch_from(list_traits(), "key"), key=key_from("key"), present=present_trait)

    @extend_schema(
        operation_id="computed_traits_create",
        request=NewTraitFields,
        responses={201: ComputedTraitSchema, 200: ComputedTraitSchema},
    )
    def post(self, request: Request) -> Response:
        """Create one; a live one answers when its values are there. The same again answers 200."""
        given = fields.read_input(NewTraitFields, request.data)
        new = NewTrait(
            key=given["key"],
            name=given.get("name") or given["key"],
            definition=given["definition"],
            status=given.get("status", ComputedTrait.Status.DRAFT),
        )
        trait, created = create_trait(new=new, actor=principal_of(request).actor, clock=timezone.now)
        answer = present_trait(trait)
        return Response(answer, status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)


class OneComputedTrait(APIView):
    """Reads, changes and deletes a computed trait."""

    scope_resource = "segments"

    @extend_schema(operation_id="computed_traits_read", responses=ComputedTraitSchema)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - Django's signature
        """Answer it."""
        return Response(present_trait(get_trait(key=key)))

    @extend_schema(operation_id="computed_traits_change", request=TraitFields, responses=ComputedTraitSchema)
    def patch(self, request: Request, key: str) -> Response:
        """Change what is given; a changed definition is computed anew before this answers."""
        given = fields.read_input(TraitFields, request.data, partial=True)
        trait = change_trait(key=key, fields=given, actor=principal_of(request).actor, clock=timezone.now)
        return Response(present_trait(trait))

    @extend_schema(operation_id="computed_traits_delete", responses={204: None})
    def delete(self, request: Request, key: str) -> Response:
        """Delete one that nothing depends on."""
        delete_trait(key=key, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class PreviewComputedTrait(APIView):
    """Tries a definition without saving it."""

    scopes = {"POST": "segments:read"}

    @extend_schema(operation_id="computed_traits_preview", request=TraitPreviewRequest, responses=TraitPreviewSchema)
    def post(self, request: Request) -> Response:
        """Answer what the values come to, and ten people with theirs to whoever may see persons."""
        given = fields.read_input(TraitPreviewRequest, request.data)
        principal = principal_of(request)
        now = timezone.now()
        found = preview_trait(definition=given["definition"], now=now, smallest=smallest_group(principal))
        some = found.summary.sample_ids if principal.may("profiles:read") else []
        shown = present_by_id(some, principal=principal, now=now)
        sample = [
            {"profile": profile, "value": present_value(found.values.get(profile_id), principal)}
            for profile_id, profile in shown.items()
        ]
        told = {"sample": sample, "sentence": found.sentence, "sql": found.sql, "took_ms": found.took_ms, "now": now}
        return Response({**present_summary(found.summary, principal=principal), **told})


class ComputedTraitSummary(APIView):
    """Tells what the values of a computed trait come to."""

    scopes = {"GET": "segments:read"}

    @extend_schema(operation_id="computed_traits_summary", responses=ValuesSummarySchema)
    def get(self, request: Request, key: str) -> Response:
        """Answer the number of people, the course of numbers and the most frequent values."""
        principal = principal_of(request)
        summary = summarise_values(trait=get_trait(key=key), smallest=smallest_group(principal))
        return Response(present_summary(summary, principal=principal))


class ComputedTraitValues(APIView):
    """Lists the values of a computed trait, those that are the default aside."""

    scopes = {"GET": "segments:read"}

    @extend_schema(
        operation_id="computed_traits_values",
        parameters=PAGE,
        responses=fields.page_of(TraitValueSchema, "TraitValuePage"),
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer one page, in the order of the profiles."""
        rows = list_values(trait=get_trait(key=key))
        page = read_page(request, fetch=fetch_from(rows, "profile_id"), key=key_from("profile_id"))
        principal = principal_of(request)
        uuids = public_ids(row.profile_id for row in page.rows)
        told = [
            {"profile_id": uuids.get(row.profile_id), "value": present_value(row.value, principal)} for row in page.rows
        ]
        return Response(page.body(told))


def present_trait(trait: ComputedTrait) -> dict[str, Any]:
    """Return a computed trait."""
    return {
        "key": trait.key,
        "name": trait.name,
        "definition": trait.definition,
        "sentence": trait_sentence(parsed_trait(trait.definition)),
        "version": trait.version,
        "status": trait.status,
        "computed_at": trait.computed_at,
        "default": default_of(trait),
    }


def present_summary(summary: ValuesSummary, *, principal: Principal) -> dict[str, Any]:
    """Return what values come to; of a small group no count to whoever may not see persons."""
    frequent = [{"value": value, "count": people} for value, people in summary.frequent]
    return {"count": shown_size(principal, summary.count), "numbers": summary.numbers, "values": frequent}


def present_value(value: Any, principal: Principal) -> Any:
    """Return a value; texts are masked for whoever may not see personal data."""
    return show(principal, value) if isinstance(value, str | list) else value
