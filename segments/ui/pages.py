"""The list of segments."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from cdp.core.ui.shell import show_page, signed_in
from segments.models import Segment


@require_safe
def segments(request: HttpRequest) -> HttpResponse:
    """List the segments by name."""
    signed_in(request, "segments:read")
    rows = Segment.objects.order_by("name", "id")
    return show_page(request, "segments/segments.html", title="Segments", segments=rows)
