"""Health, metrics and `security.txt`: for supervisors, monitors and finders of faults, so without a key."""

from datetime import timedelta

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from cdp.core.queries.health import database_answers, read_readiness
from cdp.core.queries.metrics import read_metrics

SECURITY_TXT_DAYS = 180


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


@require_safe
def security_txt(_request: HttpRequest) -> HttpResponse:
    """Say whom to tell about a weakness of this installation (RFC 9116), if the operator named somebody."""
    if not settings.CDP_SECURITY_CONTACT:
        raise Http404
    expires = timezone.now() + timedelta(days=SECURITY_TXT_DAYS)
    lines = (
        f"Contact: {settings.CDP_SECURITY_CONTACT}",
        f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages: en",
        f"Canonical: {settings.CDP_BASE_URL}/.well-known/security.txt",
    )
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")
