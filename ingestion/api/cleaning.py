"""Cleaning by REST: read, save, go through the versions, try on recent messages."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.principal import principal_of
from cdp.core.services.audit import note_read
from ingestion.api import shapes, treatment_shapes
from ingestion.api.plans import present_trial
from ingestion.api.treatments import SourceView, answer_versions, present_treatment, present_tried, save
from ingestion.models import TreatmentKind
from ingestion.queries.samples import read_samples
from ingestion.queries.sources import get_source
from ingestion.queries.treatments import find_version, get_version
from ingestion.services.examining import SAMPLES
from ingestion.services.trying import sum_up, try_cleaning

CLEANING = TreatmentKind.CLEANING


class OneCleaning(SourceView):
    """Reads and saves the cleaning of a source."""

    @extend_schema(operation_id="cleaning_read", responses=treatment_shapes.CleaningSchema)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - who asks was checked
        """Answer the version in force."""
        source = get_source(key=key)
        return Response(present_treatment(source, CLEANING, find_version(source=source, kind=CLEANING)))

    @extend_schema(
        operation_id="cleaning_save",
        request=treatment_shapes.CleaningInput,
        responses=treatment_shapes.CleaningSchema,
    )
    def put(self, request: Request, key: str) -> Response:
        """Save it as a new version, once all tests in it pass; the same again changes nothing."""
        return save(request, key, CLEANING)


class CleaningVersions(SourceView):
    """Lists the versions of a source's cleaning."""

    @extend_schema(
        operation_id="cleaning_versions",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=shapes.page_of(treatment_shapes.CleaningSchema, "CleaningPage"),
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer a page, newest first."""
        return answer_versions(request, key, CLEANING)


class OneCleaningVersion(SourceView):
    """Reads one version of a source's cleaning."""

    @extend_schema(
        operation_id="cleaning_version",
        parameters=[OpenApiParameter("version", int, OpenApiParameter.PATH)],
        responses=treatment_shapes.CleaningSchema,
    )
    def get(self, request: Request, key: str, version: int) -> Response:  # noqa: ARG002 - as above
        """Answer it."""
        source = get_source(key=key)
        row = get_version(source=source, kind=CLEANING, version=version)
        return Response(present_treatment(source, CLEANING, row))


class PreviewCleaning(APIView):
    """Shows what cleaning would do to recent messages; saves nothing and runs no tests."""

    scopes = {"POST": "sources:read"}

    @extend_schema(
        operation_id="cleaning_preview",
        request=treatment_shapes.CleaningInput,
        responses=treatment_shapes.CleaningTriedSchema,
    )
    def post(self, request: Request, key: str) -> Response:
        """Answer up to twenty messages before and after, and what has no normal form."""
        definition = treatment_shapes.read_body(request.data)
        treatment_shapes.take_note(definition)
        principal = principal_of(request)
        source = get_source(key=key)
        tried = try_cleaning(source=source, definition=definition, samples=read_samples(source=source, limit=SAMPLES))
        if principal.sees_personal_data and tried:
            note_read(actor=principal.actor, object=f"source:{key}")
        shown = present_tried(tried, principal, limit=20)
        return Response({**shown, "not_clean": present_trial(sum_up(tried))["rules"]})
