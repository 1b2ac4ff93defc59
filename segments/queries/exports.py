"""Finding exports and their schedules."""

from collections.abc import Sequence

from django.db.models import QuerySet

from cdp.core.models import Job
from segments.models import Segment
from segments.sending.errors import NoSuchExport, NoSuchSchedule
from segments.sending_models import Export, ExportSchedule


def list_exports(*, segment: str | None = None, status: str | None = None) -> QuerySet[Export]:
    """Return exports; the caller orders them."""
    rows = Export.objects.select_related("segment")
    if segment:
        rows = rows.filter(segment_key=segment)
    if status:
        rows = rows.filter(status=status)
    return rows


def get_export(*, export_id: int) -> Export:
    """Return an export.

    Raises
    ------
    NoSuchExport
        If there is none with this number.
    """
    found = Export.objects.select_related("segment").filter(pk=export_id).first()
    if found is None:
        raise NoSuchExport
    return found


def get_exported_segment(*, export_id: int) -> Segment:
    """Return the segment that an export is of.

    Raises
    ------
    NoSuchExport
        If there is no such export, or its segment is gone.
    """
    segment = get_export(export_id=export_id).segment
    if segment is None:
        raise NoSuchExport
    return segment


def list_schedules() -> QuerySet[ExportSchedule]:
    """Return all schedules; the caller orders them."""
    return ExportSchedule.objects.select_related("segment")


def get_schedule(*, schedule_id: int) -> ExportSchedule:
    """Return a schedule.

    Raises
    ------
    NoSuchSchedule
        If there is none with this number.
    """
    found = ExportSchedule.objects.select_related("segment").filter(pk=schedule_id).first()
    if found is None:
        raise NoSuchSchedule
    return found


def find_failed_jobs(*, exports: Sequence[Export]) -> dict[int, str]:
    """Return why the jobs of running exports were given up, by export id (one statement)."""
    running = {row.job_id: row.pk for row in exports if row.status == Export.Status.RUNNING and row.job_id}
    if not running:
        return {}
    failed = Job.objects.filter(pk__in=running, status=Job.Status.FAILED).values_list("pk", "error")
    return {running[job_id]: error for job_id, error in failed}
