"""The overview."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from cdp.core.ui.shell import show_page, signed_in
from cdp.site.demo import find_demo
from cdp.site.overview import read_overview
from ingestion.queries.first_steps import find_first_source

HOURS = {"24": 24, "48": 48, "168": 168}


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Show how the installation is doing."""
    principal = signed_in(request)
    hours = HOURS.get(request.GET.get("hours", ""), 24)
    found = read_overview(principal=principal, hours=hours, now=timezone.now())
    first_source = find_first_source() if found.is_new and principal.may("sources:write") else None
    return show_page(
        request,
        "site/overview.html",
        title="Overview",
        overview=found,
        hours=hours,
        choices=((24, "24 hours"), (48, "48 hours"), (168, "7 days")),
        first_source=first_source,
        base_url=settings.CDP_BASE_URL,
        has_scopes=bool(principal.scopes),
        demo=find_demo(),
    )
