"""Regulations in the shapes of Segment's Public API and of RudderStack's User Suppression API."""

from collections.abc import Mapping, Sequence
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
    SEGMENT_SUBJECTS,
    SEGMENT_TYPES,
    NewRegulation,
    cancel_regulation,
    get_regulation,
    list_regulations,
    overall_status,
    overall_statuses,
    regulate,
    regulate_each,
    withdraw_regulation,
)

MOST_SUBJECTS = 5_000


class SegmentRegulation(serializers.Serializer):
    """Whom to suppress, erase or let in again."""

    regulationType = serializers.ChoiceField(choices=list(SEGMENT_TYPES))  # noqa: N815 - Segment's name
    subjectType = serializers.ChoiceField(choices=list(SEGMENT_SUBJECTS), default="USER_ID")  # noqa: N815 - Segment's name
    subjectIds = serializers.ListField(  # noqa: N815 - Segment's name
        child=serializers.CharField(max_length=512), allow_empty=False, max_length=MOST_SUBJECTS
    )


class RudderUser(serializers.Serializer):
    """A user by any of these."""

    userId = serializers.CharField(max_length=512, required=False)  # noqa: N815 - RudderStack's name
    email = serializers.CharField(max_length=512, required=False)
    phone = serializers.CharField(max_length=512, required=False)


class RudderRegulation(serializers.Serializer):
    """Whom to suppress or erase; sources and destinations change nothing: a regulation concerns all of them."""

    regulationType = serializers.ChoiceField(choices=list(RUDDER_TYPES))  # noqa: N815 - RudderStack's name
    users = RudderUser(many=True, allow_empty=False, max_length=MOST_SUBJECTS)  # type: ignore[call-arg]
    sourceIds = serializers.ListField(child=serializers.CharField(), required=False)  # noqa: N815
    destinationIds = serializers.ListField(child=serializers.CharField(), required=False)  # noqa: N815

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse sources for a deletion and destinations for a suppression, as RudderStack does."""
        wrong = "sourceIds" if attrs["regulationType"] != "suppress" else "destinationIds"
        if attrs.get(wrong):
            raise serializers.ValidationError({wrong: f"{wrong} do not go with {attrs['regulationType']}."})
        return attrs


class SegmentRegulations(APIView):
    """Takes regulations as Segment's Public API does, and lists them."""

    scope_resource = "privacy"

    @extend_schema(operation_id="regulations_list", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Answer a page of them, newest first: `pagination[cursor]`, `pagination[count]`."""
        asked = request.query_params
        cursor = asked.get("pagination[cursor]", "")
        rows, following = list_regulations(dialect=SEGMENT, after=cursor, most=asked.get("pagination[count]", ""))
        page = {"current": cursor, **({"next": following} if following else {})}
        return Response({"data": {"regulations": _in_list(rows), "pagination": page}})

    @extend_schema(operation_id="regulations_create", request=SegmentRegulation, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        """Carry a regulation out; `carriedOutAs` says what is really done."""
        given = read_input(SegmentRegulation, request.data)
        made = regulate(
            new=NewRegulation(
                dialect=SEGMENT,
                asked_as=given["regulationType"],
                does=SEGMENT_TYPES[given["regulationType"]],
                people=[[(SEGMENT_SUBJECTS[given["subjectType"]], one)] for one in given["subjectIds"]],
                actor=principal_of(request).actor,
            ),
            now=timezone.now(),
        )
        return Response({"data": {"regulateId": str(made.pk), "carriedOutAs": made.type}})


class OneSegmentRegulation(APIView):
    """Tells how a regulation stands, and takes back one that waits."""

    scope_resource = "privacy"

    @extend_schema(operation_id="regulations_read", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, regulation_id: UUID) -> Response:  # noqa: ARG002 - Django's signature
        """Answer its status."""
        return Response(
            {"data": {"regulation": _as_segment(get_regulation(regulation_id=regulation_id, dialect=SEGMENT))}}
        )

    @extend_schema(operation_id="regulations_delete", responses=OpenApiTypes.OBJECT)
    def delete(self, request: Request, regulation_id: UUID) -> Response:
        """Take it back; 409 once it has begun."""
        withdraw_regulation(regulation_id=regulation_id, actor=principal_of(request).actor, now=timezone.now())
        return Response({"data": {"status": "SUCCESS"}})


class RudderRegulations(APIView):
    """Takes regulations as RudderStack's User Suppression API does, and lists them."""

    scope_resource = "privacy"

    @extend_schema(operation_id="rudder_regulations_list", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Answer a page of them, newest first; `paging.next` leads on. Whom they were about is kept nowhere."""
        rows, following = list_regulations(dialect=RUDDER, after=request.query_params.get("after_cursor", ""))
        paging = {"next": f"{request.path}?after_cursor={following}"} if following else {}
        return Response({"data": _as_rudder(rows, [{}] * len(rows)), "paging": paging})

    @extend_schema(operation_id="rudder_regulations_create", request=RudderRegulation, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        """Carry a regulation out for each user; the answer lists them in the same order."""
        given = read_input(RudderRegulation, request.data)
        made = regulate_each(
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
        return Response(_as_rudder(made, [dict(user) for user in given["users"]]), status=201)


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
        found = get_regulation(regulation_id=regulation_id, dialect=RUDDER)
        return Response(_as_rudder([found], [{}])[0])

    @extend_schema(operation_id="rudder_regulations_cancel", responses={204: None})
    def delete(self, request: Request, regulation_id: UUID) -> Response:
        """Cancel what was not begun, and let in again whom this regulation alone keeps out."""
        cancel_regulation(
            regulation_id=regulation_id, dialect=RUDDER, actor=principal_of(request).actor, now=timezone.now()
        )
        return Response(status=204)


def _as_segment(regulation: Regulation) -> dict[str, Any]:
    status, finished_at = overall_status(regulation)
    ended = {} if finished_at is None else {"finishedAt": finished_at}
    return {
        "id": str(regulation.pk),
        "workspaceId": "",
        "overallStatus": status,
        "createdAt": regulation.created_at,
        **ended,
        "streamStatus": [],
        "regulationType": regulation.asked_as,
        "carriedOutAs": regulation.type,
        "privacyRequests": [str(one) for one in regulation.request_ids],
    }


def _in_list(regulations: Sequence[Regulation]) -> list[dict[str, Any]]:
    """Return entries of Segment's list; whom they were about is kept nowhere, so `subjects` is empty."""
    statuses = overall_statuses(regulations)
    return [
        {
            "id": str(one.pk),
            "subjectType": "USER_ID",
            "subjects": [],
            "status": statuses[one.pk][0],
            "createdAt": one.created_at,
            **({} if statuses[one.pk][1] is None else {"finishedAt": statuses[one.pk][1]}),
            "regulationType": one.asked_as,
        }
        for one in regulations
    ]


def _as_rudder(regulations: Sequence[Regulation], attributes: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Return regulations as RudderStack does; `status` and `privacyRequests` are ours."""
    statuses = overall_statuses(regulations)
    return [
        {
            "id": str(one.pk),
            "workspaceId": "",
            "canceled": one.cancelled_at is not None,
            "regulationType": one.asked_as,
            "attributes": user,
            "status": statuses[one.pk][0].lower(),
            "privacyRequests": [str(request_id) for request_id in one.request_ids],
        }
        for one, user in zip(regulations, attributes, strict=True)
    ]
