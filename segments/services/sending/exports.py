"""Exports: files made from the members of a segment, row by row through the gate, twice.

First when the file is made: a job takes some thousand members at a time, asks the gate for each thousand right before
they are written, and seals them. Then again when it is fetched: each thousand is judged as it goes out, so that
whoever withdrew, was restricted or erased meanwhile is not in it. Only then is it entered as disclosed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from cdp.core.access import Principal, mask
from cdp.core.locks import IDENTITY, take
from cdp.core.models import Job
from cdp.core.sealed_files import delete_sealed
from cdp.core.services.audit import record
from cdp.core.services.jobs import enqueue
from consent.disclosure_models import DisclosureTerms
from consent.services.disclosures import Terms
from consent.services.recipients import IN_HOUSE
from segments.models import Membership, Segment
from segments.queries.segments import get_segment
from segments.sending.columns import Column, read_columns, values_of
from segments.sending.errors import ExportExpired, ExportHidden, ExportNotReady, SegmentNotLive
from segments.sending_models import Export, ExportPart, ExportSchedule
from segments.services.sending import filing
from segments.services.sending.fitting import check_fields, check_fit, fitting_columns
from segments.services.sending.gated import disclose, judge, release

KIND = "segments.export"
BATCH = 1_000
# Members that one step of the job takes: about a second of work, and the size of what erasure writes again.
STEP = 5_000
Status = Export.Status
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class NewExport:
    """What is asked for. Purpose and channel default to the segment's; columns to those of the preset."""

    segment: str
    format: str = Export.Format.CSV
    preset: str = ""
    columns: Sequence[Any] = ()
    purpose: str = ""
    channel: str = ""
    recipient: str = ""


def create_export(
    *, new: NewExport, principal: Principal, now: datetime, schedule: ExportSchedule | None = None
) -> Export:
    """Begin an export; a job makes the file.

    Raises
    ------
    NoSuchSegment, SegmentNotLive
        If there is nobody to export.
    PurposeDoesNotFit, FieldNotCovered, UnknownPurpose, UnknownChannel
        If no purpose is given, or not one that fits the segment and the fields.
    InvalidSending
        If the columns cannot be read.
    """
    segment = get_segment(key=new.segment)
    if segment.status != Segment.Status.LIVE:
        raise SegmentNotLive(segment.key)
    fit = check_fit(segment=segment, purpose=new.purpose, channel=new.channel)
    columns = fitting_columns(preset=new.preset, given=new.columns)
    check_fields(segment=segment, purpose=fit.purpose, columns=columns)
    with transaction.atomic():
        export = Export.objects.create(
            segment=segment,
            segment_key=segment.key,
            schedule=schedule,
            purpose=fit.purpose,
            channel=fit.channel,
            recipient=new.recipient or IN_HOUSE,
            format=new.format,
            preset=new.preset,
            columns=[column.as_json() for column in columns],
            masked=not principal.sees_personal_data,
            members=max(segment.member_count, 0),
            actor=principal.actor,
            created_at=now,
            expires_at=now + timedelta(days=settings.CDP_EXPORT_DAYS),
        )
        job = enqueue(kind=KIND, arguments={"export": export.pk}, now=now)
        Export.objects.filter(pk=export.pk).update(job_id=job.pk)
        export.job_id = job.pk
        detail = {"segment": segment.key, "purpose": fit.purpose, "channel": fit.channel, "columns": len(columns)}
        record(actor=principal.actor, action="export.created", object=f"export:{export.pk}", detail=detail, now=now)
    return export


def write_part(job: Job) -> bool:
    """Take the next members of a running export; True once there are no more (a step of the job)."""
    export = Export.objects.select_related("segment").filter(pk=job.arguments["export"]).first()
    if export is None or export.status != Status.RUNNING:
        return True
    now = timezone.now()
    segment = export.segment
    if segment is None or segment.status != Segment.Status.LIVE:
        _finish(export, Status.FAILED, fault="The segment is no longer live.", now=now)
        return True
    taken = list(
        Membership.objects.filter(segment=segment, profile_id__gt=export.last_profile_id)
        .order_by("profile_id")
        .values_list("profile_id", flat=True)[:STEP]
    )
    if not taken:
        _finish(export, Status.DONE, now=now)
        return True
    columns = read_columns(export.columns)
    skipped: Counter[str] = Counter(export.skipped)
    rows: list[filing.Row] = []
    for ids in in_batches(taken):
        rows.extend(_released_rows(export, columns, ids, skipped))
    kept = _keep_part(export, rows, skipped, now=now)
    # An erasure may have taken rows out of earlier parts meanwhile.
    Export.objects.filter(pk=export.pk).update(
        kinds=filing.note_kinds(export.kinds, kept),
        skipped=dict(skipped),
        rows=F("rows") + len(kept),
        last_profile_id=taken[-1],
    )
    return False


def open_file(*, export: Export, principal: Principal, now: datetime) -> Iterator[bytes]:
    """Return the file of an export, to be sent piece by piece; each piece passes the gate as it is read.

    Raises
    ------
    ExportNotReady, ExportExpired
        If there is no file yet, or no longer.
    ExportHidden
        If it shows what the caller may not see.
    """
    if export.status in {Status.RUNNING, Status.FAILED}:
        raise ExportNotReady("The file is not ready." if export.status == Status.RUNNING else export.fault)
    if export.status == Status.EXPIRED or export.expires_at <= now:
        raise ExportExpired
    columns = read_columns(export.columns)
    if not export.masked and not principal.sees_personal_data and any(column.is_open for column in columns):
        raise ExportHidden
    with transaction.atomic():
        Export.objects.filter(pk=export.pk).update(downloads=F("downloads") + 1)
        record(actor=principal.actor, action="export.fetched", object=f"export:{export.pk}", now=now)
    header = [column.name for column in columns]
    batches = _going_out(export, columns, actor=principal.actor)
    if export.format == Export.Format.PARQUET:
        return filing.write_parquet(header=header, kinds=export.kinds, batches=batches)
    return filing.write_csv(header=header, batches=batches)


def delete_export(*, export: Export, actor: str, now: datetime) -> None:
    """Delete an export with its file; a running one stops."""
    with transaction.atomic():
        Export.objects.select_for_update().filter(pk=export.pk).first()
        _delete_parts(list(ExportPart.objects.filter(export_id=export.pk)))
        record(actor=actor, action="export.deleted", object=f"export:{export.pk}", now=now)
        Export.objects.filter(pk=export.pk).delete()


def expire_exports(now: datetime) -> None:
    """Delete the files whose time is up (each hour)."""
    due = list(Export.objects.filter(expires_at__lte=now).exclude(status=Status.EXPIRED).values_list("pk", flat=True))
    for export_id in due:
        with transaction.atomic():
            _delete_parts(list(ExportPart.objects.filter(export_id=export_id)))
            Export.objects.filter(pk=export_id).update(status=Status.EXPIRED, finished_at=now)


def remove_from_parts(*, parts: Sequence[ExportPart], profile_ids: Sequence[int]) -> int:
    """Write parts again without some people; return how many rows went."""
    gone = 0
    chosen = frozenset(profile_ids)
    for part in parts:
        with transaction.atomic():
            held = ExportPart.objects.select_for_update().filter(pk=part.pk).first()
            if held is None:
                continue
            stored, left = filing.seal_without(held.stored, chosen)
            old = held.stored
            gone += held.rows - left
            Export.objects.filter(pk=held.export_id).update(rows=F("rows") - (held.rows - left))
            if stored:
                ExportPart.objects.filter(pk=held.pk).update(stored=stored, rows=left)
            else:
                held.delete()
            _delete_on_commit([old])
    return gone


def _released_rows(
    export: Export, columns: Sequence[Column], ids: Sequence[int], skipped: Counter[str]
) -> list[filing.Row]:
    released = release(profile_ids=ids, purpose=export.purpose, channel=export.channel or None, now=timezone.now())
    skipped.update(released.skipped)
    hide = mask if export.masked else None
    return [(one, values_of(released.people[one], columns, hide=hide)) for one in released.ids]


def _keep_part(
    export: Export, rows: Sequence[filing.Row], skipped: Counter[str], *, now: datetime
) -> Sequence[filing.Row]:
    """Keep rows as a part, and return those that were kept: not of people whose erasure has begun since they were read.

    The lock is what an erasure takes for each of its steps. Whoever it began with before is left out here; of whom it
    begins with afterwards, it finds the part.
    """
    if not rows:
        return rows
    with ExitStack() as unfinished:
        stored = filing.seal_rows(rows)
        unfinished.callback(delete_sealed, stored)
        with connection.cursor() as cursor:
            take(cursor, IDENTITY)
        ids = [row[0] for row in rows]
        judged = judge(profile_ids=ids, purpose=export.purpose, channel=export.channel or None, now=now)
        if judged.refused:
            skipped.update(judged.skipped)
            allowed = set(judged.ids)
            rows = [row for row in rows if row[0] in allowed]
            unfinished.close()
            if not rows:
                return rows
            stored = filing.seal_rows(rows)
            unfinished.callback(delete_sealed, stored)
        ExportPart.objects.create(
            export=export, first_profile_id=rows[0][0], last_profile_id=rows[-1][0], rows=len(rows), stored=stored
        )
        unfinished.pop_all()
    return rows


def _going_out(export: Export, columns: Sequence[Column], *, actor: str) -> Iterator[list[filing.Row]]:
    """Yield the rows as they may go out at this very moment, entered as disclosed before they do."""
    terms = terms_of(export, columns, actor=actor)
    for batch in in_batches(_kept_rows(export.pk)):
        now = timezone.now()
        with transaction.atomic():
            judged = judge(
                profile_ids=[row[0] for row in batch], purpose=export.purpose, channel=export.channel or None, now=now
            )
            disclose(profile_ids=judged.ids, terms=terms, reference=f"export:{export.pk}", at=now)
        allowed = set(judged.ids)
        yield [row for row in batch if row[0] in allowed]


def _kept_rows(export_id: int) -> Iterator[filing.Row]:
    parts = ExportPart.objects.filter(export_id=export_id).order_by("first_profile_id", "pk")
    for part_id in list(parts.values_list("pk", flat=True)):
        # Read when its turn comes: an erasure may have written it again, or taken it away.
        stored = ExportPart.objects.filter(pk=part_id).values_list("stored", flat=True).first()
        if stored:
            yield from filing.read_rows(stored)


def in_batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield lists of at most `BATCH` items."""
    source = iter(items)
    while batch := list(islice(source, BATCH)):
        yield batch


def terms_of(export: Export, columns: Sequence[Column], *, actor: str) -> Terms:
    """Return what the register of disclosures says of an export."""
    return Terms(
        kind=DisclosureTerms.Kind.EXPORT,
        recipient=export.recipient,
        purpose=export.purpose,
        channel=export.channel or None,
        fields=tuple(sorted({named(column) for column in columns})),
        actor=actor,
    )


def named(column: Column) -> str:
    """Return how the register names a column."""
    return f"{column.source} (hashed)" if column.transform.startswith("hash_") else column.source


def _finish(export: Export, status: str, *, now: datetime, fault: str = "") -> None:
    export.status, export.fault, export.finished_at = status, fault, now
    export.save(update_fields=["status", "fault", "finished_at"])
    detail: Mapping[str, Any] = {"rows": export.rows, "skipped": export.skipped}
    record(actor="system", action=f"export.{status}", object=f"export:{export.pk}", detail=detail, now=now)


def _delete_parts(parts: Sequence[ExportPart]) -> None:
    ExportPart.objects.filter(pk__in=[part.pk for part in parts]).delete()
    _delete_on_commit([part.stored for part in parts])


def _delete_on_commit(stored: Sequence[str]) -> None:
    def delete() -> None:
        for name in stored:
            delete_sealed(name)

    transaction.on_commit(delete)
