"""Privacy requests and suppressions by REST."""

from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.access import PERSONAL_DATA, need
from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from cdp.core.downloads import download
from cdp.core.errors import FieldError, InvalidInput
from cdp.core.reauthentication import need_recent_authentication
from cdp.core.services.audit import note_read
from consent.api import fields, request_fields
from consent.api.present import present_request, present_suppression
from consent.deadlines import GDPR
from consent.models import PrivacyRequest
from consent.queries.requests import get_request, list_requests
from consent.queries.suppressions import RAW, find_by_name, get_suppression, list_suppressions
from consent.services.details import NOTHING, Details, unseal_details
from consent.services.erasure import preview_erasure
from consent.services.identity import ask_identity
from consent.services.lifting import lift_restriction
from consent.services.packages import take_package
from consent.services.requests import (
    NewRequest,
    amend_request,
    approve_request,
    cancel_request,
    create_request,
    extend_request,
    reject_request,
    verify_request,
)
from consent.services.suppressions import lift_suppression, suppress_hash, suppress_identifier
from profiles.queries.people import name_identifier


class PrivacyRequests(APIView):
    """Lists privacy requests, and opens one."""

    scope_resource = "privacy"

    @extend_schema(
        operation_id="privacy_requests_list",
        parameters=[
            OpenApiParameter("status"),
            OpenApiParameter("type"),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses=fields.page_of(request_fields.PrivacyRequestSchema, "PrivacyRequestPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, latest received first."""
        given = request.query_params
        rows = list_requests(status=given.get("status"), type=given.get("type")).select_related("details")
        principal = principal_of(request)
        return paginate(
            request,
            fetch=fetch_from(rows, "-received_at", "-id"),
            key=lambda row: (row.received_at, str(row.id)),
            present=lambda row: present_request(row, principal=principal, details=joined_details(row)),
        )

    @extend_schema(
        operation_id="privacy_requests_create",
        request=request_fields.NewPrivacyRequest,
        responses={201: request_fields.PrivacyRequestSchema},
    )
    def post(self, request: Request) -> Response:
        """Open a request; whoever sends it vouches for the person's identity."""
        given = fields.read_input(request_fields.NewPrivacyRequest, request.data)
        principal = principal_of(request)
        now = timezone.now()
        made = create_request(
            new=NewRequest(
                type=given["type"],
                identities=[name_identifier(**one) for one in given["identities"]],
                regulation=given.get("regulation", GDPR),
                received_at=given.get("received_at", now),
                verified_by="api" if principal.user_id is None else principal.actor,
                actor=principal.actor,
                came_by="api",
                language=given.get("language", "en"),
                details=Details(
                    corrections=given.get("corrections", ()),
                    purposes=given.get("purposes", ()),
                    contact=given.get("contact", ""),
                    message=given.get("message", ""),
                ),
            ),
            now=now,
        )
        return Response(present_request(made, principal=principal), status=status.HTTP_201_CREATED)


class OnePrivacyRequest(APIView):
    """Reads a privacy request."""

    scope_resource = "privacy"

    @extend_schema(operation_id="privacy_requests_read", responses=request_fields.PrivacyRequestSchema)
    def get(self, request: Request, request_id: str) -> Response:
        """Answer the request with its steps."""
        principal = principal_of(request)
        found = get_request(request_id=request_id)
        if principal.sees_personal_data and found.identities:
            note_read(actor=principal.actor, object=f"privacy_request:{found.id}")
        return Response(present_request(found, principal=principal))

    @extend_schema(
        operation_id="privacy_requests_change",
        request=request_fields.RequestChanges,
        responses=request_fields.PrivacyRequestSchema,
    )
    def patch(self, request: Request, request_id: str) -> Response:
        """Change what is asked in particular, while nothing is decided."""
        given = fields.read_input(request_fields.RequestChanges, request.data)
        if "shared" in given:
            given["shared"] = [name_identifier(**one) for one in given["shared"]]
        principal = principal_of(request)
        found = amend_request(request_id=request_id, changes=given, actor=principal.actor, now=timezone.now())
        return Response(present_request(found, principal=principal))


class PreviewErasure(APIView):
    """Counts what an erasure would delete."""

    scopes = {"GET": "privacy:read"}

    @extend_schema(operation_id="privacy_requests_preview", responses=request_fields.RequestPreviewSchema)
    def get(self, request: Request, request_id: str) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the number of rows per store."""
        return Response({"stores": preview_erasure(request=get_request(request_id=request_id))})


class ApprovePrivacyRequest(APIView):
    """Approves a privacy request; it is carried out at once."""

    scopes = {"POST": "privacy:write"}

    @extend_schema(operation_id="privacy_requests_approve", request=None, responses=request_fields.PrivacyRequestSchema)
    def post(self, request: Request, request_id: str) -> Response:
        """Approve and answer the request."""
        need_recent_authentication(request)
        principal = principal_of(request)
        found = approve_request(request_id=request_id, actor=principal.actor, now=timezone.now())
        return Response(present_request(found, principal=principal))


class RejectPrivacyRequest(APIView):
    """Refuses a privacy request, with a reason."""

    scopes = {"POST": "privacy:write"}

    @extend_schema(
        operation_id="privacy_requests_reject",
        request=fields.Reason,
        responses=request_fields.PrivacyRequestSchema,
    )
    def post(self, request: Request, request_id: str) -> Response:
        """Refuse and answer the request."""
        given = fields.read_input(fields.Reason, request.data)
        principal = principal_of(request)
        found = reject_request(request_id=request_id, reason=given["reason"], actor=principal.actor, now=timezone.now())
        return Response(present_request(found, principal=principal))


class ExtendPrivacyRequest(APIView):
    """Extends the period of a privacy request once, with a reason."""

    scopes = {"POST": "privacy:write"}

    @extend_schema(
        operation_id="privacy_requests_extend",
        request=fields.Reason,
        responses=request_fields.PrivacyRequestSchema,
    )
    def post(self, request: Request, request_id: str) -> Response:
        """Extend and answer the request."""
        given = fields.read_input(fields.Reason, request.data)
        principal = principal_of(request)
        found = extend_request(request_id=request_id, reason=given["reason"], actor=principal.actor, now=timezone.now())
        return Response(present_request(found, principal=principal))


class AskIdentity(APIView):
    """Asks the person by mail to show who they are; the clock stands still meanwhile."""

    scopes = {"POST": "privacy:write"}

    @extend_schema(
        operation_id="privacy_requests_ask_identity", request=None, responses=request_fields.PrivacyRequestSchema
    )
    def post(self, request: Request, request_id: str) -> Response:
        """Send the mail and answer the request."""
        principal = principal_of(request)
        found, _ = ask_identity(request_id=request_id, actor=principal.actor, now=timezone.now())
        return Response(present_request(found, principal=principal))


class VerifyPrivacyRequest(APIView):
    """Notes that the caller has made sure who the person is."""

    scopes = {"POST": "privacy:write"}

    @extend_schema(operation_id="privacy_requests_verify", request=None, responses=request_fields.PrivacyRequestSchema)
    def post(self, request: Request, request_id: str) -> Response:
        """Verify and answer the request."""
        principal = principal_of(request)
        by = "api" if principal.user_id is None else principal.actor
        found = verify_request(request_id=request_id, verified_by=by, actor=principal.actor, now=timezone.now())
        return Response(present_request(found, principal=principal))


class CancelPrivacyRequest(APIView):
    """Ends a privacy request that the person has taken back."""

    scopes = {"POST": "privacy:write"}

    @extend_schema(
        operation_id="privacy_requests_cancel",
        request=request_fields.CancelReason,
        responses=request_fields.PrivacyRequestSchema,
    )
    def post(self, request: Request, request_id: str) -> Response:
        """Cancel and answer the request."""
        given = fields.read_input(request_fields.CancelReason, request.data)
        principal = principal_of(request)
        found = cancel_request(
            request_id=request_id, reason=given.get("reason", ""), actor=principal.actor, now=timezone.now()
        )
        return Response(present_request(found, principal=principal))


class LiftRestriction(APIView):
    """Ends a restriction of processing; the person is told before."""

    scopes = {"POST": "privacy:write"}

    @extend_schema(
        operation_id="privacy_requests_lift",
        request=request_fields.Lifting,
        responses=request_fields.PrivacyRequestSchema,
    )
    def post(self, request: Request, request_id: str) -> Response:
        """Lift and answer the request."""
        given = fields.read_input(request_fields.Lifting, request.data)
        principal = principal_of(request)
        found = lift_restriction(
            request_id=request_id,
            reason=given["reason"],
            person_told=given.get("person_told", False),
            actor=principal.actor,
            now=timezone.now(),
        )
        return Response(present_request(found, principal=principal))


class PackageOfPrivacyRequest(APIView):
    """Hands out the copy of a person's data, once."""

    scopes = {"GET": "privacy:read"}

    @extend_schema(
        operation_id="privacy_requests_package",
        responses={(200, "application/zip"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, request_id: str) -> HttpResponseBase:
        """Answer a ZIP file; it is deleted as it is read."""
        need_recent_authentication(request)
        principal = principal_of(request)
        need(principal, PERSONAL_DATA)
        found = get_request(request_id=request_id)
        package, file = take_package(request_id=found.pk, actor=principal.actor, now=timezone.now())
        name = f"data-{request_id}.zip"
        return download(file, name=name, size=package.size, content_type="application/zip")

    def head(self, request: Request, request_id: str) -> HttpResponseBase:  # noqa: ARG002 - Django's signature
        """Refuse: looking must not use up what works once."""
        raise MethodNotAllowed("HEAD")


class Suppressions(APIView):
    """Lists suppressions, finds one by its identifier, and makes one."""

    scope_resource = "suppressions"

    @extend_schema(
        operation_id="suppressions_list",
        parameters=[
            OpenApiParameter("identifier", description="TYPE:VALUE; the answer is a page of 0 or 1"),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses=fields.page_of(request_fields.SuppressionSchema, "SuppressionPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, newest first."""
        rows = list_suppressions()
        text = request.query_params.get("identifier")
        if text:
            kind, _, value = text.partition(":")
            rows = find_by_name(named=name_identifier(type=kind, value=value))
        return paginate(request, fetch=fetch_from(rows, "-id"), key=key_from("id"), present=present_suppression)

    @extend_schema(
        operation_id="suppressions_create",
        request=request_fields.NewSuppression,
        responses={201: request_fields.SuppressionSchema},
    )
    def post(self, request: Request) -> Response:
        """Suppress an identifier."""
        given = fields.read_input(request_fields.NewSuppression, request.data)
        named, reason = given["identifier"], given["reason"]
        actor, now = principal_of(request).actor, timezone.now()
        form = named.pop("format")
        if form == RAW:
            row = suppress_identifier(named=name_identifier(**named), reason=reason, actor=actor, now=now)
        else:
            row = suppress_hash(
                type=named["type"], form=form, hashed=named["value"], reason=reason, actor=actor, now=now
            )
        return Response(present_suppression(row), status=status.HTTP_201_CREATED)


class OneSuppression(APIView):
    """Reads a suppression, and lifts it."""

    scope_resource = "suppressions"

    @extend_schema(operation_id="suppressions_read", responses=request_fields.SuppressionSchema)
    def get(self, request: Request, suppression_id: int) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the suppression."""
        return Response(present_suppression(get_suppression(suppression_id=suppression_id)))

    @extend_schema(
        operation_id="suppressions_lift",
        request=fields.Reason,
        parameters=[OpenApiParameter("reason", description="where a client sends no body with DELETE")],
        responses={204: None},
    )
    def delete(self, request: Request, suppression_id: int) -> Response:
        """Let the identifier in again."""
        body = request.data if isinstance(request.data, dict) else {}
        reason = body.get("reason") or request.query_params.get("reason") or ""
        if not isinstance(reason, str):
            message = "The reason is a text."
            raise InvalidInput(message, errors=[FieldError("reason", "invalid", message)])
        lift_suppression(
            suppression_id=suppression_id,
            reason=reason,
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


def joined_details(row: PrivacyRequest) -> Details:
    """Return the details that were read along with a request."""
    return unseal_details(row.details) if hasattr(row, "details") else NOTHING
