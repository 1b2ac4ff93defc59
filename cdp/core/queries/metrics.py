"""Numbers for Prometheus. Work that waits is counted in the database, so every process answers the same."""

import os
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from cdp.core import registries
from cdp.core.models import AuditEntry, Job, OutboxMail

# Requests are counted where they are answered; the label tells the processes apart, so that none of several web
# processes seems to lose what another has counted.
_requests = CollectorRegistry()
REQUEST_COUNT = Counter(
    "cdp_requests_total", "Requests answered.", ["method", "route", "status", "process"], registry=_requests
)
REQUEST_SECONDS = Histogram(
    "cdp_request_seconds",
    "Time to answer.",
    ["process"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 10),
    registry=_requests,
)
COLLECTION_SECONDS = Histogram(
    "cdp_collection_seconds",
    "Time to answer SDKs, by address and status.",
    ["route", "status", "process"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.5),
    registry=_requests,
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def observe_request(*, method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request; unknown methods count as one, so that nobody can grow the table."""
    process = str(os.getpid())
    known = method if method in METHODS else "other"
    REQUEST_COUNT.labels(method=known, route=route, status=str(status), process=process).inc()
    REQUEST_SECONDS.labels(process=process).observe(seconds)


RequestMeter = Callable[[float], None]


def meter_collection(*, method: str, route: str, status: int) -> RequestMeter:
    """Return what counts one answer to an SDK, given its seconds.

    Looked up once and kept, as it runs for every message; `method` is one of `METHODS` or ``other``.
    """
    process = str(os.getpid())
    count = REQUEST_COUNT.labels(method=method, route=route, status=str(status), process=process)
    seconds_by_route = COLLECTION_SECONDS.labels(route=route, status=str(status), process=process)

    def observe(seconds: float) -> None:
        count.inc()
        seconds_by_route.observe(seconds)

    return observe


def count_unsealed() -> int:
    """Return how many audit entries wait for the sealer."""
    return AuditEntry.objects.filter(seq__isnull=True).count()


def read_metrics() -> bytes:
    """Return all numbers in Prometheus' text format."""
    registry = CollectorRegistry()
    pending = Gauge("cdp_pending", "Work that waits, by step.", ["step"], registry=registry)
    for step in registries.work_steps:
        pending.labels(step=step.name).set(step.count_pending())
    for read in registries.gauges:
        for name, explanation, value in read():
            Gauge(name, explanation, registry=registry).set(value)
    Gauge("cdp_audit_unsealed", "Audit entries not yet sealed.", registry=registry).set(count_unsealed())
    Gauge("cdp_mail_waiting", "Mails not yet sent.", registry=registry).set(OutboxMail.objects.count())
    Gauge("cdp_jobs_failed", "Jobs given up.", registry=registry).set(
        Job.objects.filter(status=Job.Status.FAILED).count()
    )
    return generate_latest(registry) + generate_latest(_requests)
