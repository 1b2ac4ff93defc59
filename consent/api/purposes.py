"""Purposes and notices by REST."""

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from cdp.core.queries.rights import rows_within_rights
from consent.api import fields
from consent.api.present import present_notice, present_purpose
from consent.models import Purpose
from consent.queries.purposes import get_purpose, list_notices, list_purposes
from consent.services.purposes import change_purpose, create_notice, create_purpose


class Purposes(APIView):
    """Lists purposes, and creates one."""

    scope_resource = "consents"

    def permission_rows(self) -> QuerySet[Purpose]:
        """Return the purposes that the person may see."""
        return rows_within_rights(list_purposes(), principal=principal_of(self.request), scope="consents:read")

    @extend_schema(operation_id="purposes_list", responses=fields.page_of(fields.PurposeSchema, "PurposePage"))
    def get(self, request: Request) -> Response:
        """Answer one page, by key."""
        rows = self.permission_rows()
        return paginate(request, fetch=fetch_from(rows, "key"), key=key_from("key"), present=present_purpose)

    @extend_schema(
        operation_id="purposes_create",
        request=fields.NewPurpose,
        responses={201: fields.PurposeSchema, 200: fields.PurposeSchema},
    )
    def post(self, request: Request) -> Response:
        """Create a purpose; the same again answers 200."""
        given = fields.read_input(fields.NewPurpose, request.data)
        key = given.pop("key")
        given.setdefault("name", key)
        purpose, created = create_purpose(key=key, fields=given, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_purpose(purpose), status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)


class OnePurpose(APIView):
    """Reads and changes a purpose."""

    scope_resource = "consents"

    def permission_object(self) -> Purpose:
        """Return the purpose, on which a person may have a right of their own."""
        return get_purpose(key=self.kwargs["key"])

    @extend_schema(operation_id="purposes_read", responses=fields.PurposeSchema)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the purpose."""
        return Response(present_purpose(get_purpose(key=key)))

    @extend_schema(operation_id="purposes_change", request=fields.PurposeFields, responses=fields.PurposeSchema)
    def patch(self, request: Request, key: str) -> Response:
        """Change what is given."""
        given = fields.read_input(fields.PurposeFields, request.data, partial=True)
        purpose = change_purpose(key=key, fields=given, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_purpose(purpose))


class Notices(APIView):
    """Lists versions of notices, and makes one."""

    scope_resource = "consents"

    @extend_schema(
        operation_id="notices_list",
        parameters=[
            OpenApiParameter("key"),
            OpenApiParameter("language"),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses=fields.page_of(fields.NoticeSchema, "NoticePage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, newest first."""
        rows = list_notices()
        for name in ("key", "language"):
            if request.query_params.get(name):
                rows = rows.filter(**{name: request.query_params[name]})
        return paginate(request, fetch=fetch_from(rows, "-id"), key=key_from("id"), present=present_notice)

    @extend_schema(
        operation_id="notices_create",
        request=fields.NewNotice,
        responses={201: fields.NoticeSchema, 200: fields.NoticeSchema},
    )
    def post(self, request: Request) -> Response:
        """Make a version; the text of the latest version again answers 200."""
        given = fields.read_input(fields.NewNotice, request.data)
        notice, created = create_notice(**given, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_notice(notice), status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)
