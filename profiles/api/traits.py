"""Traits by REST: the rules of which value wins, what was said and believed, corrections by hand."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.access import need
from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from cdp.core.api.times import read_time
from cdp.core.errors import FieldError
from cdp.core.services.audit import note_read
from profiles.api import schemas
from profiles.errors import BadTrait, BadTraitRules
from profiles.queries.beliefs import find_belief, find_history, present_belief, present_told
from profiles.queries.corrections import list_corrections, present_correction
from profiles.queries.people import Person, all_internal_ids, get_by_uuid
from profiles.queries.profiles import present_trait, read_source_names
from profiles.queries.trait_rules import find_applying, find_in_force, list_versions, present_rules
from profiles.services.correcting import correct_trait, lift_correction
from profiles.services.trait_rules import Difference, preview_rules, save_rules
from profiles.survivorship.rules import KINDS

PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor")]
AS_OF = OpenApiParameter("as_of", description="as believed at this time (ISO 8601); without it, now")
EXAMPLES = 100


class TraitRuleSchema(serializers.Serializer):
    """Which value of one trait wins."""

    rule = serializers.ChoiceField(choices=list(KINDS.items()))
    sources = serializers.ListField(child=serializers.CharField(), required=False)
    verified_by = serializers.CharField(required=False)


class TraitRulesInput(serializers.Serializer):
    """Rules for traits; every other trait follows the most recent statement. Sources stand strongest first."""

    sources = serializers.ListField(child=serializers.CharField(), required=False)
    traits = serializers.DictField(child=TraitRuleSchema(), required=False)
    note = serializers.CharField(required=False)


class ApplyingSchema(serializers.Serializer):
    """How far stored profiles have been brought in line with the rules."""

    status = serializers.CharField()
    examined = serializers.IntegerField()
    changed = serializers.IntegerField()


class TraitRulesSchema(serializers.Serializer):
    """A version of the rules; 0 means that none was ever saved."""

    version = serializers.IntegerField()
    sources = serializers.ListField(child=serializers.CharField())
    traits = serializers.DictField(child=TraitRuleSchema())
    note = serializers.CharField()
    created_at = serializers.DateTimeField(allow_null=True)
    created_by = serializers.CharField(allow_null=True)
    applying = ApplyingSchema(allow_null=True, required=False)


class TraitDifferenceSchema(serializers.Serializer):
    """A trait of a profile that would have another value; null is none."""

    profile_id = serializers.UUIDField()
    trait = serializers.CharField()
    before = serializers.DictField(allow_null=True)
    after = serializers.DictField(allow_null=True)
    rule = serializers.CharField()
    why = serializers.CharField()


class TraitRulesPreview(serializers.Serializer):
    """What rules would change: of the newest profiles that have a trait whose rule differs."""

    examined = serializers.IntegerField()
    changed = serializers.IntegerField()
    results = TraitDifferenceSchema(many=True)


class BelievedTraits(serializers.Serializer):
    """The traits of a person as believed at a time."""

    as_of = serializers.DateTimeField()
    rules_version = serializers.IntegerField()
    traits = serializers.DictField()


class StatementSchema(serializers.Serializer):
    """What one message, or a correction, said of a trait, and why it is believed or not."""

    value = serializers.JSONField(allow_null=True)
    raw = serializers.JSONField(allow_null=True)
    source = serializers.CharField()  # type: ignore[assignment]  # a member of that name, not DRF's attribute
    occurred_at = serializers.DateTimeField()
    received_at = serializers.DateTimeField()
    message_id = serializers.CharField(allow_null=True)
    correction_id = serializers.CharField(allow_null=True)
    wins = serializers.BooleanField()
    reason = serializers.CharField()
    why = serializers.CharField()


class StatementsSchema(serializers.Serializer):
    """All statements about one trait: the one believed first, then the newest first."""

    trait = serializers.CharField()
    as_of = serializers.DateTimeField()
    rule = serializers.CharField()
    rules_version = serializers.IntegerField()
    results = StatementSchema(many=True)


class CorrectionInput(serializers.Serializer):
    """A trait put right by hand; the value null keeps it empty."""

    trait = serializers.CharField(max_length=255)
    value = serializers.JSONField(allow_null=True)
    reason = serializers.CharField(max_length=1000, required=False, default="", allow_blank=True)


class CorrectionSchema(serializers.Serializer):
    """A correction, standing or lifted."""

    id = serializers.CharField()
    trait = serializers.CharField()
    value = serializers.JSONField(allow_null=True)
    reason = serializers.CharField()
    actor = serializers.CharField()
    created_at = serializers.DateTimeField()
    lifted_at = serializers.DateTimeField(allow_null=True)
    lifted_by = serializers.CharField(allow_null=True)


def read_as_of(request: Request, *, now: datetime) -> datetime:
    """Return the moment that `?as_of=` names, at most the present."""
    return min(read_time(request.query_params.get("as_of"), path="as_of") or now, now)


class TraitRules(APIView):
    """Reads and saves the rules of which value of a trait wins."""

    scope_resource = "identity"

    @extend_schema(operation_id="trait_rules_read", responses=TraitRulesSchema)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - who asks was checked
        """Answer the version in force, and how far it was applied to stored profiles."""
        return Response({**present_rules(find_in_force()), "applying": find_applying()})

    @extend_schema(operation_id="trait_rules_save", request=TraitRulesInput, responses=TraitRulesSchema)
    def put(self, request: Request) -> Response:
        """Save the rules as a new version and apply them; the same again changes nothing."""
        given, note = _given(request)
        saved = save_rules(given=given, note=note, actor=principal_of(request).actor, now=timezone.now())
        return Response({**present_rules(saved), "applying": find_applying()})


class TraitRuleVersions(APIView):
    """Lists the versions of the rules."""

    scope_resource = "identity"

    @extend_schema(
        operation_id="trait_rules_versions",
        parameters=PAGE,
        responses=schemas.page_of(TraitRulesSchema, "TraitRulesPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, newest first."""
        fetch = fetch_from(list_versions(), "-version")
        return paginate(request, fetch=fetch, key=key_from("version"), present=present_rules)


class PreviewTraitRules(APIView):
    """Shows what rules would change on real profiles, and saves nothing."""

    scopes = {"POST": "identity:read"}

    @extend_schema(operation_id="trait_rules_preview", request=TraitRulesInput, responses=TraitRulesPreview)
    def post(self, request: Request) -> Response:
        """Answer before and after."""
        principal = principal_of(request)
        need(principal, "profiles:read")
        given, _ = _given(request)
        found = preview_rules(given=given)
        sources = read_source_names()
        if principal.sees_personal_data:
            for public_id in sorted({one.profile_uuid for one in found.differences[:EXAMPLES]}):
                note_read(actor=principal.actor, object=f"profile:{public_id}")

        def present(one: Difference) -> dict[str, Any]:
            before, after = (
                None if value is None else present_trait(one.trait, value, meta or [0, 0, 0], sources, principal)
                for value, meta in (one.before, one.after)
            )
            return {
                "profile_id": one.profile_uuid,
                "trait": one.trait,
                "before": before,
                "after": after,
                "rule": one.rule,
                "why": KINDS[one.rule],
            }

        results = [present(one) for one in found.differences[:EXAMPLES]]
        return Response({"examined": found.examined, "changed": found.profiles, "results": results})


def _given(request: Request) -> tuple[Any, str]:
    """Return the rules of the body, and the note that stands beside them."""
    data = request.data
    if not isinstance(data, dict):
        return data, ""
    note = data.get("note", "")
    if not isinstance(note, str):
        message = "note must be a text."
        raise BadTraitRules(message, errors=[FieldError("note", BadTraitRules.code, message)])
    return {key: value for key, value in data.items() if key != "note"}, note


def _noted(request: Request, profile_id: str) -> Person:
    """Return the person of an address, and note that their data is read."""
    person = get_by_uuid(public_id=profile_id)
    principal = principal_of(request)
    if principal.sees_personal_data:
        note_read(actor=principal.actor, object=f"profile:{person.uuid}")
    return person


class ReadBelievedTraits(APIView):
    """Reads a profile's traits as believed at a time: what had been received by then, under the rules of then."""

    scopes = {"GET": "profiles:read"}

    @extend_schema(operation_id="profiles_traits", parameters=[AS_OF], responses=BelievedTraits)
    def get(self, request: Request, profile_id: str) -> Response:
        """Answer the traits."""
        person = _noted(request, profile_id)
        moment = read_as_of(request, now=timezone.now())
        ids = all_internal_ids(profile_id=person.profile_id)
        principal = principal_of(request)
        belief = find_belief(
            profile_id=person.profile_id, profile_ids=ids, moment=moment, opens=principal.sees_personal_data
        )
        traits = present_belief(belief, sources=read_source_names(), principal=principal)
        return Response({"as_of": moment, "rules_version": belief.rules_version, "traits": traits})


class ListStatements(APIView):
    """Lists what was said of one trait of a profile, with why each statement is believed or not."""

    scopes = {"GET": "profiles:read"}

    @extend_schema(
        operation_id="profiles_statements",
        parameters=[OpenApiParameter("trait", required=True), AS_OF],
        responses=StatementsSchema,
    )
    def get(self, request: Request, profile_id: str) -> Response:
        """Answer all of them."""
        trait = request.query_params.get("trait", "")
        if not trait or "\0" in trait:
            message = "trait must name the trait, e.g. ?trait=plan."
            raise BadTrait(message, errors=[FieldError("trait", BadTrait.code, message)])
        person = _noted(request, profile_id)
        moment = read_as_of(request, now=timezone.now())
        ids = all_internal_ids(profile_id=person.profile_id)
        sources, principal = read_source_names(), principal_of(request)
        history = find_history(
            profile_id=person.profile_id,
            profile_ids=ids,
            trait=trait,
            moment=moment,
            opens=principal.sees_personal_data,
        )
        told = [present_told(one, trait=trait, sources=sources, principal=principal) for one in history.told]
        return Response(
            {
                "trait": trait,
                "as_of": moment,
                "rule": history.rule,
                "rules_version": history.rules_version,
                "results": told,
            }
        )


class Corrections(APIView):
    """Lists the corrections of a profile, and makes one."""

    scope_resource = "profiles"

    @extend_schema(
        operation_id="corrections_list",
        parameters=PAGE,
        responses=schemas.page_of(CorrectionSchema, "CorrectionPage"),
    )
    def get(self, request: Request, profile_id: str) -> Response:
        """Answer one page, newest first, those that were lifted included."""
        person = _noted(request, profile_id)
        principal = principal_of(request)
        return paginate(
            request,
            fetch=fetch_from(list_corrections(profile_id=person.profile_id), "-id"),
            key=key_from("id"),
            present=lambda row: present_correction(row, principal=principal),
        )

    @extend_schema(operation_id="corrections_make", request=CorrectionInput, responses={201: CorrectionSchema})
    def post(self, request: Request, profile_id: str) -> Response:
        """Put a trait right; it stands above every message until it is lifted."""
        principal = principal_of(request)
        given = CorrectionInput(data=request.data)
        given.is_valid(raise_exception=True)
        made = correct_trait(
            public_id=profile_id,
            trait=given.validated_data["trait"],
            value=given.validated_data["value"],
            reason=given.validated_data["reason"],
            actor=principal.actor,
            now=timezone.now(),
        )
        return Response(present_correction(made, principal=principal), status=status.HTTP_201_CREATED)


class OneCorrection(APIView):
    """Lifts a correction."""

    scope_resource = "profiles"

    @extend_schema(operation_id="corrections_lift", responses=CorrectionSchema)
    def delete(self, request: Request, profile_id: str, correction_id: int) -> Response:
        """Lift it: messages decide again, those that came meanwhile included."""
        principal = principal_of(request)
        lifted = lift_correction(
            public_id=profile_id, correction_id=correction_id, actor=principal.actor, now=timezone.now()
        )
        return Response(present_correction(lifted, principal=principal))
