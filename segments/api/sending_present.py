"""How REST shows exports and destinations."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings

from segments.queries.destinations import Going, read_going, read_state
from segments.queries.exports import find_failed_jobs
from segments.sending_models import DeliveryRecord, Destination, Export, ExportSchedule


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


def present_destinations(rows: Sequence[Destination], *, now: datetime) -> list[dict[str, Any]]:
    """Return destinations and how they go, in a constant number of statements."""
    going = read_going(destinations=rows, today=now.date())
    return [present_destination(row, going[row.pk], now=now) for row in rows]


def present_destination(row: Destination, going: Going, *, now: datetime) -> dict[str, Any]:
    """Return a destination; of its secrets the names."""
    return {
        "key": row.key,
        "name": row.name,
        "recipient": row.recipient,
        "segment": row.segment.key,
        "kind": row.kind,
        "purpose": row.purpose,
        "channel": row.channel,
        "columns": row.columns,
        "request": row.request,
        "removal": row.removal,
        "secrets": row.secret_names,
        "people_per_request": row.people_per_request,
        "send_entered": row.send_entered,
        "send_left": row.send_left,
        "enabled": row.enabled,
        "state": read_state(row, now=now),
        "disabled_reason": row.disabled_reason or None,
        "failures": row.failures,
        "retry_at": row.retry_at,
        "last_at": row.last_at,
        "last_status": row.last_status,
        "last_reason": row.last_reason or None,
        "waiting": going.waiting + going.sending,
        "dead": going.dead,
        "activated": going.activated,
        "sent": going.sent,
        "skipped": going.skipped,
        "created_at": row.created_at,
    }


def present_record(row: DeliveryRecord) -> dict[str, Any]:
    """Return a line of the delivery log."""
    return {
        "id": row.pk,
        "profile_id": str(row.profile_uuid) if row.profile_uuid else None,
        "kind": row.kind or None,
        "outcome": row.outcome,
        "reason": row.reason or None,
        "status": row.status,
        "took_ms": row.took_ms,
        "attempt": row.attempt,
        "at": row.at,
    }
