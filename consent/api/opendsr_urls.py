"""Addresses of OpenDSR, below `/opendsr/`."""

from django.urls import path

from consent.api import opendsr

urlpatterns = [
    path("certificate.pem", opendsr.Certificate.as_view()),
    path("v2/discovery", opendsr.Discovery.as_view()),
    path("v2/requests", opendsr.Requests.as_view()),
    path("v2/requests/<uuid:subject_request_id>", opendsr.OneRequest.as_view()),
    path("v2/status/<uuid:subject_request_id>", opendsr.RequestStatus.as_view()),
    path("v1/discovery", opendsr.FirstDiscovery.as_view()),
    path("v1/opengdpr_requests", opendsr.FirstRequests.as_view()),
    path("v1/opengdpr_requests/<uuid:subject_request_id>", opendsr.FirstOneRequest.as_view()),
    path("stub/v2/discovery", opendsr.StubDiscovery.as_view()),
    path("stub/v2/requests", opendsr.StubRequests.as_view()),
    path("stub/v2/requests/<uuid:subject_request_id>", opendsr.StubOneRequest.as_view()),
    path("stub/v2/status/<uuid:subject_request_id>", opendsr.StubRequestStatus.as_view()),
]
