"""Regulations in the shapes of Segment's Public API and of RudderStack's User Suppression API."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.principal import principal_of
from consent.api.fields import read_input
from consent.request_models import Regulation
from consent.services.regulations import (
    RUDDER,
    RUDDER_IDENTIFIERS,
    RUDDER_TYPES,
    SEGMENT,
    SEGMENT_TYPES,
    NewRegulation,
    cancel_regulation,
    get_regulation,
    overall_status,
    regulate,
)

MOST_SUBJECTS = 5_000
LISTED = 200


class SegmentRegulation(serializers.Serializer):
    """Whom to suppress, erase or let in again."""

    regulationType = serializers.ChoiceField(choices=list(SEGMENT_TYPES))  # noqa: N815 - Segment's name
    subjectType = serializers.ChoiceField(choices=["USER_ID"], required=False)  # noqa: N815 - Segment's name
    subjectIds = serializers.ListField(  # noqa: N815 - Segment's name
        child=serializers.CharField(max_length=512), allow_empty=False, max_length=MOST_SUBJECTS
    )


class RudderUser(serializers.Serializer):
    """A user by any of these."""

    userId = serializers.CharField(max_length=512, required=False)  # noqa: N815 - RudderStack's name
    email = serializers.CharField(max_length=512, required=False)
    phone = serializers.CharField(max_length=512, required=False)


class RudderRegulation(serializers.Serializer):
    """Whom to suppress or erase; sources and destinations are taken and change nothing: it concerns all."""

    regulationType = serializers.ChoiceField(choices=list(RUDDER_TYPES))  # noqa: N815 - RudderStack's name
    users = RudderUser(many=True, allow_empty=False, max_length=MOST_SUBJECTS)  # type: ignore[call-arg]
    sourceIds = serializers.ListField(child=serializers.CharField(), required=False)  # noqa: N815
    destinationIds = serializers.ListField(child=serializers.CharField(), required=False)  # noqa: N815


class SegmentRegulations(APIView):
    """Takes regulations as Segment's Public API does, and lists them."""

    scope_resource = "privacy"

    @extend_schema(operation_id="regulations_list", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the latest 200."""
        return Response({"data": {"regulations": [_as_segment(one) for one in _latest(SEGMENT)]}})

    @extend_schema(operation_id="regulations_create", request=SegmentRegulation, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        """Carry a regulation out; `carriedOutAs` says what is really done."""
        given = read_input(SegmentRegulation, request.data)
        made = regulate(
            new=NewRegulation(
                dialect=SEGMENT,
                asked_as=given["regulationType"],
                does=SEGMENT_TYPES[given["regulationType"]],
                people=[[("user_id", one)] for one in given["subjectIds"]],
                actor=principal_of(request).actor,
            ),
            now=timezone.now(),
        )
        return Response({"data": {"regulateId": str(made.pk), "carriedOutAs": made.type}})


class OneSegmentRegulation(APIView):
    """Tells how a regulation stands."""

    scopes = {"GET": "privacy:read"}

    @extend_schema(operation_id="regulations_read", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, regulation_id: UUID) -> Response:  # noqa: ARG002 - Django's signature
        """Answer its status."""
        return Response(
            {"data": {"regulation": _as_segment(get_regulation(regulation_id=regulation_id, dialect=SEGMENT))}}
        )


class RudderRegulations(APIView):
    """Takes regulations as RudderStack's User Suppression API does, and lists them."""

    scope_resource = "privacy"

    @extend_schema(operation_id="rudder_regulations_list", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the latest 200."""
        return Response({"regulations": [_as_rudder(one) for one in _latest(RUDDER)]})

    @extend_schema(operation_id="rudder_regulations_create", request=RudderRegulation, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        """Carry a regulation out."""
        given = read_input(RudderRegulation, request.data)
        made = regulate(
            new=NewRegulation(
                dialect=RUDDER,
                asked_as=given["regulationType"],
                does=RUDDER_TYPES[given["regulationType"]],
                people=[
                    [(type_, user[name]) for name, type_ in RUDDER_IDENTIFIERS.items() if user.get(name)]
                    for user in given["users"]
                ],
                actor=principal_of(request).actor,
            ),
            now=timezone.now(),
        )
        return Response(_as_rudder(made))


class OneRudderRegulation(APIView):
    """Tells how a regulation stands, and cancels it."""

    scope_resource = "privacy"

    @extend_schema(
        operation_id="rudder_regulations_read",
        responses=OpenApiTypes.OBJECT,
        parameters=[OpenApiParameter("regulation_id", OpenApiTypes.UUID, OpenApiParameter.PATH)],
    )
    def get(self, request: Request, regulation_id: UUID) -> Response:  # noqa: ARG002 - Django's signature
        """Answer its status."""
        return Response(_as_rudder(get_regulation(regulation_id=regulation_id, dialect=RUDDER)))

    @extend_schema(operation_id="rudder_regulations_cancel", responses={204: None})
    def delete(self, request: Request, regulation_id: UUID) -> Response:
        """Cancel what was not begun."""
        cancel_regulation(regulation_id=regulation_id, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=204)


def _latest(dialect: str) -> list[Regulation]:
    return list(Regulation.objects.filter(dialect=dialect).order_by("-created_at", "-id")[:LISTED])


def _as_segment(regulation: Regulation) -> dict[str, Any]:
    status, finished_at = overall_status(regulation)
    return {
        "id": str(regulation.pk),
        "workspaceId": "",
        "regulateType": regulation.asked_as,
        "regulationType": regulation.asked_as,
        "carriedOutAs": regulation.type,
        "subjectType": "USER_ID",
        "overallStatus": status,
        "createdAt": regulation.created_at,
        "finishedAt": finished_at,
        "streamStatus": [],
        "privacyRequests": [str(one) for one in regulation.request_ids],
    }


def _as_rudder(regulation: Regulation) -> dict[str, Any]:
    status, _ = overall_status(regulation)
    return {
        "id": str(regulation.pk),
        "regulationType": regulation.asked_as,
        "status": status.lower(),
        "createdAt": regulation.created_at,
        "privacyRequests": [str(one) for one in regulation.request_ids],
    }
