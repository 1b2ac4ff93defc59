"""The identity rules by REST: read, tried, saved; their versions and runs; quarantined values and mega-profiles."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from profiles.api import schemas
from profiles.identity.rules import NORMALISERS, SOURCE_KINDS, WINDOWS, write_type
from profiles.models import IdentifierType
from profiles.queries.rules import (
    define,
    list_examples,
    list_mega_profiles,
    list_quarantined,
    list_runs,
    list_versions,
    name_mega_profiles,
    present_example,
    present_quarantined,
    present_run,
    present_version,
    read_mega_limits,
    version_in_force,
)
from profiles.services.rules import get_rules_version, save_rules, set_mega_limits, try_rules
from profiles.services.rules_runs import KINDS, cancel_dry_run, get_run, lift_quarantine

PAGING = [OpenApiParameter("limit", int), OpenApiParameter("cursor")]


class TypeRulesSchema(serializers.Serializer):
    """An identifier type with its rules."""

    type = serializers.CharField()
    name = serializers.CharField(required=False)
    priority = serializers.IntegerField()
    normaliser = serializers.ChoiceField(choices=list(NORMALISERS), required=False)
    limit = serializers.IntegerField(allow_null=True, required=False)
    window = serializers.ChoiceField(choices=list(WINDOWS), allow_null=True, required=False)
    sharing_limit = serializers.IntegerField(allow_null=True, required=False)
    blocked_values = serializers.ListField(child=serializers.CharField(), required=False)
    blocked_patterns = serializers.ListField(child=serializers.CharField(), required=False)
    source_kinds = serializers.ListField(
        child=serializers.CharField(), allow_null=True, required=False, help_text=f"Out of {', '.join(SOURCE_KINDS)}."
    )
    link_purpose = serializers.CharField(allow_null=True, required=False)


class RulesPageSchema(serializers.Serializer):
    """The types, strongest first, and the version in force."""

    results = TypeRulesSchema(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    version = serializers.IntegerField()


class RulesToTry(serializers.Serializer):
    """All identifier types with their rules: what is left out is taken away."""

    types = TypeRulesSchema(many=True)


class RulesToSave(RulesToTry):
    """The same, with the version that was changed and why."""

    version = serializers.IntegerField(required=False)
    note = serializers.CharField(required=False, allow_blank=True)


class CountsSchema(serializers.Serializer):
    """How many merges, splits and refusals there are, and values quarantined, lifted from quarantine, and blocked."""

    merge = serializers.IntegerField()
    split = serializers.IntegerField()
    refuse = serializers.IntegerField()
    quarantine = serializers.IntegerField()
    lift = serializers.IntegerField()
    block = serializers.IntegerField()


class RunSchema(serializers.Serializer):
    """A dry run, or a run that applies rules to what is stored. `total` and `done` count profiles."""

    id = serializers.CharField()
    kind = serializers.CharField(help_text="dry or apply")
    status = serializers.CharField(help_text="selecting, running, done or cancelled")
    version = serializers.IntegerField()
    total = serializers.IntegerField()
    done = serializers.IntegerField()
    counts = CountsSchema()
    seconds = serializers.FloatField()
    longest_lock_ms = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class SavedRulesSchema(serializers.Serializer):
    """The version in force, and the run that applies it; null if nothing changed."""

    version = serializers.IntegerField()
    run = RunSchema(allow_null=True)


class RulesVersionSchema(serializers.Serializer):
    """A version of the rules."""

    version = serializers.IntegerField()
    note = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    types = TypeRulesSchema(many=True)


class ExampleSchema(serializers.Serializer):
    """One merge, split, refusal or value that a run found."""

    id = serializers.CharField()
    kind = serializers.CharField()
    profile_ids = serializers.ListField(child=serializers.UUIDField())
    detail = serializers.DictField()


class QuarantinedValueSchema(serializers.Serializer):
    """A value that joins nothing: asserted by too many, or blocked since."""

    id = serializers.CharField()
    identifier = schemas.IdentifierField()
    profile_id = serializers.UUIDField()
    reason = serializers.CharField(help_text="shared or blocked")
    asserted_by = serializers.IntegerField()
    sharing_limit = serializers.IntegerField(allow_null=True)
    quarantined_at = serializers.DateTimeField()
    separated_at = serializers.DateTimeField(allow_null=True)


class MegaLimitsSchema(serializers.Serializer):
    """From how many identifiers or events on a profile is listed."""

    identifiers = serializers.IntegerField(min_value=2, max_value=1_000_000)
    events = serializers.IntegerField(min_value=2, max_value=1_000_000_000)


class MegaProfileSchema(serializers.Serializer):
    """A profile with more identifiers or events than one person has."""

    profile_id = serializers.UUIDField()
    identifiers = serializers.IntegerField()
    events = serializers.IntegerField()
    found_at = serializers.DateTimeField()


class MegaProfilePage(serializers.Serializer):
    """A page of mega-profiles, with the limits."""

    results = MegaProfileSchema(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    limits = MegaLimitsSchema()


class Rules(APIView):
    """Reads the rules in force, and saves others."""

    scope_resource = "identity"

    @extend_schema(operation_id="rules_list", parameters=PAGING, responses=RulesPageSchema)
    def get(self, request: Request) -> Response:
        """Answer the types, strongest first."""
        answer = paginate(
            request,
            fetch=fetch_from(IdentifierType.objects.all(), "priority", "id"),
            key=key_from("priority", "id"),
            present=lambda row: write_type(define(row)),
        )
        answer.data["version"] = version_in_force()
        return answer

    @extend_schema(operation_id="rules_save", request=RulesToSave, responses=SavedRulesSchema)
    def put(self, request: Request) -> Response:
        """Put all rules in force as a new version; a job applies them to what is stored."""
        given = request.data if isinstance(request.data, dict) else {}
        based_on = _Based(data={name: given[name] for name in ("version", "note") if name in given})
        based_on.is_valid(raise_exception=True)
        saved = save_rules(
            definition={"types": given.get("types")},
            note=based_on.validated_data.get("note", ""),
            based_on=based_on.validated_data.get("version"),
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response({"version": saved.version, "run": None if saved.run is None else present_run(saved.run)})


class _Based(serializers.Serializer):
    """What stands beside the types: those are read by the rules themselves, which name every fault."""

    version = serializers.IntegerField(required=False)
    note = serializers.CharField(required=False, allow_blank=True)


class DryRun(APIView):
    """Tries rules on everything that is stored."""

    scopes = {"POST": "identity:read"}

    @extend_schema(operation_id="rules_dry_run", request=RulesToTry, responses={202: RunSchema})
    def post(self, request: Request) -> Response:
        """Start a dry run, which changes nothing."""
        given = request.data if isinstance(request.data, dict) else {}
        run = try_rules(definition={"types": given.get("types")}, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_run(run), status=status.HTTP_202_ACCEPTED)


class RulesVersions(APIView):
    """Lists the versions of the rules, newest first."""

    scopes = {"GET": "identity:read"}

    @extend_schema(
        operation_id="rules_versions",
        parameters=PAGING,
        responses=schemas.page_of(RulesVersionSchema, "RulesVersionPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page."""
        rows = list_versions()
        return paginate(request, fetch=fetch_from(rows, "-version"), key=key_from("version"), present=present_version)


class OneRulesVersion(APIView):
    """Reads a version of the rules."""

    scopes = {"GET": "identity:read"}

    @extend_schema(operation_id="rules_version", responses=RulesVersionSchema)
    def get(self, request: Request, version: int) -> Response:  # noqa: ARG002 - DRF's signature
        """Answer it."""
        return Response(present_version(get_rules_version(version=version)))


class RulesRuns(APIView):
    """Lists dry runs and runs that apply rules, newest first."""

    scopes = {"GET": "identity:read"}

    @extend_schema(operation_id="rules_runs", parameters=PAGING, responses=schemas.page_of(RunSchema, "RulesRunPage"))
    def get(self, request: Request) -> Response:
        """Answer one page."""
        return paginate(request, fetch=fetch_from(list_runs(), "-id"), key=key_from("id"), present=present_run)


class OneRulesRun(APIView):
    """Reads a run."""

    scopes = {"GET": "identity:read"}

    @extend_schema(operation_id="rules_run", responses=RunSchema)
    def get(self, request: Request, run_id: int) -> Response:  # noqa: ARG002 - DRF's signature
        """Answer it with its progress."""
        return Response(present_run(get_run(run_id=run_id)))


class RulesRunExamples(APIView):
    """Lists what a run found, by example."""

    scopes = {"GET": "identity:read"}

    @extend_schema(
        operation_id="rules_run_examples",
        parameters=[OpenApiParameter("kind", enum=list(KINDS)), *PAGING],
        responses=schemas.page_of(ExampleSchema, "RulesExamplePage"),
    )
    def get(self, request: Request, run_id: int) -> Response:
        """Answer one page."""
        kind = request.query_params.get("kind", "").replace("\0", "")
        rows = list_examples(run=get_run(run_id=run_id), kind=kind)
        return paginate(request, fetch=fetch_from(rows, "id"), key=key_from("id"), present=present_example)


class CancelRulesRun(APIView):
    """Stops a dry run."""

    scopes = {"POST": "identity:write"}

    @extend_schema(operation_id="rules_run_cancel", request=None, responses=RunSchema)
    def post(self, request: Request, run_id: int) -> Response:  # noqa: ARG002 - DRF's signature
        """Stop it; one that is over, or that applies rules, stays as it is."""
        return Response(present_run(cancel_dry_run(run_id=run_id, now=timezone.now())))


class Quarantined(APIView):
    """Lists the values that join nothing."""

    scopes = {"GET": "identity:read"}

    @extend_schema(
        operation_id="quarantined_list",
        parameters=PAGING,
        responses=schemas.page_of(QuarantinedValueSchema, "QuarantinedValuePage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, newest first."""
        principal = principal_of(request)
        return paginate(
            request,
            fetch=fetch_from(list_quarantined(), "-quarantined_at", "-identifier_id"),
            key=key_from("quarantined_at", "identifier_id"),
            present=lambda row: present_quarantined(row, principal=principal),
        )


class LiftQuarantined(APIView):
    """Lets a value join again."""

    scopes = {"POST": "identity:write"}

    @extend_schema(operation_id="quarantined_lift", request=None, responses=RunSchema)
    def post(self, request: Request, identifier_id: int) -> Response:
        """Lift it for good; the run answered joins what had asserted it."""
        run = lift_quarantine(identifier_id=identifier_id, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_run(run))


class MegaProfiles(APIView):
    """Lists mega-profiles, and sets from how many identifiers or events on a profile is one."""

    scope_resource = "identity"

    @extend_schema(
        operation_id="mega_profiles_list",
        parameters=PAGING,
        responses=MegaProfilePage,
    )
    def get(self, request: Request) -> Response:
        """Answer one page, those with most identifiers first."""
        answer = paginate(
            request,
            fetch=fetch_from(list_mega_profiles(), "-identifiers", "-profile_id"),
            key=key_from("identifiers", "profile_id"),
            present=lambda row: row,
        )
        answer.data["results"] = name_mega_profiles(answer.data["results"])
        answer.data["limits"] = read_mega_limits()
        return answer

    @extend_schema(operation_id="mega_profiles_limits", request=MegaLimitsSchema, responses=MegaLimitsSchema)
    def put(self, request: Request) -> Response:
        """Set the limits; the list follows within the hour."""
        given = MegaLimitsSchema(data=request.data)
        given.is_valid(raise_exception=True)
        limits: dict[str, Any] = given.validated_data
        set_mega_limits(**limits, actor=principal_of(request).actor, now=timezone.now())
        return Response(read_mega_limits())
