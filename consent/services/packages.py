"""Copies of a person's data: made from every store, sealed on disk, handed out once, gone afterwards.

References
----------
GDPR Art. 15(3) and Art. 20.
"""

import hashlib
import secrets
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from io import BufferedReader
from typing import IO, Any, cast
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone

from cdp.core import registries
from cdp.core.api.json import dump
from cdp.core.locks import IDENTITY, take
from cdp.core.models import Job
from cdp.core.registries import Subject
from cdp.core.sealed_files import SealedWriter, delete_sealed, open_sealed
from cdp.core.services.audit import record
from cdp.core.services.jobs import enqueue
from cdp.core.spreadsheets import csv_lines
from consent import life
from consent.copies.manifest import Part, make_manifest
from consent.copies.tables import as_tables, flatten
from consent.copies.words import COPY
from consent.errors import NoPackage, PackageGone, RequestTakenOver
from consent.models import PrivacyRequest
from consent.queries.copies import PROVIDED, describe_processing
from consent.queries.links import digest_token
from consent.request_models import Package
from consent.services.closure import find_closure
from consent.services.details import read_details
from consent.services.letters import send_letter
from profiles.queries.people import name_identifier

JOB = "consent.package"
TOKEN_BYTES = 32
KEPT_DAYS = 14
# A page that lists a million events opens nowhere; the JSON beside it has them all.
ROWS_IN_PAGE = 500


class Hashing:
    """What a ZIP is written to: seals it, and hashes what went through."""

    def __init__(self, writer: SealedWriter) -> None:
        self._writer = writer
        self._hash = hashlib.sha256()

    def write(self, chunk: bytes) -> int:
        """Take a piece."""
        self._hash.update(chunk)
        self._writer.write(bytes(chunk))
        return len(chunk)

    def flush(self) -> None:
        """Do nothing: the writer has its own pieces."""

    def hexdigest(self) -> str:
        """Return the digest of the whole."""
        return self._hash.hexdigest()


def make_package(*, request: PrivacyRequest, keep_alive: Callable[[], None], now: datetime) -> int:
    """Write all that the stores hold about the person into one sealed file, and tell them where it is.

    An earlier package of the request goes.

    Parameters
    ----------
    keep_alive : callable
        Called between the stores.

    Returns
    -------
    int
        How many entries it lists.

    Raises
    ------
    RequestTakenOver
        While the person is being erased, also if that began meanwhile: nothing is left of the package.
    """
    subject = _find_subject(request)
    if _is_being_erased(request, subject):
        raise RequestTakenOver
    wanted = [store for store in registries.personal_data if _is_part(store.name, request)]
    writer = SealedWriter()
    package = Package.objects.create(
        request=request, stored=writer.name, size=0, created_at=now, expires_at=now, manifest={}
    )
    out = Hashing(writer)
    with zipfile.ZipFile(cast("IO[bytes]", out), "w", zipfile.ZIP_DEFLATED) as archive:
        exported: dict[str, Mapping[str, Any]] = {}
        for store in wanted:
            keep_alive()
            exported[store.name] = store.export(subject=subject)
        parts = list(_write_parts(archive, request=request, subject=subject, exported=exported, now=now))
        keep_alive()
        manifest = make_manifest(
            request_id=str(request.pk), type=request.type, made_at=now, parts=parts, ids=subject.uuids
        )
        archive.writestr("manifest.json", dump(manifest))
    is_whole = _close(writer)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with transaction.atomic():
        with connection.cursor() as cursor:
            take(cursor, IDENTITY)
        is_there = is_whole and _is_still_there(package, request=request, subject=subject)
        if is_there:
            forget_packages(request_ids=[request.pk], but=package.pk)
            package.size, package.sha256 = writer.size, out.hexdigest()
            # The ids stay in the file: this row outlives the person's erasure.
            package.manifest = {**manifest, "profiles": len(subject.uuids), "made_at": now.isoformat()}
            package.token_digest = digest_token(token)
            package.expires_at = now + timedelta(days=KEPT_DAYS)
            package.save()
            if read_details(request=request).contact:
                from_here = package_link(token)
                send_letter(request=request, kind="package", actor="system", now=now, link=from_here, days=KEPT_DAYS)
    if not is_there:
        _delete_files([package])
        raise RequestTakenOver
    return sum(part.rows for part in parts if part.name == "data.json")


def remake_package(*, request_id: str, actor: str, now: datetime) -> None:
    """Make the package of a request again, by a job: it was taken and lost, or its time was up.

    Raises
    ------
    NoPackage
        If none was made before, or whom it was about is erased.
    """
    with transaction.atomic():
        request = PrivacyRequest.objects.filter(id=request_id).first()
        if request is None or not request.identities or not Package.objects.filter(request=request).exists():
            raise NoPackage
        enqueue(kind=JOB, arguments={"request": str(request.pk)}, now=now)
        record(actor=actor, action="privacy_request.package_remade", object=f"privacy_request:{request.pk}", now=now)


def run_remaking(job: Job) -> bool:
    """Make a package anew (`cdp.core.registries.job_handlers_outside_transaction`)."""
    request = PrivacyRequest.objects.filter(id=job.arguments["request"]).first()
    if request is not None and request.identities:
        make_package(request=request, keep_alive=lambda: None, now=timezone.now())
    return True


def package_link(token: str) -> str:
    """Return the address at which the person takes their copy."""
    return f"{settings.CDP_BASE_URL}/packages/{token}"


def find_package(*, request_id: UUID, now: datetime) -> Package | None:
    """Return the package of a request that can still be taken."""
    rows = Package.objects.filter(request_id=request_id, taken_at=None, size__gt=0, expires_at__gt=now)
    return rows.exclude(stored="").order_by("-id").first()


def get_by_token(*, token: str, now: datetime) -> Package:
    """Return the package that a person's link leads to.

    Raises
    ------
    PackageGone
        If there is none, or it was taken or is too old: which of these, nobody is told.
    """
    rows = Package.objects.filter(token_digest=digest_token(token), taken_at=None, expires_at__gt=now)
    found = rows.exclude(stored="").first()
    if found is None:
        raise PackageGone
    return found


def take_package(*, request_id: UUID, actor: str, now: datetime) -> tuple[Package, BufferedReader]:
    """Hand the package of a request out; it works once.

    Returns
    -------
    (Package, BufferedReader)
        The file is gone from the disk already: what is read is its last trace.

    Raises
    ------
    NoPackage
        If none was made, because the request is not there yet or of another kind.
    PackageGone
        If it was taken or its time is up.
    """
    with transaction.atomic():
        if not Package.objects.filter(request_id=request_id, size__gt=0).exists():
            raise NoPackage
        package = find_package(request_id=request_id, now=now)
        if package is None:
            raise PackageGone
        return package, _take(package, actor=actor, now=now)


def take_by_token(*, token: str, now: datetime) -> tuple[Package, BufferedReader]:
    """Hand a package out to the person; as `take_package`."""
    with transaction.atomic():
        package = get_by_token(token=token, now=now)
        return package, _take(package, actor="subject", now=now)


def forget_packages(*, request_ids: Collection[UUID], but: int = 0) -> int:
    """Delete the files of requests, and say how many there were."""
    rows = Package.objects.filter(request_id__in=request_ids).exclude(stored="").exclude(pk=but)
    return _delete_files(list(rows))


def delete_old_packages(now: datetime) -> None:
    """Delete files whose time is up; also those that a worker began and never finished."""
    started = now - timedelta(days=1)
    old = Package.objects.filter(expires_at__lte=now).exclude(stored="").exclude(size=0, created_at__gt=started)
    _delete_files(list(old))


def _take(package: Package, *, actor: str, now: datetime) -> BufferedReader:
    # Of two at once the second waits here, and finds it taken.
    if not Package.objects.filter(pk=package.pk, taken_at=None).update(taken_at=now, taken_by=actor, stored=""):
        raise PackageGone
    reader = open_sealed(package.stored)
    delete_sealed(package.stored)
    record(
        actor=actor,
        action="privacy_request.package_taken",
        object=f"privacy_request:{package.request_id}",
        detail={"sha256": package.sha256},
        now=now,
    )
    return reader


def _delete_files(packages: list[Package]) -> int:
    for package in packages:
        delete_sealed(package.stored)
        delete_sealed(f"{package.stored}.part")
    Package.objects.filter(pk__in=[package.pk for package in packages]).update(stored="")
    return len(packages)


def _find_subject(request: PrivacyRequest) -> Subject:
    with transaction.atomic():
        with connection.cursor() as cursor:
            take(cursor, IDENTITY)
        return find_closure(identities=[name_identifier(**one) for one in request.identities]).subject


def _close(writer: SealedWriter) -> bool:
    """Finish the file; False if an erasure has deleted it."""
    try:
        writer.close()
    except FileNotFoundError:
        return False
    return True


def _is_still_there(package: Package, *, request: PrivacyRequest, subject: Subject) -> bool:
    """Tell whether nobody has begun to erase the person since the package was begun. The caller holds `IDENTITY`.

    An erasure takes this lock for each of its steps: one that begins later finds the package, and deletes it.
    """
    if not Package.objects.filter(pk=package.pk).exclude(stored="").exists():
        return False
    again = find_closure(identities=[name_identifier(**one) for one in request.identities]).subject
    if subject.profile_ids and not again.profile_ids:
        return False
    return not _is_being_erased(request, subject) and not _is_being_erased(request, again)


def _is_being_erased(request: PrivacyRequest, subject: Subject) -> bool:
    """Tell whether an erasure of the person has begun and is not over."""
    named = Q(profile_ids__overlap=list(subject.profile_ids))
    for one in request.identities:
        named |= Q(identities__contains=[one])
    erasures = PrivacyRequest.objects.filter(type=PrivacyRequest.Type.ERASURE, status__in=life.MOVING)
    return erasures.filter(named, closure__isnull=False).exists()


def _is_part(store: str, request: PrivacyRequest) -> bool:
    return request.type == PrivacyRequest.Type.ACCESS or store in PROVIDED


def _write_parts(
    archive: zipfile.ZipFile,
    *,
    request: PrivacyRequest,
    subject: Subject,
    exported: Mapping[str, Mapping[str, Any]],
    now: datetime,
) -> Iterator[Part]:
    processing = describe_processing(profile_ids=subject.profile_ids)
    tables = {name: rows for store in exported.values() for name, rows in as_tables(store).items()}
    count = sum(len(rows) for rows in tables.values())
    yield _write(archive, "data.json", dump({"data": exported, "processing": processing}), rows=count)
    pages = []
    words = COPY.get(request.language, COPY["en"])
    for name, rows in tables.items():
        header, cells = flatten(rows)
        if rows:
            yield _write(archive, f"csv/{name}.csv", "".join(csv_lines(header, cells)).encode(), rows=len(rows))
        shown = [[_shown(cell) for cell in row] for row in cells[:ROWS_IN_PAGE]]
        first = words.first.format(shown=len(shown), count=len(rows)) if len(rows) > len(shown) else ""
        heading = words.table(name)
        pages.append({"heading": heading, "count": len(rows), "header": header, "rows": shown, "first": first})
    page = render_to_string(
        "consent/copy.html",
        {
            "words": words,
            "made": words.made.format(at=f"{now.astimezone(UTC):%Y-%m-%d %H:%M}", number=request.pk),
            "tables": pages,
            "purposes": [{**one, "basis": words.basis(one["legal_basis"])} for one in processing["purposes"]],
            "processing": processing,
        },
    )
    yield _write(archive, "read-me.html", page.encode(), rows=len(pages))


def _write(archive: zipfile.ZipFile, name: str, content: bytes, *, rows: int) -> Part:
    archive.writestr(name, content)
    return Part(name=name, rows=rows, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _shown(cell: Any) -> str:
    return cell if isinstance(cell, str) else "" if cell is None else dump(cell).decode()
