"""`/healthz`, `/readyz` and `/metrics`: for supervisors and monitors, without personal data, so without a key."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from cdp.core.queries.health import database_answers, read_readiness
from cdp.core.queries.metrics import read_metrics


@require_safe
@never_cache
def healthz(_request: HttpRequest) -> HttpResponse:
    """Alive: this process answers, and its database does."""
    if database_answers():
        return JsonResponse({"status": "ok"})
    return JsonResponse({"status": "the database does not answer"}, status=503, headers={"Retry-After": "2"})


@require_safe
@never_cache
def readyz(_request: HttpRequest) -> HttpResponse:
    """Ready: the database answers and is migrated. A broker that is away makes it degraded, not unready."""
    found = read_readiness()
    status = "degraded" if found.ready and found.degraded else "ok" if found.ready else "not ready"
    return JsonResponse({"status": status, "checks": found.checks}, status=200 if found.ready else 503)


@require_safe
@never_cache
def metrics(_request: HttpRequest) -> HttpResponse:
    """Numbers for Prometheus."""
    return HttpResponse(read_metrics(), content_type=CONTENT_TYPE_LATEST)
