"""Segments by REST."""

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate, read_page
from cdp.core.api.principal import principal_of
from profiles.queries.people import get_by_uuid
from segments.api import fields
from segments.api.present import (
    present_members,
    present_membership_change,
    present_preview,
    present_segments,
    present_tree,
    present_version,
    told_size,
)
from segments.errors import NowNotAllowed
from segments.models import Membership, Segment
from segments.queries.catalogue import narrow_segments
from segments.queries.cost import estimate_cost
from segments.queries.overlap import read_overlap
from segments.queries.people import explain_membership
from segments.queries.preview import preview
from segments.queries.rights import visible_segments, within_sight
from segments.queries.segments import (
    get_segment,
    list_members,
    list_membership_changes,
    list_versions,
    read_latest,
)
from segments.services.definitions import NewSegment, change_segment, create_segment, delete_segment

PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor")]


class SegmentView(APIView):
    """A view of one segment, on which a person may have a right of their own."""

    def permission_object(self) -> Segment:
        """Return the segment."""
        return get_segment(key=self.kwargs["key"])


class Segments(APIView):
    """Lists segments, and creates one."""

    scope_resource = "segments"

    def permission_rows(self) -> QuerySet[Segment]:
        """Return the segments that the person may see."""
        return visible_segments(principal=principal_of(self.request))

    @extend_schema(
        operation_id="segments_list",
        parameters=[
            OpenApiParameter("status", enum=Segment.Status.values),
            OpenApiParameter("tag", description="Only those with this tag"),
            OpenApiParameter("q", description="Only those with this text in their name or key"),
            *PAGE,
        ],
        responses=fields.page_of(fields.SegmentSchema, "SegmentPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, by key."""
        rows = self.permission_rows()
        if request.query_params.get("status"):
            rows = rows.filter(status=request.query_params["status"])
        rows = narrow_segments(rows, tag=request.query_params.get("tag", ""), text=request.query_params.get("q", ""))
        page = read_page(request, fetch=fetch_from(rows, "key"), key=key_from("key"))
        return Response(page.body(present_segments(page.rows, principal=principal_of(request))))

    @extend_schema(
        operation_id="segments_create",
        request=fields.NewSegmentFields,
        responses={201: fields.SegmentSchema, 200: fields.SegmentSchema},
    )
    def post(self, request: Request) -> Response:
        """Create a segment; a live one answers when its members are known. The same again answers 200."""
        given = fields.read_input(fields.NewSegmentFields, request.data)
        new = NewSegment(
            key=given["key"],
            name=given.get("name") or given["key"],
            definition=given["definition"],
            status=given.get("status", Segment.Status.DRAFT),
            purpose=given.get("purpose") or "",
            channel=given.get("channel") or "",
            tags=tuple(given.get("tags", ())),
            owner_id=principal_of(request).user_id,
        )
        segment, created = create_segment(new=new, actor=principal_of(request).actor, clock=timezone.now)
        answer = present_segments([segment])[0]
        return Response(answer, status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)


class OneSegment(SegmentView):
    """Reads, changes and deletes a segment."""

    scope_resource = "segments"

    @extend_schema(operation_id="segments_read", responses=fields.SegmentSchema)
    def get(self, request: Request, key: str) -> Response:
        """Answer the segment."""
        return Response(present_segments([get_segment(key=key)], principal=principal_of(request))[0])

    @extend_schema(operation_id="segments_change", request=fields.SegmentFields, responses=fields.SegmentSchema)
    def patch(self, request: Request, key: str) -> Response:
        """Change what is given; a changed definition makes a version."""
        given = fields.read_input(fields.SegmentFields, request.data, partial=True)
        for name in ("purpose", "channel"):
            if name in given:
                given[name] = given[name] or ""
        principal = principal_of(request)
        segment = change_segment(key=key, fields=given, actor=principal.actor, clock=timezone.now)
        return Response(present_segments([segment], principal=principal)[0])

    @extend_schema(operation_id="segments_delete", responses={204: None})
    def delete(self, request: Request, key: str) -> Response:
        """Delete a segment that no other refers to."""
        delete_segment(key=key, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class PreviewSegment(APIView):
    """Tries a definition without saving it."""

    scopes = {"POST": "segments:read"}

    @extend_schema(
        operation_id="segments_preview", request=fields.PreviewRequest, responses=fields.SegmentPreviewSchema
    )
    def post(self, request: Request) -> Response:
        """Answer count, sample, sentence, SQL and what keeping it current would cost."""
        given = fields.read_input(fields.PreviewRequest, request.data)
        asked = given.get("now")
        if asked and settings.CDP_ENV != "development":
            raise NowNotAllowed
        now = fields.read_moment(asked) if asked else timezone.now()
        found = preview(definition=given["definition"], now=now, inline=bool(asked), key=given.get("key"))
        cost = estimate_cost(definition=found.definition, now=now)
        return Response(present_preview(found, cost=cost, principal=principal_of(request)))


class SegmentMembers(APIView):
    """Lists members."""

    scopes = {"GET": "segments:read"}

    @extend_schema(
        operation_id="segments_members",
        parameters=PAGE,
        responses=fields.page_of(fields.MemberSchema, "MemberPage"),
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer one page, in the order of their profiles."""
        rows = list_members(segment=get_segment(key=key))
        page = read_page(request, fetch=fetch_from(rows, "profile_id"), key=key_from("profile_id"))
        return Response(page.body(present_members(page.rows)))


class SegmentChanges(APIView):
    """Lists entries and exits."""

    scopes = {"GET": "segments:read"}

    @extend_schema(
        operation_id="segments_changes",
        parameters=PAGE,
        responses=fields.page_of(fields.MembershipChangeSchema, "MembershipChangePage"),
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer one page, newest first."""
        rows = list_membership_changes(segment=get_segment(key=key))
        return paginate(
            request, fetch=fetch_from(rows, "-at", "-id"), key=key_from("at", "id"), present=present_membership_change
        )


class SegmentVersions(SegmentView):
    """Lists the versions of a definition."""

    scopes = {"GET": "segments:read"}

    @extend_schema(
        operation_id="segments_versions",
        parameters=PAGE,
        responses=fields.page_of(fields.SegmentVersionSchema, "SegmentVersionPage"),
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer one page, newest first."""
        rows = list_versions(segment=get_segment(key=key))
        return paginate(request, fetch=fetch_from(rows, "-version"), key=key_from("version"), present=present_version)


class SegmentOverlap(SegmentView):
    """Counts what a segment shares with others."""

    scopes = {"GET": "segments:read"}

    @extend_schema(
        operation_id="segments_overlap",
        parameters=[OpenApiParameter("with", description="Keys, separated by commas; without it, all live segments")],
        responses=fields.OverlapAnswer,
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer the shares, the largest first."""
        named = request.query_params.get("with")
        others = [part.strip() for part in named.split(",") if part.strip()] if named else None
        found = read_overlap(segment=get_segment(key=key), others=others)
        principal = principal_of(request)
        told = [
            {**one, **{name: told_size(principal, one[name]) for name in ("count", "shared")}}
            for one in within_sight(found, principal=principal)
        ]
        return Response({"results": told})


class ExplainMembership(APIView):
    """Explains why a profile is in a segment, or not."""

    scopes = {"GET": "segments:read"}

    @extend_schema(operation_id="segments_explain", responses=fields.ExplainAnswer)
    def get(self, request: Request, key: str, profile_id: str) -> Response:
        """Answer the tree of conditions, by the latest definition, at this moment."""
        person = get_by_uuid(public_id=profile_id)
        member, tree = explain_membership(
            segment=read_latest(key=key), profile_id=person.profile_id, now=timezone.now()
        )
        lines = present_tree(tree, principal=principal_of(request))
        return Response({"profile_id": person.uuid, "member": member, "tree": lines})


class ProfileSegments(APIView):
    """Lists the segments that a profile is in."""

    scopes = {"GET": "segments:read"}

    @extend_schema(
        operation_id="profiles_segments",
        parameters=PAGE,
        responses=fields.page_of(fields.ProfileSegmentSchema, "ProfileSegmentPage"),
    )
    def get(self, request: Request, profile_id: str) -> Response:
        """Answer one page, by key."""
        person = get_by_uuid(public_id=profile_id)
        rows = Membership.objects.filter(profile_id=person.profile_id).values(
            "segment_id", "segment__key", "segment__name", "since"
        )
        return paginate(
            request,
            fetch=fetch_from(rows, "segment_id"),
            key=key_from("segment_id"),
            present=lambda row: {"key": row["segment__key"], "name": row["segment__name"], "since": row["since"]},
        )
