"""Retention schedules by REST: saving, trying, and the proofs of each night."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from consent.api import fields
from consent.retention_models import RetentionRule, RetentionRun
from consent.services.retention import delete_rule, get_rule, run_rule, save_rule, try_rule

KINDS = RetentionRule.Kind.values


class NewRetentionRule(fields.StrictSerializer):
    """A schedule as it is sent."""

    kind = serializers.ChoiceField(choices=[("event", "event"), ("trait", "trait")])
    name = serializers.CharField(max_length=255)
    keep_days = serializers.IntegerField(min_value=1, max_value=36500)
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True)
    enabled = serializers.BooleanField(required=False)


class RetentionRunSchema(serializers.Serializer):
    """A run, for OpenAPI."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    name = serializers.CharField()
    keep_days = serializers.IntegerField()
    dry_run = serializers.BooleanField()
    cutoff = serializers.DateTimeField()
    rows = serializers.IntegerField()
    profiles = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField()


class RetentionRulesSchema(serializers.Serializer):
    """All schedules, for OpenAPI."""

    results = NewRetentionRule(many=True)


class RetentionRules(APIView):
    """Lists retention schedules, and saves one."""

    scope_resource = "privacy"

    @extend_schema(operation_id="retention_rules_list", responses=RetentionRulesSchema)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - Django's signature
        """Answer all of them."""
        return Response({"results": [_present(row) for row in RetentionRule.objects.order_by("kind", "name")]})

    @extend_schema(operation_id="retention_rules_save", request=NewRetentionRule, responses={201: NewRetentionRule})
    def post(self, request: Request) -> Response:
        """Save one; the same kind and name again changes it."""
        given = dict(fields.read_input(NewRetentionRule, request.data))
        row = save_rule(
            kind=given.pop("kind"),
            name=given.pop("name"),
            fields=given,
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response(_present(row), status=status.HTTP_201_CREATED)


class OneRetentionRule(APIView):
    """Ends a retention schedule."""

    scopes = {"DELETE": "privacy:write"}

    @extend_schema(operation_id="retention_rules_end", responses={204: None})
    def delete(self, request: Request, kind: str, name: str) -> Response:
        """Delete it; its proofs stay."""
        delete_rule(kind=kind, name=name, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class RunRetentionRule(APIView):
    """Tries a retention schedule, or carries it out now."""

    scopes = {"POST": "privacy:write"}

    @extend_schema(
        operation_id="retention_rules_run",
        request=None,
        parameters=[OpenApiParameter("dry_run", bool, description="true (default): count only")],
        responses=RetentionRunSchema,
    )
    def post(self, request: Request, kind: str, name: str) -> Response:
        """Answer the run."""
        rule = get_rule(kind=kind, name=name)
        if request.query_params.get("dry_run", "true").lower() == "false":
            return Response(_present_run(run_rule(rule=rule, clock=timezone.now)))
        return Response(_present_run(try_rule(rule=rule, now=timezone.now())))


class RetentionRuns(APIView):
    """Lists what schedules have deleted."""

    scopes = {"GET": "privacy:read"}

    @extend_schema(
        operation_id="retention_runs_list",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=fields.page_of(RetentionRunSchema, "RetentionRunPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, newest first."""
        rows = RetentionRun.objects.all()
        return paginate(request, fetch=fetch_from(rows, "-id"), key=key_from("id"), present=_present_run)


def _present(row: RetentionRule) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "name": row.name,
        "keep_days": row.keep_days,
        "reason": row.reason,
        "enabled": row.enabled,
    }


def _present_run(run: RetentionRun) -> dict[str, Any]:
    return {
        "id": run.pk,
        "kind": run.kind,
        "name": run.name,
        "keep_days": run.keep_days,
        "dry_run": run.dry_run,
        "cutoff": run.cutoff,
        "rows": run.rows,
        "profiles": run.profiles,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }
