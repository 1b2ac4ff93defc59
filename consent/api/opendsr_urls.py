"""Addresses of OpenDSR, below `/opendsr/`."""

from typing import Any

from django.urls import path

from consent.api import opendsr, opendsr_callbacks

V1, STUB = {"prefix": "opengdpr", "version": "1.0"}, {"prefix": "opendsr_stub", "stub": True}


def _as_view(view: type[opendsr.SignedView], **changes: Any) -> Any:
    return opendsr.variant(view, **changes).as_view()


urlpatterns = [
    path("certificate.pem", opendsr.Certificate.as_view()),
    path("callbacks", opendsr_callbacks.Callbacks.as_view()),
    path("v2/discovery", opendsr.Discovery.as_view()),
    path("v2/requests", opendsr.Requests.as_view()),
    path("v2/requests/<uuid:subject_request_id>", opendsr.OneRequest.as_view()),
    path("v2/status/<uuid:subject_request_id>", opendsr.RequestStatus.as_view()),
    path("v1/discovery", _as_view(opendsr.Discovery, **V1)),
    path("v1/opengdpr_requests", _as_view(opendsr.Requests, **V1)),
    path("v1/opengdpr_requests/<uuid:subject_request_id>", _as_view(opendsr.OneRequest, **V1)),
    path("stub/v2/discovery", _as_view(opendsr.Discovery, **STUB)),
    path("stub/v2/requests", _as_view(opendsr.Requests, **STUB)),
    path("stub/v2/requests/<uuid:subject_request_id>", _as_view(opendsr.OneRequest, **STUB)),
    path("stub/v2/status/<uuid:subject_request_id>", _as_view(opendsr.RequestStatus, **STUB)),
]
