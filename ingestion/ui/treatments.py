"""Transformations and cleaning of a source: seen, tried, saved."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from ingestion.models import TreatmentKind
from ingestion.ui.editing import answer_editor
from ingestion.ui.explaining import explain_normalisers, list_operations


@require_http_methods(["GET", "HEAD", "POST"])
def transformations(request: HttpRequest, key: str) -> HttpResponse:
    """Show the transformations with their tests, and change them."""
    return answer_editor(
        request,
        key=key,
        kind=TreatmentKind.TRANSFORMATIONS,
        template="ingestion/transformations.html",
        title="Transformations",
        operations=list_operations(),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def cleaning(request: HttpRequest, key: str) -> HttpResponse:
    """Show the cleaning with its tests and what it found, and change it."""
    return answer_editor(
        request,
        key=key,
        kind=TreatmentKind.CLEANING,
        template="ingestion/cleaning.html",
        title="Cleaning",
        normalisers=explain_normalisers(),
    )
