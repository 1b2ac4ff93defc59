"""What a source does to its messages, by REST: read, save, go through the versions, try on recent messages."""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.access import Principal
from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from cdp.core.services.audit import note_read
from ingestion.api import shapes, treatment_shapes
from ingestion.models import Source, TreatmentKind, TreatmentVersion
from ingestion.queries.samples import read_samples
from ingestion.queries.sources import get_source
from ingestion.queries.treatments import find_version, get_version, list_versions, version_in_force
from ingestion.services.examining import SAMPLES
from ingestion.services.treatments import save_treatment
from ingestion.services.trying import Tried, try_transformations
from ingestion.treatment.shapes import shape_of


def present_treatment(source: Source, kind: TreatmentKind, row: TreatmentVersion | None) -> dict[str, Any]:
    """Return a version as REST shows it; a source without one has version 0."""
    return {
        "source": source.key,
        "version": row.version if row else 0,
        "in_force": row is not None and row.version == version_in_force(source=source, kind=kind),
        "note": row.note if row else "",
        "created_at": row.created_at if row else None,
        "created_by": row.created_by if row else None,
        **(row.definition if row else {}),
    }


def present_tried(tried: Sequence[Tried], principal: Principal, *, limit: int) -> dict[str, Any]:
    """Return what a definition would do to recent messages; only shapes without ``personal_data:read``."""
    changed = [one for one in tried if one.is_changed]
    return {
        "samples": len(tried),
        "changed": len(changed),
        "filtered_out": sum(one.after is None for one in tried),
        "examples": [
            {
                "received_at": one.sample.received_at,
                "quarantined_for": one.sample.aside or None,
                "before": _see(one.sample.message, principal),
                "after": _see(one.after, principal),
            }
            for one in (changed or tried)[:limit]
        ],
    }


def _see(value: Any, principal: Principal) -> Any:
    return value if principal.sees_personal_data else shape_of(value)


class SourceView(APIView):
    """A view of something that belongs to a source."""

    scope_resource = "sources"
    deletes_parts = True

    def permission_object(self) -> Source:
        """Return the source, on which a person may have a right of their own."""
        return get_source(key=self.kwargs["key"])


class OneTransformations(SourceView):
    """Reads and saves the transformations of a source."""

    @extend_schema(operation_id="transformations_read", responses=treatment_shapes.TransformationsSchema)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - who asks was checked
        """Answer the version in force."""
        source = get_source(key=key)
        row = find_version(source=source, kind=TreatmentKind.TRANSFORMATIONS)
        return Response(present_treatment(source, TreatmentKind.TRANSFORMATIONS, row))

    @extend_schema(
        operation_id="transformations_save",
        request=treatment_shapes.TransformationsInput,
        responses=treatment_shapes.TransformationsSchema,
    )
    def put(self, request: Request, key: str) -> Response:
        """Save them as a new version, once all tests in them pass; the same again changes nothing."""
        return save(request, key, TreatmentKind.TRANSFORMATIONS)


def save(request: Request, key: str, kind: TreatmentKind) -> Response:
    """Save a definition that stands in the body beside its note."""
    definition = treatment_shapes.read_body(request.data)
    note = treatment_shapes.take_note(definition)
    save_treatment(
        source=key,
        kind=kind,
        definition=definition,
        note=note,
        actor=principal_of(request).actor,
        now=timezone.now(),
    )
    source = get_source(key=key)
    return Response(present_treatment(source, kind, find_version(source=source, kind=kind)))


def answer_versions(request: Request, key: str, kind: TreatmentKind) -> Response:
    """Answer a page of versions."""
    source = get_source(key=key)
    return paginate(
        request,
        fetch=fetch_from(list_versions(source=source, kind=kind), "-version"),
        key=key_from("version"),
        present=lambda row: present_treatment(source, kind, row),
    )


class TransformationVersions(SourceView):
    """Lists the versions of a source's transformations."""

    @extend_schema(
        operation_id="transformations_versions",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=shapes.page_of(treatment_shapes.TransformationsSchema, "TransformationsPage"),
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer a page, newest first."""
        return answer_versions(request, key, TreatmentKind.TRANSFORMATIONS)


class OneTransformationVersion(SourceView):
    """Reads one version of a source's transformations."""

    @extend_schema(
        operation_id="transformations_version",
        parameters=[OpenApiParameter("version", int, OpenApiParameter.PATH)],
        responses=treatment_shapes.TransformationsSchema,
    )
    def get(self, request: Request, key: str, version: int) -> Response:  # noqa: ARG002 - as above
        """Answer it."""
        source = get_source(key=key)
        kind = TreatmentKind.TRANSFORMATIONS
        return Response(present_treatment(source, kind, get_version(source=source, kind=kind, version=version)))


class PreviewTransformations(APIView):
    """Shows what transformations would do to recent messages; saves nothing and runs no tests."""

    scopes = {"POST": "sources:read"}

    @extend_schema(
        operation_id="transformations_preview",
        request=treatment_shapes.TransformationsInput,
        responses=treatment_shapes.TriedSchema,
    )
    def post(self, request: Request, key: str) -> Response:
        """Answer up to twenty messages before and after, those that change first."""
        definition = treatment_shapes.read_body(request.data)
        treatment_shapes.take_note(definition)
        principal = principal_of(request)
        samples = read_samples(source=get_source(key=key), limit=SAMPLES)
        tried = try_transformations(definition=definition, samples=samples)
        if principal.sees_personal_data and tried:
            note_read(actor=principal.actor, object=f"source:{key}")
        return Response(present_tried(tried, principal, limit=20))
