"""Where processors tell how the erasures stand that were passed on to them (OpenDSR, the controller's side)."""

from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.core.api.json import dump
from consent.api.opendsr import JSON, SignedView
from consent.api.opendsr_schemas import OpenDsrError, OpenDsrStatus
from consent.services.processors import take_callback


class OpenDsrCallback(OpenDsrStatus):
    """How a request stands, as a processor tells it."""

    status_callback_url = serializers.URLField()


class Callbacks(SignedView):
    """Takes what processors tell: known by their domain, believed by their signature."""

    authentication_classes = ()
    permission_classes = ()
    http_method_names = ("post",)

    def answer(self, body: dict[str, Any] | list[Any], *, status: int = 200) -> HttpResponse:
        """Return an answer; a controller signs none."""
        return HttpResponse(dump(body), status=status, content_type=JSON)

    @extend_schema(
        operation_id="opendsr_callbacks",
        request=OpenDsrCallback,
        responses={202: None, 400: OpenDsrError, 401: OpenDsrError, 403: OpenDsrError},
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Check domain, certificate and signature over the bytes before anything is read; 202 once it is heeded."""
        take_callback(request._request.body, headers=request.headers, now=timezone.now())
        return Response(status=202)
