"""OpenDSR 2.0, its first version, and a rehearsal of both that touches nobody's data.

Every answer, errors included, is signed: `X-OpenDSR-Signature` over the exact bytes.
"""

import base64
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.views import APIView

from cdp.core.api.authentication import (
    ApiKeyAuthentication,
    BasicKeyAuthentication,
    SignedInAuthentication,
)
from cdp.core.api.json import dump
from cdp.core.api.principal import principal_of
from cdp.core.api.problems import problem_of
from consent.api.opendsr_schemas import OpenDsrCancelled, OpenDsrCreated, OpenDsrError, OpenDsrRequest, OpenDsrStatus
from consent.opendsr import answers
from consent.opendsr.wire import V1, V2, BadMessage
from consent.queries.controllers import list_group
from consent.services.controllers import Received, cancel, get_controller_request, state_of, take_in
from consent.services.processor_key import processor_domain, public_webhook_key, read_processor_key

CERTIFICATE_PATH = "opendsr/certificate.pem"
JSON = "application/json"


class SignedView(APIView):
    """Answers in the words of OpenDSR, signed."""

    authentication_classes: Sequence[type[BaseAuthentication]] = (
        ApiKeyAuthentication,
        BasicKeyAuthentication,
        SignedInAuthentication,
    )
    parser_classes = ()
    scope_resource = "privacy"
    version = V2
    stub = False

    def answer(self, body: dict[str, Any] | list[Any], *, status: int = 200) -> HttpResponse:
        """Return a signed answer."""
        key = read_processor_key(now=timezone.now())
        if settings.CDP_OPENDSR_BODY_SIGNATURE and isinstance(body, dict):
            body = {**body, "processor_signature": key.sign(dump(body))}
        raw = dump(body)
        prefix = "X-OpenGDPR" if self.version == V1 else "X-OpenDSR"
        response = HttpResponse(raw, status=status, content_type=JSON)
        response[f"{prefix}-Processor-Domain"] = processor_domain()
        response[f"{prefix}-Signature"] = key.sign(raw)
        response["Cache-Control"] = "no-store"
        return response

    def handle_exception(self, exc: Exception) -> Any:
        """Answer errors in the same words; a fault of ours goes on to the log."""
        if isinstance(exc, BadMessage):
            faults = [(exc.domain, exc.reason, exc.message)]
            return self.answer(answers.error(code=exc.code, message=exc.message, faults=faults), status=exc.code)
        problem = problem_of(exc)
        if problem is None or problem["status"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return super().handle_exception(exc)
        status = problem["status"]
        faults = [("Request", problem["code"], problem["detail"])]
        response = self.answer(answers.error(code=status, message=problem["detail"], faults=faults), status=status)
        if status == HTTPStatus.UNAUTHORIZED:
            response["WWW-Authenticate"] = 'Bearer realm="cdp"'
        return response


def _controller(request: Request) -> str:
    return principal_of(request).actor.partition(":")[2]


class Discovery(SignedView):
    """Says what this processor can do."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(operation_id="opendsr_discovery", responses=OpenApiTypes.OBJECT, auth=[])
    def get(self, request: Request) -> HttpResponse:  # noqa: ARG002 - Django's signature
        """Answer identities, kinds of requests, and where the certificate is."""
        url = f"{settings.CDP_BASE_URL}/{CERTIFICATE_PATH}"
        extensions = {processor_domain(): {"webhook_public_key": public_webhook_key()}}
        return self.answer(answers.discovery(certificate_url=url, version=self.version, extensions=extensions))


class Certificate(SignedView):
    """Hands out the certificate that answers are signed with."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        operation_id="opendsr_certificate",
        responses={(200, "application/x-pem-file"): OpenApiTypes.STR},
        auth=[],
    )
    def get(self, request: Request) -> HttpResponse:  # noqa: ARG002 - Django's signature
        """Answer PEM."""
        pem = read_processor_key(now=timezone.now()).certificate_pem
        return HttpResponse(pem, content_type="application/x-pem-file")


class Requests(SignedView):
    """Takes requests of controllers, and lists those of a group."""

    @extend_schema(
        operation_id="opendsr_requests_list",
        parameters=[OpenApiParameter("group_id", required=True)],
        responses={200: OpenDsrStatus(many=True), 400: OpenDsrError},
    )
    def get(self, request: Request) -> HttpResponse:
        """Answer the requests of a group of this controller."""
        group_id = request.query_params.get("group_id", "")
        if not group_id:
            raise BadMessage("group_id", "Name the group: ?group_id=.")
        now = timezone.now()
        rows = list_group(group_id=group_id, controller_id=_controller(request), stub=self.stub)[:1000]
        return self.answer([answers.status(state_of(row, now=now)) for row in rows])

    @extend_schema(
        operation_id="opendsr_requests_create",
        request=OpenDsrRequest,
        responses={201: OpenDsrCreated, 400: OpenDsrError, 409: OpenDsrError},
    )
    def post(self, request: Request) -> HttpResponse:
        """Take a request; the key's holder vouches for the person's identity."""
        raw = request._request.body
        now = timezone.now()
        received = Received(
            raw=raw,
            controller_id=_controller(request),
            actor=principal_of(request).actor,
            version=self.version,
            stub=self.stub,
        )
        row = take_in(received=received, now=now)
        encoded = base64.b64encode(raw).decode()
        body = answers.created(state=state_of(row, now=now), received_at=now, encoded_request=encoded)
        return self.answer(body, status=201)


class RequestStatus(SignedView):
    """Tells how a request stands, also at the address by which the specification's overview names the status."""

    @extend_schema(operation_id="opendsr_status", responses={200: OpenDsrStatus, 404: OpenDsrError})
    def get(self, request: Request, subject_request_id: UUID) -> HttpResponse:  # noqa: ARG002 - Django's signature
        """Answer the state."""
        row = get_controller_request(subject_request_id=subject_request_id, stub=self.stub)
        return self.answer(answers.status(state_of(row, now=timezone.now())))


@extend_schema_view(get=extend_schema(operation_id="opendsr_requests_read"))
class OneRequest(RequestStatus):
    """Tells how a request stands, and cancels it."""

    @extend_schema(
        operation_id="opendsr_requests_cancel",
        responses={202: OpenDsrCancelled, 400: OpenDsrError, 404: OpenDsrError},
    )
    def delete(self, request: Request, subject_request_id: UUID) -> HttpResponse:
        """Cancel, while it is pending."""
        now = timezone.now()
        actor = principal_of(request).actor
        row = cancel(subject_request_id=subject_request_id, actor=actor, stub=self.stub, now=now)
        return self.answer(answers.cancelled(state=state_of(row, now=now), received_at=now), status=202)


def variant(view: type[SignedView], *, prefix: str, version: str = V2, stub: bool = False) -> type[SignedView]:
    """Return a view of the first version, or of the rehearsal: the same, with operations named after the prefix."""
    made = type(f"{prefix.title().replace('_', '')}{view.__name__}", (view,), {"version": version, "stub": stub})
    made.__doc__ = view.__doc__
    named = {
        method: extend_schema(operation_id=f"{prefix}_{operation}") for method, operation in OPERATIONS[view].items()
    }
    described: type[SignedView] = extend_schema_view(**named)(made)
    return described


OPERATIONS: Mapping[type[SignedView], Mapping[str, str]] = {
    Discovery: {"get": "discovery"},
    Requests: {"get": "requests_list", "post": "requests_create"},
    OneRequest: {"get": "requests_read", "delete": "requests_cancel"},
    RequestStatus: {"get": "status"},
}
