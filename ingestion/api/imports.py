"""Imports by REST: a file in, what became of its rows out."""

from collections.abc import Mapping
from typing import Any, cast

from django.core.files.uploadedfile import UploadedFile
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.access import Principal
from cdp.core.api.json import JsonRenderer, load
from cdp.core.api.pagination import fetch_from, key_from, paginate, read_page
from cdp.core.api.principal import principal_of
from cdp.core.errors import FieldError, InvalidInput
from cdp.core.sealed_files import open_sealed
from cdp.core.services.audit import note_read
from ingestion.api import shapes
from ingestion.imports.mapping import ColumnMapping, read_mapping
from ingestion.models import Import
from ingestion.queries.imports import (
    ROW_OUTCOMES,
    csv_rows,
    get_import,
    list_imports,
    present_import,
    present_row,
    rows_from,
)
from ingestion.services.import_trial import try_import
from ingestion.services.import_undo import undo_import
from ingestion.services.imports import Upload, cancel_import, create_import, discard_upload, shape_of, upload_file

BESIDE = ("source", "delimiter", "encoding", "dry_run")


class ImportedColumn(serializers.Serializer):
    """A column of the file and the type of its first cells."""

    name = serializers.CharField()
    type = serializers.CharField()


class ImportSchema(serializers.Serializer):
    """A file on its way in, or come in; `rows` are those that are done."""

    id = serializers.CharField()
    source = serializers.CharField(allow_null=True)  # type: ignore[assignment]  # a member of that name
    status = serializers.ChoiceField(choices=Import.Status.choices)
    rows = serializers.IntegerField()
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    deleted = serializers.IntegerField()
    rejected = serializers.IntegerField()
    suppressed = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    error = serializers.CharField()
    file_name = serializers.CharField()
    format = serializers.CharField()
    encoding = serializers.CharField(allow_null=True)
    delimiter = serializers.CharField(allow_null=True)
    columns = ImportedColumn(many=True)
    mapping = serializers.DictField()
    created_at = serializers.DateTimeField()
    began_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    undone_rows = serializers.IntegerField()


class NewImport(serializers.Serializer):
    """A file and what is to become of its columns."""

    file = serializers.FileField()
    mapping = serializers.CharField(help_text="JSON: source, key, identifiers, traits, ignore, …")
    source = serializers.CharField(required=False)  # type: ignore[assignment]  # as above
    delimiter = serializers.CharField(required=False)
    encoding = serializers.CharField(required=False)
    dry_run = serializers.BooleanField(required=False)


class ImportedRow(serializers.Serializer):
    """What became of a row; `values` are those of a refused one, masked without `personal_data:read`."""

    row = serializers.IntegerField()
    outcome = serializers.ChoiceField(choices=ROW_OUTCOMES)
    code = serializers.CharField()
    detail = serializers.CharField()
    values = serializers.DictField(allow_null=True)


class Imports(APIView):
    """Lists imports, and takes a file in."""

    scope_resource = "sources"
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="imports_list",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=shapes.page_of(ImportSchema, "ImportPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, newest first."""
        return paginate(request, fetch=fetch_from(list_imports(), "-id"), key=key_from("id"), present=present_import)

    @extend_schema(
        operation_id="imports_create",
        request={"multipart/form-data": NewImport},
        responses={201: ImportSchema, 200: ImportSchema},
    )
    def post(self, request: Request) -> Response:
        """Take the file in and start it; with `dry_run` only tell what would become of its rows."""
        principal = principal_of(request)
        file, source_key, mapping, options = _read_form(request)
        upload = Upload(file.chunks(), file.name or "", options.get("delimiter", ""), options.get("encoding", ""))
        if options.get("dry_run", "").lower() in ("1", "true", "yes"):
            return Response(_try(upload, source_key, mapping, principal))
        made = create_import(
            upload=upload, source_key=source_key, mapping=mapping, actor=principal.actor, now=timezone.now()
        )
        return Response(present_import(made), status=status.HTTP_201_CREATED)


class OneImport(APIView):
    """Reads an import; cancels one that runs."""

    scope_resource = "sources"

    @extend_schema(operation_id="imports_read", responses=ImportSchema)
    def get(self, request: Request, import_id: str) -> Response:  # noqa: ARG002
        """Answer the import."""
        return Response(present_import(get_import(import_id=import_id)))


class CancelImport(APIView):
    """Stops an import where it is."""

    scopes = {"POST": "sources:write"}

    @extend_schema(operation_id="imports_cancel", request=None, responses=ImportSchema)
    def post(self, request: Request, import_id: str) -> Response:
        """Stop it; rows that are in stay in."""
        found = get_import(import_id=import_id)
        cancel_import(import_id=found.pk, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_import(get_import(import_id=import_id)))


class UndoImport(APIView):
    """Takes back what an import gave."""

    scopes = {"POST": "sources:write"}

    @extend_schema(operation_id="imports_undo", request=None, responses={202: ImportSchema})
    def post(self, request: Request, import_id: str) -> Response:
        """Begin; a worker does it."""
        found = get_import(import_id=import_id)
        undo_import(import_id=found.pk, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_import(get_import(import_id=import_id)), status=status.HTTP_202_ACCEPTED)


class CsvRenderer(JsonRenderer):
    """Lets `?format=csv` through; the rows themselves are streamed, and problems stay JSON."""

    media_type = "text/csv"
    format = "csv"


class ImportRows(APIView):
    """Lists what became of the rows of an import."""

    renderer_classes = [JsonRenderer, CsvRenderer]
    scopes = {"GET": "sources:read"}

    @extend_schema(
        operation_id="imports_rows",
        parameters=[
            OpenApiParameter("outcome", enum=ROW_OUTCOMES),
            OpenApiParameter("format", enum=["csv"], description="csv: all rows as one file"),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses={
            (200, "application/json"): shapes.page_of(ImportedRow, "ImportedRowPage"),
            (200, "text/csv"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request, import_id: str) -> Any:
        """Answer one page in the order of the file, or all rows as CSV."""
        principal = principal_of(request)
        found = get_import(import_id=import_id)
        outcome = request.query_params.get("outcome") or ""
        if outcome and outcome not in ROW_OUTCOMES:
            message = f"outcome is one of {', '.join(ROW_OUTCOMES)}."
            raise InvalidInput(message, errors=[FieldError(path="outcome", code="input.invalid", message=message)])
        if principal.sees_personal_data:
            note_read(actor=principal.actor, object=f"import:{found.pk}:rows")
        if request.query_params.get("format") == "csv":
            name = f"import-{found.pk}-rows.csv"
            headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
            lines = csv_rows(found, outcome=outcome, principal=principal)
            return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)

        fetch = rows_from(import_id=found.pk, outcome=outcome)
        page = read_page(request, fetch=fetch, key=lambda row: (row["row"],))
        return Response(page.body([present_row(row, principal) for row in page.rows]))


def _read_form(request: Request) -> tuple[UploadedFile, str, ColumnMapping, dict[str, str]]:
    # Of multipart/form-data, so never a list.
    form = cast("Mapping[str, Any]", request.data)
    file = form.get("file")
    faults = []
    if not isinstance(file, UploadedFile):
        faults.append(("file", "Send the file as the part `file` of multipart/form-data."))
    raw = form.get("mapping")
    if not isinstance(raw, str):
        faults.append(("mapping", "Send the mapping as JSON in the part `mapping`."))
    if faults or not isinstance(file, UploadedFile) or not isinstance(raw, str):
        raise InvalidInput(
            " ".join(message for _, message in faults),
            errors=[FieldError(path=path, code="input.missing", message=message) for path, message in faults],
        )
    given = load(raw.encode("utf-8", "surrogatepass"))
    options = {name: str(form[name]) for name in BESIDE if name in form}
    if isinstance(given, dict):
        # What is said beside the mapping may as well stand in it.
        options = {**{name: str(given.pop(name)) for name in BESIDE if name in given}, **options}
    if not options.get("source"):
        message = "Name the source that the rows belong to: `source`, in the mapping or beside it."
        raise InvalidInput(message, errors=[FieldError(path="source", code="input.missing", message=message)])
    return file, options["source"], read_mapping(given), options


def _try(upload: Upload, source_key: str, mapping: ColumnMapping, principal: Principal) -> dict[str, Any]:
    found = upload_file(upload=upload, actor=principal.actor, now=timezone.now())
    try:
        with open_sealed(found.file) as file:
            trial = try_import(
                file=file,
                shape=shape_of(found),
                types=found.types,
                source_key=source_key,
                mapping=mapping,
                now=timezone.now(),
            )
    finally:
        discard_upload(found)
    return {
        "dry_run": True,
        "rows": trial.rows,
        **{name: trial.counts.get(name, 0) for name in ROW_OUTCOMES},
        "faults": [{"row": number, "code": code, "detail": detail} for number, code, detail in trial.faults],
    }
