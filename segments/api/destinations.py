"""Destinations by REST."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate, read_page
from cdp.core.api.principal import principal_of
from cdp.core.queries.rights import rows_within_rights
from segments.api import fields
from segments.api import sending_fields as shapes
from segments.api.sending_present import present_destinations, present_record
from segments.queries.destinations import get_destination, list_destinations, list_records
from segments.sending import retrying
from segments.sending_models import Destination
from segments.services.sending.destinations import (
    NewDestination,
    change_destination,
    create_destination,
    delete_destination,
    rotate_secret,
    sync_fully,
    try_destination,
)
from segments.services.sending.settling import replay_dead

PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor")]


class DestinationView(APIView):
    """A view of one destination, on which a person may have a right of their own."""

    scope_resource = "segments"

    def permission_object(self) -> Destination:
        """Return the destination."""
        return get_destination(key=self.kwargs["key"])

    def answer(self, destination: Destination) -> dict[str, Any]:
        """Return the destination as REST shows it."""
        return present_destinations([destination], now=timezone.now())[0]


class Destinations(APIView):
    """Lists destinations, and sets one up."""

    scope_resource = "segments"

    def permission_rows(self) -> QuerySet[Destination]:
        """Return the destinations that the person may see."""
        return rows_within_rights(list_destinations(), principal=principal_of(self.request), scope="segments:read")

    @extend_schema(
        operation_id="destinations_list",
        parameters=PAGE,
        responses=fields.page_of(shapes.DestinationSchema, "DestinationPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, by key."""
        page = read_page(request, fetch=fetch_from(self.permission_rows(), "key"), key=key_from("key"))
        return Response(page.body(present_destinations(page.rows, now=timezone.now())))

    @extend_schema(
        operation_id="destinations_create",
        request=shapes.NewDestinationFields,
        responses={201: shapes.NewDestinationSchema},
    )
    def post(self, request: Request) -> Response:
        """Set a destination up; everybody in the segment who may be sent is sent from now on."""
        given = fields.read_input(shapes.NewDestinationFields, request.data)
        now = timezone.now()
        made, secret = create_destination(
            new=NewDestination(**{"name": "", **given}), principal=principal_of(request), now=now
        )
        answer = present_destinations([made], now=now)[0]
        return Response({**answer, "signing_secret": secret or None}, status=status.HTTP_201_CREATED)


class OneDestination(DestinationView):
    """Reads, changes and deletes a destination."""

    @extend_schema(operation_id="destinations_read", responses=shapes.DestinationSchema)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the destination and how it goes."""
        return Response(self.answer(get_destination(key=key)))

    @extend_schema(
        operation_id="destinations_change", request=shapes.DestinationFields, responses=shapes.DestinationSchema
    )
    def patch(self, request: Request, key: str) -> Response:
        """Change what is given; `enabled` pauses it and lets it go on."""
        given = fields.read_input(shapes.DestinationFields, request.data, partial=True)
        changed = change_destination(key=key, fields=given, principal=principal_of(request), now=timezone.now())
        return Response(self.answer(changed))

    @extend_schema(operation_id="destinations_delete", responses={204: None})
    def delete(self, request: Request, key: str) -> Response:
        """Delete it with its log."""
        delete_destination(key=key, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class TryDestination(DestinationView):
    """Sends a test."""

    @extend_schema(operation_id="destinations_test", request=None, responses=shapes.TriedDestinationSchema)
    def post(self, request: Request, key: str) -> Response:
        """Send one delivery about nobody, with the event `test`, and answer what came of it."""
        outcome = try_destination(key=key, actor=principal_of(request).actor, now=timezone.now())
        return Response(
            {
                "delivered": outcome.state == retrying.SENT,
                "status": outcome.status,
                "reason": outcome.reason or None,
                "took_ms": outcome.took_ms,
            }
        )


class SyncDestination(DestinationView):
    """Tells everything anew."""

    @extend_schema(operation_id="destinations_sync", request=None, responses={202: shapes.QueuedSchema})
    def post(self, request: Request, key: str) -> Response:
        """Send every member again (`member`), and removals of whoever is no longer one."""
        count = sync_fully(key=key, actor=principal_of(request).actor, now=timezone.now())
        return Response({"queued": count}, status=status.HTTP_202_ACCEPTED)


class ReplayDestination(DestinationView):
    """Tries what was given up again."""

    @extend_schema(operation_id="destinations_replay", request=None, responses={202: shapes.QueuedSchema})
    def post(self, request: Request, key: str) -> Response:
        """Let everything that was given up be looked at and sent again."""
        found = get_destination(key=key)
        count = replay_dead(destination=found, actor=principal_of(request).actor, now=timezone.now())
        return Response({"queued": count}, status=status.HTTP_202_ACCEPTED)


class RotateSecret(DestinationView):
    """Replaces the signing secret."""

    @extend_schema(operation_id="destinations_rotate_secret", request=None, responses=shapes.SigningSecretSchema)
    def post(self, request: Request, key: str) -> Response:
        """Make a new secret; messages are signed with the old one, too, until the next rotation."""
        made = rotate_secret(key=key, actor=principal_of(request).actor, now=timezone.now())
        return Response({"signing_secret": made})


class Deliveries(DestinationView):
    """Lists the delivery log."""

    @extend_schema(
        operation_id="destinations_deliveries",
        parameters=[
            OpenApiParameter("outcome", enum=list(shapes.DELIVERY_OUTCOMES)),
            OpenApiParameter("kind", enum=list(shapes.DELIVERY_KINDS)),
            OpenApiParameter("reason"),
            *PAGE,
        ],
        responses=fields.page_of(shapes.DeliveryRecordSchema, "DeliveryRecordPage"),
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer one page, newest first."""
        asked = request.query_params
        rows = list_records(
            destination=get_destination(key=key),
            outcome=asked.get("outcome", ""),
            kind=asked.get("kind", ""),
            reason=asked.get("reason", ""),
        )
        return paginate(request, fetch=fetch_from(rows, "-pk"), key=key_from("pk"), present=present_record)
