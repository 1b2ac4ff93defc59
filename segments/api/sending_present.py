"""How REST shows exports and destinations."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings

from segments.queries.exports import find_failed_jobs
from segments.sending_models import Export, ExportSchedule


def present_exports(rows: Sequence[Export]) -> list[dict[str, Any]]:
    """Return exports; one whose job was given up has failed."""
    failed = find_failed_jobs(exports=rows)
    return [present_export(row, failed.get(row.pk, "")) for row in rows]


def present_export(row: Export, failure: str = "") -> dict[str, Any]:
    """Return an export."""
    fault = row.fault or (f"The job was given up: {failure}" if failure else "")
    return {
        "id": row.pk,
        "segment": row.segment_key,
        "schedule": row.schedule_id,
        "purpose": row.purpose,
        "channel": row.channel or None,
        "recipient": row.recipient,
        "format": row.format,
        "preset": row.preset or None,
        "columns": row.columns,
        "masked": row.masked,
        "status": Export.Status.FAILED if failure else row.status,
        "fault": fault or None,
        "members": row.members,
        "rows": row.rows,
        "skipped": row.skipped,
        "downloads": row.downloads,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
        "expires_at": row.expires_at,
        "file": f"{settings.CDP_BASE_URL}/api/v1/exports/{row.pk}/file" if row.status == Export.Status.DONE else None,
    }


def present_schedule(row: ExportSchedule) -> dict[str, Any]:
    """Return a schedule."""
    return {
        "id": row.pk,
        "name": row.name,
        "segment": row.segment.key,
        "purpose": row.purpose,
        "channel": row.channel or None,
        "recipient": row.recipient,
        "format": row.format,
        "preset": row.preset or None,
        "columns": row.columns,
        "every": row.every,
        "at": row.at.isoformat(timespec="minutes"),
        "weekday": row.weekday,
        "day": row.day,
        "timezone": row.timezone,
        "enabled": row.enabled,
        "fault": row.fault or None,
        "next_at": row.next_at,
    }
