"""Tables of consents by REST."""

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from consent.api import asking_fields, fields
from consent.api.present import present_consent_import, present_consent_import_row
from consent.queries.importing import get_consent_import, list_consent_imports, list_import_rows
from consent.services.importing import NewImport, start_import


class ConsentImports(APIView):
    """Lists imports of consents, and takes a table in."""

    scope_resource = "consents"
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="consent_imports_list",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=fields.page_of(asking_fields.ConsentImportSchema, "ConsentImportPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, newest first."""
        rows = list_consent_imports()
        return paginate(request, fetch=fetch_from(rows, "-id"), key=key_from("id"), present=present_consent_import)

    @extend_schema(
        operation_id="consent_imports_create",
        request={"multipart/form-data": asking_fields.NewConsentImport},
        responses={202: asking_fields.ConsentImportSchema},
    )
    def post(self, request: Request) -> Response:
        """Take a table in; a worker reads it."""
        given = fields.read_input(asking_fields.NewConsentImport, request.data)
        new = NewImport(
            preset=given["preset"],
            actor=principal_of(request).actor,
            chunks=given["file"].chunks(),
            purposes=given.get("purposes") or {},
            purpose=given.get("purpose", ""),
        )
        made = start_import(new=new, now=timezone.now())
        return Response(present_consent_import(made), status=status.HTTP_202_ACCEPTED)


class OneConsentImport(APIView):
    """Tells how far an import of consents is."""

    scopes = {"GET": "consents:read"}

    @extend_schema(operation_id="consent_imports_read", responses=asking_fields.ConsentImportSchema)
    def get(self, request: Request, import_id: int) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the import."""
        return Response(present_consent_import(get_consent_import(import_id=import_id)))


class ConsentImportRows(APIView):
    """Tells what became of the rows of a table."""

    scopes = {"GET": "consents:read"}

    @extend_schema(
        operation_id="consent_imports_rows",
        parameters=[
            OpenApiParameter("outcome", description="recorded, unchanged, conflict or rejected"),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses=fields.page_of(asking_fields.ConsentImportRowSchema, "ConsentImportRowPage"),
    )
    def get(self, request: Request, import_id: int) -> Response:
        """Answer one page, in the order of the table."""
        rows = list_import_rows(import_id=import_id, outcome=request.query_params.get("outcome", ""))
        return paginate(request, fetch=fetch_from(rows, "id"), key=key_from("id"), present=present_consent_import_row)
