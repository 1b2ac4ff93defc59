"""Profiles by REST: find, read, and what belongs to one."""

from collections.abc import Sequence
from typing import Any

import orjson
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.access import Principal
from cdp.core.api.pagination import Cursor, fetch_from, key_from, paginate, read_page
from cdp.core.api.principal import principal_of
from cdp.core.api.times import read_time
from cdp.core.services.audit import note_read
from profiles.api import schemas
from profiles.errors import BadIdentifier, NoSuchProfile
from profiles.queries.people import (
    Person,
    all_internal_ids,
    event_ids,
    find_by_identifier,
    get_by_uuid,
    name_identifier,
)
from profiles.queries.profiles import (
    list_identifiers,
    list_profiles,
    present_identifier,
    present_profiles,
    read_source_names,
)
from profiles.queries.timeline import (
    EventFilter,
    EventRow,
    find_events,
    list_changes,
    list_merges,
    present_change,
    present_event,
    present_merge,
)


def show_profile(request: Request, person: Person) -> dict[str, Any]:
    """Return one profile as this caller may see it, and note that it was read."""
    principal = principal_of(request)
    found = present_profiles([person.profile_id], principal=principal, now=timezone.now())
    if not found:
        message = "The profile was erased at this moment."
        raise NoSuchProfile(message)
    if principal.sees_personal_data:
        note_read(actor=principal.actor, object=f"profile:{person.uuid}")
    return found[0]


def read_identifier(text: str) -> tuple[str, str]:
    """Split TYPE:VALUE at the first colon.

    Raises
    ------
    BadIdentifier
        If there is no colon or a side is empty.
    """
    type_key, colon, value = text.partition(":")
    if not colon or not type_key or not value:
        message = "identifier must be TYPE:VALUE, for example user_id:42."
        raise BadIdentifier(message)
    return type_key, value


class ListProfiles(APIView):
    """Finds profiles by an identifier, or lists all, newest first."""

    scopes = {"GET": "profiles:read"}

    @extend_schema(
        operation_id="profiles_list",
        parameters=[
            OpenApiParameter("identifier", description="TYPE:VALUE; the answer is a page of 0 or 1"),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses=schemas.page_of(schemas.ProfileSchema, "ProfilePage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page."""
        identifier = request.query_params.get("identifier")
        if identifier is not None:
            type_key, value = read_identifier(identifier)
            person = find_by_identifier(named=name_identifier(type=type_key, value=value))
            found = [show_profile(request, person)] if person is not None else []
            return Response({"results": found, "next": None, "previous": None})
        page = read_page(request, fetch=fetch_from(list_profiles(), "-id"), key=key_from("id"))
        ids = [row.pk for row in page.rows]
        return Response(page.body(present_profiles(ids, principal=principal_of(request), now=timezone.now())))


class LookUpProfile(APIView):
    """Finds a profile by an identifier in the body, so that no personal data stands in an address."""

    scopes = {"POST": "profiles:read"}

    @extend_schema(
        operation_id="profiles_lookup", request=schemas.LookupRequest, responses={200: schemas.ProfileSchema}
    )
    def post(self, request: Request) -> Response:
        """Answer the profile, or 404."""
        given = schemas.LookupRequest(data=request.data)
        given.is_valid(raise_exception=True)
        identifier = given.validated_data["identifier"]
        person = find_by_identifier(named=name_identifier(type=identifier["type"], value=identifier["value"]))
        if person is None:
            message = "No profile has this identifier."
            raise NoSuchProfile(message)
        return Response(show_profile(request, person))


class ReadProfile(APIView):
    """Reads one profile; an absorbed id answers with the survivor."""

    scopes = {"GET": "profiles:read"}

    @extend_schema(operation_id="profiles_read", responses=schemas.ProfileSchema)
    def get(self, request: Request, profile_id: str) -> Response:
        """Answer the profile."""
        return Response(show_profile(request, get_by_uuid(public_id=profile_id)))


class ListProfileEvents(APIView):
    """Lists a profile's events, newest first."""

    scopes = {"GET": "profiles:read"}

    @extend_schema(
        operation_id="profiles_events",
        parameters=[
            OpenApiParameter("name", description="only events of this name"),
            OpenApiParameter("type", description="only events of this type: track, identify, page, …"),
            OpenApiParameter("since", description="not before this time (ISO 8601)"),
            OpenApiParameter("until", description="before this time (ISO 8601)"),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses=schemas.page_of(schemas.EventSchema, "EventPage"),
    )
    def get(self, request: Request, profile_id: str) -> Response:
        """Answer one page."""
        person = get_by_uuid(public_id=profile_id)
        given = request.query_params
        wanted = EventFilter(
            name=given.get("name", ""),
            type=given.get("type", ""),
            since=read_time(given.get("since"), path="since"),
            until=read_time(given.get("until"), path="until"),
        )
        sources = read_source_names()
        principal: Principal = principal_of(request)
        ids = event_ids(profile_id=person.profile_id)

        def fetch(cursor: Cursor | None, limit: int) -> Sequence[EventRow]:
            after = (cursor.position[0], cursor.position[1]) if cursor is not None else None
            backward = cursor is not None and cursor.backward
            return find_events(
                profile_ids=ids,
                wanted=wanted,
                after=after,
                backward=backward,
                limit=limit,
                opens=principal.sees_personal_data,
            )

        return paginate(
            request,
            fetch=fetch,
            key=key_from("occurred_at", "id"),
            present=lambda row: present_event(row, sources=sources, principal=principal, loads=orjson.loads),
        )


class ListProfileIdentifiers(APIView):
    """Lists a profile's identifiers."""

    scopes = {"GET": "profiles:read"}

    @extend_schema(
        operation_id="profiles_identifiers", responses=schemas.page_of(schemas.HeldIdentifier, "IdentifierPage")
    )
    def get(self, request: Request, profile_id: str) -> Response:
        """Answer one page, oldest first."""
        person = get_by_uuid(public_id=profile_id)
        sources = read_source_names()
        principal = principal_of(request)
        rows = list_identifiers(profile_ids=[person.profile_id])
        return paginate(
            request,
            fetch=fetch_from(rows, "id"),
            key=key_from("id"),
            present=lambda row: present_identifier(row, sources, principal),
        )


class ListProfileMerges(APIView):
    """Lists the merges that made a profile, newest first."""

    scopes = {"GET": "profiles:read"}

    @extend_schema(operation_id="profiles_merges", responses=schemas.page_of(schemas.MergeSchema, "ProfileMergePage"))
    def get(self, request: Request, profile_id: str) -> Response:
        """Answer one page."""
        person = get_by_uuid(public_id=profile_id)
        rows = list_merges(profile_uuid=person.uuid)
        return paginate(request, fetch=fetch_from(rows, "-id"), key=key_from("id"), present=present_merge)


class ListProfileChanges(APIView):
    """Lists a profile's history, newest first."""

    scopes = {"GET": "profiles:read"}

    @extend_schema(
        operation_id="profiles_changes", responses=schemas.page_of(schemas.ChangeSchema, "ProfileChangePage")
    )
    def get(self, request: Request, profile_id: str) -> Response:
        """Answer one page."""
        person = get_by_uuid(public_id=profile_id)
        rows = list_changes(profile_ids=all_internal_ids(profile_id=person.profile_id))
        return paginate(request, fetch=fetch_from(rows, "-at", "-id"), key=key_from("at", "id"), present=present_change)
