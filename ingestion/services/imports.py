"""Imports from outside: taking a file in, starting, cancelling; files never stay in the clear, and never for long."""

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from cdp.core.models import Job
from cdp.core.sealed_files import delete_sealed, open_sealed, seal_file, sealed_directory
from cdp.core.secrets import seal
from cdp.core.services import audit
from cdp.core.services.jobs import enqueue
from ingestion.errors import ImportConflict, InvalidImport, InvalidSource, UnknownImport
from ingestion.imports.mapping import ColumnMapping, check_mapping
from ingestion.imports.reading import read_sample
from ingestion.imports.shape import FileShape, detect_shape
from ingestion.models import Import, Source
from ingestion.queries.write_keys import SEALED_AS, digest_write_key
from ingestion.services.sources import is_source_key
from profiles.models import IdentifierType

Status = Import.Status
IMPORT_JOB = "ingestion.import"
UNDO_JOB = "ingestion.undo-import"
OPEN = (Status.UPLOADED, Status.QUEUED, Status.RUNNING)
# How long an upload waits for somebody to start it.
UPLOAD_DAYS = 7
PART = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way in.

    Attributes
    ----------
    chunks : iterable of bytes
        Its content.
    name : str
        As its sender calls it; for people only.
    delimiter, encoding : str
        Of a CSV, as its sender says; ``""``: found out.
    """

    chunks: Iterable[bytes]
    name: str
    delimiter: str = ""
    encoding: str = ""


def upload_file(*, upload: Upload, actor: str, now: datetime) -> Import:
    """Take a file in and find out what it is; nothing of it is imported yet.

    Raises
    ------
    InvalidImport
        If it is too large or cannot be read.
    """
    digest = hashlib.sha256()
    name, size = seal_file(_counted(upload.chunks, digest))
    with ExitStack() as unfinished:
        unfinished.callback(delete_sealed, name)
        with open_sealed(name) as file:
            shape = detect_shape(file, delimiter=upload.delimiter, encoding=upload.encoding)
            types = read_sample(file, shape).types
        with transaction.atomic():
            found = Import.objects.create(
                status=Status.UPLOADED,
                file=name,
                file_name=upload.name.replace("\0", "")[:255],
                file_bytes=size,
                file_digest=digest.digest(),
                shape=shape_json(shape),
                types=types,
                actor=actor,
                created_at=now,
            )
            audit.record(
                actor=actor,
                action="import.uploaded",
                object=f"import:{found.pk}",
                detail={"bytes": size, "format": shape.format},
                now=now,
            )
        unfinished.pop_all()
    return found


def start_import(*, import_id: int, source_key: str, mapping: ColumnMapping, actor: str, now: datetime) -> Import:
    """Start an import that was uploaded. The rows count as received now.

    Raises
    ------
    UnknownImport, ImportConflict
        There is none, or it was started before.
    InvalidImport
        The mapping does not fit the file or the source.
    """
    with transaction.atomic():
        found = lock_import(import_id)
        if found.status != Status.UPLOADED:
            message = "This import was started before. Upload the file again to import it once more."
            raise ImportConflict(message)
        check_fits(mapping, shape_of(found), source_key=source_key)
        found.source = ensure_source(key=source_key, actor=actor, now=now)
        found.mapping = mapping.as_json()
        found.status = Status.QUEUED
        found.began_at = now
        found.save(update_fields=["source", "mapping", "status", "began_at"])
        enqueue(kind=IMPORT_JOB, arguments={"import": found.pk}, now=now)
        audit.record(
            actor=actor,
            action="import.started",
            object=f"import:{found.pk}",
            detail={"source": source_key, "records": mapping.records},
            now=now,
        )
    return found


def create_import(*, upload: Upload, source_key: str, mapping: ColumnMapping, actor: str, now: datetime) -> Import:
    """Take a file in and start it; nothing stays if the mapping does not fit.

    Returns
    -------
    Import
        The new one; or the one of the same file, source and mapping that has not come to its end: it goes on where it
        stopped.
    """
    found = upload_file(upload=upload, actor=actor, now=now)
    same = Import.objects.filter(
        status__in=(Status.QUEUED, Status.RUNNING),
        source__key=source_key,
        file_digest=bytes(found.file_digest),
        mapping=mapping.as_json(),
    ).first()
    with ExitStack() as unfinished:
        unfinished.callback(discard_upload, found)
        if same is None:
            same = start_import(import_id=found.pk, source_key=source_key, mapping=mapping, actor=actor, now=now)
            unfinished.pop_all()
    return same


def cancel_import(*, import_id: int, actor: str, now: datetime) -> Import:
    """Stop an import where it is, or drop an upload. Rows that are in stay in: undoing takes them back.

    Raises
    ------
    UnknownImport, ImportConflict
        There is none, or it is over.
    """
    with transaction.atomic():
        found = lock_import(import_id)
        if found.status not in OPEN:
            message = "This import is over: there is nothing left to cancel."
            raise ImportConflict(message)
        end_import(found, status=Status.CANCELLED, now=now)
        audit.record(
            actor=actor, action="import.cancelled", object=f"import:{found.pk}", detail={"rows": found.rows}, now=now
        )
    return found


def end_import(found: Import, *, status: str, now: datetime, error: str = "") -> None:
    """Mark an import as over, in the caller's transaction; its file goes with the commit."""
    file, found.file = found.file, ""
    found.status, found.error, found.finished_at = status, error, now
    found.save(update_fields=["file", "status", "error", "finished_at"])
    transaction.on_commit(lambda: delete_sealed(file))


def expire_imports(now: datetime) -> None:
    """Drop uploads that nobody started, files that no import names, and imports whose job was given up."""
    for found in Import.objects.filter(status=Status.UPLOADED, created_at__lt=now - timedelta(days=UPLOAD_DAYS)):
        with transaction.atomic():
            end_import(
                lock_import(found.pk), status=Status.CANCELLED, now=now, error="Nobody started it within a week."
            )
    given_up = Job.objects.filter(kind=IMPORT_JOB, status=Job.Status.FAILED).values_list("arguments__import", flat=True)
    for found in Import.objects.filter(status__in=(Status.QUEUED, Status.RUNNING), pk__in=list(given_up)):
        with transaction.atomic():
            message = "It could not go on after several attempts. What came in can be undone."
            end_import(lock_import(found.pk), status=Status.FAILED, now=now, error=message)
    named = set(Import.objects.exclude(file="").values_list("file", flat=True))
    for path in sealed_directory().iterdir():
        old = datetime.fromtimestamp(path.stat().st_mtime, tz=now.tzinfo) < now - PART
        if path.is_file() and old and path.name not in named:
            path.unlink(missing_ok=True)


def check_fits(mapping: ColumnMapping, shape: FileShape, *, source_key: str) -> None:
    """Check a mapping against a file and the source.

    Raises
    ------
    InvalidSource, InvalidImport
        With every fault.
    """
    if not is_source_key(source_key):
        raise InvalidSource([("source", "The name of a source is 1 to 64 letters, digits, hyphens or underscores.")])
    if mapping.records == "messages" and not shape.messages:
        message = "Only JSON Lines in which each line is a message (type, userId or anonymousId) import as messages."
        raise InvalidImport(message)
    types = list(IdentifierType.objects.values_list("key", flat=True))
    check_mapping(mapping, columns=shape.columns, identifier_types=types)
    source = Source.objects.filter(key=source_key).first()
    if source is not None and source.required_purpose and mapping.records != "messages":
        message = (
            f"The source {source_key} stores only with consent, and a table cannot wait for it row by row. Import into "
            "a source without a required purpose."
        )
        raise InvalidImport(message)


def ensure_source(*, key: str, actor: str, now: datetime) -> Source:
    """Return the source, made for imports if there is none of this name."""
    found = Source.objects.filter(key=key).first()
    if found is not None:
        return found
    write_key = secrets.token_urlsafe(24)
    found, made = Source.objects.get_or_create(
        key=key,
        defaults={
            "name": key,
            "kind": Source.Kind.IMPORT,
            "write_key_digest": digest_write_key(write_key),
            "write_key_sealed": seal(write_key.encode(), context=SEALED_AS),
            "created_at": now,
        },
    )
    if made:
        detail = {"kind": str(Source.Kind.IMPORT)}
        audit.record(actor=actor, action="source.created", object=f"source:{key}", detail=detail, now=now)
    return found


def shape_json(shape: FileShape) -> dict[str, Any]:
    """Return a shape as it is stored."""
    return {
        "format": shape.format,
        "compressed": shape.compressed,
        "encoding": shape.encoding,
        "delimiter": shape.delimiter,
        "columns": list(shape.columns),
        "messages": shape.messages,
    }


def shape_of(found: Import) -> FileShape:
    """Return how the file of an import is read."""
    return FileShape(**{**found.shape, "columns": tuple(found.shape["columns"])})


def _counted(chunks: Iterable[bytes], digest: Any) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > settings.CDP_IMPORT_MAX_BYTES:
            limit = settings.CDP_IMPORT_MAX_BYTES // (1024 * 1024)
            message = f"The file is larger than {limit} MB (CDP_IMPORT_MAX_MB). Divide it, or pack it with gzip."
            raise InvalidImport(message)
        digest.update(chunk)
        yield chunk


def lock_import(import_id: int) -> Import:
    """Lock an import's row.

    Raises
    ------
    UnknownImport
        There is none.
    """
    found = Import.objects.select_for_update().filter(pk=import_id).first()
    if found is None:
        message = "No import has this id."
        raise UnknownImport(message)
    return found


def discard_upload(found: Import) -> None:
    """Leave nothing of an upload that came to nothing."""
    delete_sealed(found.file)
    found.delete()
