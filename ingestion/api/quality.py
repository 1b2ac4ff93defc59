"""The quality of a source by REST: scores, the messages behind them, and rules for fields."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.core.access import Principal, show
from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from cdp.core.api.times import read_time
from cdp.core.queries.rights import rows_within_rights
from cdp.core.services.audit import note_read
from ingestion.api import shapes
from ingestion.api.treatments import SourceView
from ingestion.models import QualityRule, Source
from ingestion.quality.scores import Dimensions
from ingestion.queries.field_rules import list_rules
from ingestion.queries.offending import DIMENSIONS, Offender, find_offending, read_wanted
from ingestion.queries.quality import SCORE_DAYS, FieldQuality, Period, Report, read_reports
from ingestion.queries.sources import get_source, read_source_keys
from ingestion.services.field_rules import NewFieldRule, delete_field_rule, save_field_rule

SINCE = OpenApiParameter("since", description="received not before (ISO 8601); default: 7 days ago")
UNTIL = OpenApiParameter("until", description="received before; default: now")


class DimensionsSchema(serializers.Serializer):
    """How good something is in six respects, 0 to 100; null: there was nothing to measure."""

    completeness = serializers.FloatField(allow_null=True)
    validity = serializers.FloatField(allow_null=True)
    conformity = serializers.FloatField(allow_null=True)
    timeliness = serializers.FloatField(allow_null=True)
    uniqueness = serializers.FloatField(allow_null=True)
    consistency = serializers.FloatField(allow_null=True)


class FieldQualitySchema(serializers.Serializer):
    """One field of one event; `odd` values are of another kind than most, `faults` those of plan and cleaning."""

    type = serializers.CharField()
    event = serializers.CharField()
    field = serializers.CharField()
    kind = serializers.CharField()
    expected = serializers.BooleanField()
    messages = serializers.IntegerField()
    filled = serializers.IntegerField()
    odd = serializers.IntegerField()
    faults = serializers.IntegerField()
    checked = serializers.IntegerField()
    broken = serializers.IntegerField()
    referred = serializers.IntegerField()
    unknown = serializers.IntegerField()
    compared = serializers.IntegerField()
    agreed = serializers.IntegerField()
    score = serializers.FloatField(allow_null=True)
    dimensions = DimensionsSchema()


class EventQualitySchema(serializers.Serializer):
    """One event; `late` messages came more than an hour after they happened."""

    type = serializers.CharField()
    event = serializers.CharField()
    messages = serializers.IntegerField()
    late = serializers.IntegerField()
    p50_seconds = serializers.FloatField(allow_null=True)
    p95_seconds = serializers.FloatField(allow_null=True)


class AgreementSchema(serializers.Serializer):
    """How often another source said the same of a trait of the same person."""

    source = serializers.CharField()  # type: ignore[assignment]  # a member of that name, not DRF's attribute
    trait = serializers.CharField()
    compared = serializers.IntegerField()
    agreed = serializers.IntegerField()


class QualityPointSchema(serializers.Serializer):
    """The quality of an hour or day that begins at `at`."""

    at = serializers.DateTimeField()
    score = serializers.FloatField(allow_null=True)
    dimensions = DimensionsSchema()


class QualitySchema(serializers.Serializer):
    """The quality of a source in a period, which is widened to whole hours or days."""

    source = serializers.CharField()  # type: ignore[assignment]  # as above
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    score = serializers.FloatField(allow_null=True)
    dimensions = DimensionsSchema()
    received = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    faulty = serializers.IntegerField()
    refused_identifiers = serializers.IntegerField()
    measured = serializers.IntegerField()
    late = serializers.IntegerField()
    p50_seconds = serializers.FloatField(allow_null=True)
    p95_seconds = serializers.FloatField(allow_null=True)
    expected_every_minutes = serializers.IntegerField(allow_null=True)
    frequency_kept = serializers.FloatField(allow_null=True)
    by = serializers.ChoiceField(choices=["hour", "day"])
    series = QualityPointSchema(many=True)
    events = EventQualitySchema(many=True)
    fields_ = FieldQualitySchema(many=True)
    agreement = AgreementSchema(many=True)

    def get_fields(self) -> dict[str, Any]:
        """Give `fields` its name, which DRF has for something else."""
        found = super().get_fields()
        found["fields"] = found.pop("fields_")
        return found


class OffenderSchema(serializers.Serializer):
    """A message that lowers a dimension: `value` of the field, masked without `personal_data:read`."""

    id = serializers.CharField()
    type = serializers.CharField()
    event = serializers.CharField()
    occurred_at = serializers.DateTimeField()
    received_at = serializers.DateTimeField()
    copies = serializers.IntegerField()
    value = serializers.JSONField(allow_null=True)
    other_source = serializers.CharField(allow_null=True)
    other_value = serializers.JSONField(allow_null=True)


class OffendersSchema(serializers.Serializer):
    """Up to 50 messages, newest first; `whole`: all of the period were looked at."""

    looked = serializers.IntegerField()
    whole = serializers.BooleanField()
    results = OffenderSchema(many=True)


class KnownInSchema(shapes.StrictSerializer):
    """Where the values of a field come from."""

    source = serializers.CharField()  # type: ignore[assignment]  # as above
    type = serializers.CharField(max_length=10, default="track")
    event = serializers.CharField(max_length=100, required=False, allow_blank=True, default="")
    field = serializers.CharField(max_length=100)


class FieldRuleInput(shapes.StrictSerializer):
    """What is asked of a field: at least one thing."""

    type = serializers.CharField(max_length=10, default="track")
    event = serializers.CharField(max_length=100, required=False, allow_blank=True, default="")
    field = serializers.CharField(max_length=100)
    required = serializers.BooleanField(default=False)  # type: ignore[assignment]  # as above
    minimum = serializers.FloatField(required=False, allow_null=True, default=None)
    maximum = serializers.FloatField(required=False, allow_null=True, default=None)
    allowed = serializers.ListField(child=serializers.CharField(max_length=200), required=False, max_length=1_000)
    known_in = KnownInSchema(required=False, allow_null=True, default=None)


class FieldRuleSchema(FieldRuleInput):
    """A rule; `learned`: what was sent before has been looked through for values that its reference knows."""

    id = serializers.IntegerField()
    learned = serializers.BooleanField(allow_null=True)
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()


def read_period(request: Request, now: datetime) -> Period:
    """Read since and until."""
    since = read_time(request.query_params.get("since"), path="since") or now - timedelta(days=SCORE_DAYS)
    until = read_time(request.query_params.get("until"), path="until") or now
    return Period.covering(since=since, until=until, now=now)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _dimensions(dimensions: Dimensions) -> dict[str, float | None]:
    return {name: _rounded(value) for name, value in asdict(dimensions).items()}


def present_report(report: Report, by: str) -> dict[str, Any]:
    """Return a report as JSON."""
    counts = report.counts
    return {
        "source": report.source.key,
        "since": report.since,
        "until": report.until,
        "score": _rounded(report.score),
        "dimensions": _dimensions(report.dimensions),
        "received": counts.received,
        "duplicates": counts.duplicates,
        "faulty": counts.faulty,
        "refused_identifiers": counts.refused,
        "measured": counts.measured,
        "late": counts.late,
        "p50_seconds": _rounded(report.p50_seconds),
        "p95_seconds": _rounded(report.p95_seconds),
        "expected_every_minutes": report.source.expected_every_minutes,
        "frequency_kept": None if counts.kept is None else round(100 * counts.kept, 1),
        "by": by,
        "series": [
            {"at": at, "score": _rounded(score), "dimensions": _dimensions(dimensions)}
            for at, dimensions, score in report.series
        ],
        "events": [asdict(one) for one in report.events],
        "fields": [_field(one) for one in report.fields],
        "agreement": [
            {"source": one.other, "trait": one.trait, "compared": one.compared, "agreed": one.agreed}
            for one in report.agreements
        ],
    }


def _field(one: FieldQuality) -> dict[str, Any]:
    counts = one.counts
    return {
        "type": one.type,
        "event": one.event,
        "field": one.field,
        "kind": one.kind,
        "expected": counts.is_expected,
        "messages": counts.messages,
        "filled": counts.filled,
        "odd": counts.odd,
        "faults": counts.faults + counts.stopped,
        "checked": counts.checked,
        "broken": counts.broken,
        "referred": counts.referred,
        "unknown": counts.unknown,
        "compared": counts.compared,
        "agreed": counts.agreed,
        "score": _rounded(one.score),
        "dimensions": _dimensions(one.dimensions),
    }


class Quality(SourceView):
    """Reads the quality of a source."""

    @extend_schema(operation_id="quality_read", parameters=[SINCE, UNTIL], responses=QualitySchema)
    def get(self, request: Request, key: str) -> Response:
        """Answer scores, their course, and what they come from."""
        period = read_period(request, timezone.now())
        (report,) = read_reports(sources=[get_source(key=key)], period=period, keys=read_source_keys())
        return Response(present_report(report, period.step))


class QualityMessages(SourceView):
    """Finds the messages behind a number."""

    @extend_schema(
        operation_id="quality_messages",
        parameters=[
            OpenApiParameter("dimension", required=True, enum=DIMENSIONS),
            OpenApiParameter("type", description="type of the message"),
            OpenApiParameter("event", description="of a track"),
            OpenApiParameter("field", description="needed unless the dimension is timeliness or uniqueness"),
            SINCE,
            UNTIL,
        ],
        responses=OffendersSchema,
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer up to 50, newest first."""
        period = read_period(request, timezone.now())
        wanted = read_wanted(request.query_params, period)
        found = find_offending(source=get_source(key=key), wanted=wanted, keys=read_source_keys())
        principal = principal_of(request)
        if principal.sees_personal_data and found.rows:
            note_read(actor=principal.actor, object=f"source:{key}")
        rows = [present_offender(one, principal) for one in found.rows]
        return Response({"looked": found.looked, "whole": found.is_whole, "results": rows})


def present_offender(one: Offender, principal: Principal) -> dict[str, Any]:
    """Return a message as this caller may see it."""
    return {
        "id": str(one.row_id),
        "type": one.type,
        "event": one.event,
        "occurred_at": one.occurred_at,
        "received_at": one.received_at,
        "copies": one.copies,
        "value": show(principal, one.value),
        "other_source": one.other or None,
        "other_value": show(principal, one.other_value),
    }


class FieldRules(SourceView):
    """Lists the rules for fields, and makes or replaces one."""

    @extend_schema(
        operation_id="quality_rules_list",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=shapes.page_of(FieldRuleSchema, "FieldRulePage"),
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer a page, the newest first."""
        rows = list_rules(source=get_source(key=key))
        return paginate(request, fetch=fetch_from(rows, "-id"), key=key_from("id"), present=present_rule)

    def _seen_source(self, principal: Principal, key: str) -> Source:
        """Return a source whose values the person may compare with: one that they may not see is unknown to them."""
        rows = rows_within_rights(Source.objects.filter(key=key), principal=principal, scope="sources:read")
        return get_source(key=key if rows.exists() else "")

    @extend_schema(operation_id="quality_rules_save", request=FieldRuleInput, responses={201: FieldRuleSchema})
    def post(self, request: Request, key: str) -> Response:
        """Make the rule of a field; it takes the place of the one that the field has."""
        given = FieldRuleInput(data=request.data)
        given.is_valid(raise_exception=True)
        fields = dict(given.validated_data)
        known = fields.pop("known_in")
        if known:
            fields["known_in"] = self._seen_source(principal_of(request), known["source"])
            fields |= {f"known_{name}": known[name] for name in ("type", "event", "field")}
        principal = principal_of(request)
        row = save_field_rule(
            source=get_source(key=key), new=NewFieldRule(**fields), actor=principal.actor, now=timezone.now()
        )
        return Response(present_rule(row), status=status.HTTP_201_CREATED)


class OneFieldRule(SourceView):
    """Takes a rule away."""

    @extend_schema(
        operation_id="quality_rules_delete",
        parameters=[OpenApiParameter("rule_id", int, OpenApiParameter.PATH)],
        responses={204: None},
    )
    def delete(self, request: Request, key: str, rule_id: int) -> Response:
        """Take it away; what was counted with it stays."""
        actor = principal_of(request).actor
        delete_field_rule(source=get_source(key=key), rule_id=rule_id, actor=actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


def present_rule(row: QualityRule) -> dict[str, Any]:
    """Return a rule."""
    known = None
    if row.known_source is not None:
        known = {
            "source": row.known_source.key,
            "type": row.known_type,
            "event": row.known_event,
            "field": row.known_field,
        }
    return {
        "id": row.pk,
        "type": row.type,
        "event": row.event,
        "field": row.field,
        "required": row.is_required,
        "minimum": row.minimum,
        "maximum": row.maximum,
        "allowed": row.allowed,
        "known_in": known,
        "learned": row.is_learned if known else None,
        "created_at": row.created_at,
        "created_by": row.created_by,
    }
