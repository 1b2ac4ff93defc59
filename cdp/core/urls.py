"""Addresses of the kernel: health, metrics and the audit trail."""

from django.urls import path

from cdp.core.api.audit import ListAudit
from cdp.core.ui import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("api/v1/audit", ListAudit.as_view(), name="audit"),
]
