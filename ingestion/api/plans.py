"""Tracking plans by REST: read, save, try, import and export, propose, and what was found."""

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from cdp.core.api.times import read_time
from cdp.core.errors import FieldError
from cdp.core.services.audit import note_read
from ingestion.api import shapes, treatment_shapes
from ingestion.api.treatments import SourceView, answer_versions, present_treatment, present_tried
from ingestion.errors import InvalidTreatment
from ingestion.models import Discovered, Source, TreatmentKind
from ingestion.queries.observed import count_findings_of, list_discovered
from ingestion.queries.samples import read_samples
from ingestion.queries.sources import get_source
from ingestion.queries.traffic import list_sources
from ingestion.queries.treatments import find_version, get_version
from ingestion.services.examining import PROPOSAL_SAMPLES, SAMPLES
from ingestion.services.treatments import save_treatment
from ingestion.services.trying import Trial, refuse_plan_that_stops, sum_up, try_plan
from ingestion.treatment.inference import infer_plan
from ingestion.treatment.segment_plan import export_plan, import_plan

PLAN = TreatmentKind.PLAN
PATH_SOURCE = OpenApiParameter("key", str, OpenApiParameter.PATH, description="key of the source")


def present_trial(trial: Trial) -> dict[str, Any]:
    """Return what was tried in numbers."""
    return {
        "samples": trial.samples,
        "newly_stopped": trial.newly_stopped,
        "rules": [
            {"type": kind, "event": event, "path": path, "rule": rule, "action": action, "count": count}
            for (kind, event, path, rule, action), count in trial.rules
        ],
    }


def save_plan(request: Request, source: Source, definition: dict[str, Any]) -> Response:
    """Hold the plan against recent traffic, save it, and answer both."""
    accept_losses = definition.pop("accept_losses", False)
    if not isinstance(accept_losses, bool):
        message = "accept_losses is true or false."
        raise InvalidTreatment([FieldError(path="accept_losses", code="tracking_plan.invalid", message=message)])
    note = treatment_shapes.take_note(definition)
    samples = read_samples(source=source, limit=SAMPLES)
    trial = (
        sum_up(try_plan(source=source, definition=definition, samples=samples))
        if accept_losses
        else refuse_plan_that_stops(source=source, definition=definition, samples=samples)
    )
    actor = principal_of(request).actor
    save_treatment(source=source.key, kind=PLAN, definition=definition, note=note, actor=actor, now=timezone.now())
    saved = get_source(key=source.key)
    shown = present_treatment(saved, PLAN, find_version(source=saved, kind=PLAN))
    return Response({**shown, "check": present_trial(trial)})


class TrackingPlans(APIView):
    """Lists the sources with their plans, and saves one."""

    scope_resource = "sources"

    @extend_schema(
        operation_id="tracking_plans_list",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=shapes.page_of(treatment_shapes.PlanSchema, "TrackingPlanPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer a page of the sources that have a plan, by key."""
        return paginate(
            request,
            fetch=fetch_from(list_sources().filter(plan_version__gt=0), "key"),
            key=key_from("key"),
            present=lambda source: present_treatment(source, PLAN, find_version(source=source, kind=PLAN)),
        )

    @extend_schema(
        operation_id="tracking_plans_save",
        request=treatment_shapes.NewPlan,
        responses=treatment_shapes.SavedPlanSchema,
    )
    def post(self, request: Request) -> Response:
        """Save the plan of the source that the body names."""
        definition = treatment_shapes.read_body(request.data)
        key = definition.pop("source", None)
        if not isinstance(key, str):
            message = "Name the source that the plan is for."
            raise InvalidTreatment([FieldError(path="source", code="tracking_plan.invalid", message=message)])
        return save_plan(request, get_source(key=key), definition)


class OnePlan(SourceView):
    """Reads and saves the plan of a source."""

    @extend_schema(operation_id="tracking_plan_read", responses=treatment_shapes.PlanSchema)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - who asks was checked
        """Answer the version in force."""
        source = get_source(key=key)
        return Response(present_treatment(source, PLAN, find_version(source=source, kind=PLAN)))

    @extend_schema(
        operation_id="tracking_plan_save",
        request=treatment_shapes.PlanInput,
        responses=treatment_shapes.SavedPlanSchema,
    )
    def put(self, request: Request, key: str) -> Response:
        """Save it as a new version, after a check against recent messages."""
        return save_plan(request, get_source(key=key), treatment_shapes.read_body(request.data))


class PlanVersions(SourceView):
    """Lists the versions of a source's plan."""

    @extend_schema(
        operation_id="tracking_plan_versions",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=shapes.page_of(treatment_shapes.PlanSchema, "TrackingPlanVersionPage"),
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer a page, newest first."""
        return answer_versions(request, key, PLAN)


class OnePlanVersion(SourceView):
    """Reads one version of a source's plan."""

    @extend_schema(
        operation_id="tracking_plan_version",
        parameters=[OpenApiParameter("version", int, OpenApiParameter.PATH)],
        responses=treatment_shapes.PlanSchema,
    )
    def get(self, request: Request, key: str, version: int) -> Response:  # noqa: ARG002 - as above
        """Answer it."""
        source = get_source(key=key)
        return Response(present_treatment(source, PLAN, get_version(source=source, kind=PLAN, version=version)))


class PreviewPlan(APIView):
    """Shows what a plan would say to recent messages; saves nothing."""

    scopes = {"POST": "sources:read"}

    @extend_schema(
        operation_id="tracking_plan_preview",
        request=treatment_shapes.PlanInput,
        responses=treatment_shapes.PlanTriedSchema,
    )
    def post(self, request: Request, key: str) -> Response:
        """Answer the findings in numbers, and up to twenty messages before and after."""
        definition = treatment_shapes.read_body(request.data)
        definition.pop("accept_losses", None)
        treatment_shapes.take_note(definition)
        principal = principal_of(request)
        source = get_source(key=key)
        tried = try_plan(source=source, definition=definition, samples=read_samples(source=source, limit=SAMPLES))
        if principal.sees_personal_data and tried:
            note_read(actor=principal.actor, object=f"source:{key}")
        shown = present_tried(tried, principal, limit=20)
        return Response({**present_trial(sum_up(tried)), "changed": shown["changed"], "examples": shown["examples"]})


class SegmentPlan(SourceView):
    """Takes a plan over from Segment's JSON, and gives one away."""

    @extend_schema(operation_id="tracking_plan_export", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Answer the version in force in the shape of Segment's Public API."""
        row = find_version(source=get_source(key=key), kind=PLAN)
        return Response(export_plan(row.definition if row else {}))

    @extend_schema(
        operation_id="tracking_plan_import", request=OpenApiTypes.OBJECT, responses=treatment_shapes.SavedPlanSchema
    )
    def put(self, request: Request, key: str) -> Response:
        """Save Segment's rules; policies and allow-list stay as they are."""
        source = get_source(key=key)
        row = find_version(source=source, kind=PLAN)
        kept = {name: row.definition[name] for name in ("policies", "allow") if row and name in row.definition}
        return save_plan(request, source, {**kept, **import_plan(request.data)})


class ProposePlan(SourceView):
    """Makes a plan of what was observed; saves nothing."""

    @extend_schema(operation_id="tracking_plan_proposal", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Answer a plan that the last thousand accepted messages keep."""
        samples = read_samples(source=get_source(key=key), limit=PROPOSAL_SAMPLES)
        return Response(infer_plan(sample.message for sample in samples if not sample.aside))


class ListDiscovered(SourceView):
    """Lists the events and properties that a source was seen to send."""

    @extend_schema(
        operation_id="tracking_plan_discovered",
        parameters=[
            OpenApiParameter("event", description="of a track: its properties only"),
            OpenApiParameter("unplanned", bool, description="true: only what the plan in force does not have"),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses=shapes.page_of(treatment_shapes.DiscoveredSchema, "DiscoveredPage"),
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer a page, the newest first."""
        source = get_source(key=key)
        given = request.query_params
        rows = list_discovered(source=source, event=given.get("event"), unplanned=given.get("unplanned") == "true")
        return paginate(request, fetch=fetch_from(rows, "-id"), key=key_from("id"), present=present_discovered)


def present_discovered(row: Discovered) -> dict[str, Any]:
    """Return what was seen of an event or property; examples are shapes."""
    return {
        "type": row.type,
        "event": row.event,
        "property": row.property,
        "first_seen_at": row.first_seen_at,
        "last_seen_at": row.last_seen_at,
        "volume": row.volume,
        "types": row.types,
        "examples": row.examples,
    }


class ListFindings(SourceView):
    """Counts what the plan and the cleaning of a source found."""

    @extend_schema(
        operation_id="tracking_plan_violations",
        parameters=[
            OpenApiParameter("since", description="received not before this hour (ISO 8601)"),
            OpenApiParameter("by", enum=["rule", "hour"], description="hour: one row for each hour"),
        ],
        responses=shapes.page_of(treatment_shapes.FindingSchema, "FindingPage"),
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer up to a thousand sums, the most frequent first; by hour, the newest first."""
        since = read_time(request.query_params.get("since"), path="since")
        by_hour = request.query_params.get("by") == "hour"
        rows = count_findings_of(source=get_source(key=key), since=since, by_hour=by_hour)
        return Response({"results": rows, "next": None, "previous": None})
