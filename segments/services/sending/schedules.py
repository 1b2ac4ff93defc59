"""Exports that are made again and again, with the rights that whoever set them up has at that time."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any
from zoneinfo import available_timezones

from django.db import transaction

from cdp.core.access import Principal
from cdp.core.errors import CdpError, FieldError, InvalidInput
from cdp.core.queries.actors import find_principal
from cdp.core.services.audit import record
from segments.queries.segments import get_segment, installation_zone
from segments.sending.calendar import Rhythm, next_after
from segments.sending_models import ExportSchedule
from segments.services.sending.exports import NewExport, create_export
from segments.services.sending.fitting import check_fields, check_fit, fitting_columns

log = logging.getLogger("cdp.exports")

SCOPE = "segments:write"


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """An export and how often it is made; `timezone` "" is the installation's."""

    name: str
    export: NewExport
    every: str
    at: time
    weekday: int = 0
    day: int = 1
    timezone: str = ""


def create_schedule(*, new: NewSchedule, principal: Principal, now: datetime) -> ExportSchedule:
    """Set up a schedule; the first file is made at its first time.

    Raises
    ------
    NoSuchSegment, PurposeDoesNotFit, InvalidSending
        As for `create_export`.
    InvalidInput
        If there is no such time zone.
    """
    zone = new.timezone or installation_zone()
    if zone not in available_timezones():
        message = "This is not the name of a time zone, such as Europe/Berlin."
        raise InvalidInput(message, errors=[FieldError("timezone", "unknown", message)])
    asked = new.export
    segment = get_segment(key=asked.segment)
    fit = check_fit(segment=segment, purpose=asked.purpose, channel=asked.channel)
    columns = fitting_columns(preset=asked.preset, given=asked.columns)
    check_fields(segment=segment, purpose=fit.purpose, columns=columns)
    rhythm = Rhythm(new.every, new.at, zone, new.weekday, new.day)
    with transaction.atomic():
        schedule = ExportSchedule.objects.create(
            name=new.name or segment.name,
            segment=segment,
            purpose=fit.purpose,
            channel=fit.channel,
            recipient=asked.recipient,
            format=asked.format,
            preset=asked.preset,
            columns=[column.as_json() for column in columns],
            every=new.every,
            weekday=new.weekday,
            day=new.day,
            at=new.at,
            timezone=zone,
            next_at=next_after(rhythm, now),
            actor=principal.actor,
            created_at=now,
        )
        _note(schedule, "created", actor=principal.actor, now=now)
    return schedule


def switch_schedule(*, schedule: ExportSchedule, enabled: bool, principal: Principal, now: datetime) -> ExportSchedule:
    """Pause a schedule, or let it go on; whoever lets it go on is the one whose rights count from then on."""
    with transaction.atomic():
        held = ExportSchedule.objects.select_for_update().select_related("segment").get(pk=schedule.pk)
        if held.enabled != enabled:
            held.enabled, held.fault = enabled, ""
            held.next_at = next_after(rhythm_of(held), now) if enabled else None
            if enabled:
                held.actor = principal.actor
            held.save(update_fields=["enabled", "fault", "next_at", "actor"])
            _note(held, "resumed" if enabled else "paused", actor=principal.actor, now=now)
    return held


def delete_schedule(*, schedule: ExportSchedule, actor: str, now: datetime) -> None:
    """Delete a schedule; the files that it made stay until their time is up."""
    with transaction.atomic():
        _note(schedule, "deleted", actor=actor, now=now)
        schedule.delete()


def make_due_exports(*, now: datetime) -> int:
    """Begin the exports that are due and return how many schedules were due.

    One that was missed, because nothing ran, is made once and not for each time that was missed.
    """
    done = 0
    while _make_one(now=now):
        done += 1
    return done


def _make_one(*, now: datetime) -> bool:
    with transaction.atomic():
        due = ExportSchedule.objects.select_for_update(skip_locked=True, of=("self",)).select_related("segment")
        schedule = due.filter(enabled=True, next_at__lte=now).order_by("next_at", "pk").first()
        if schedule is None:
            return False
        schedule.next_at = next_after(rhythm_of(schedule), now)
        principal = find_principal(actor=schedule.actor, now=now)
        if principal is None or not principal.may(SCOPE):
            _stop(schedule, "Whoever set it up may no longer export.", now=now)
            return True
        schedule.fault = ""
        try:
            with transaction.atomic():
                create_export(new=_asked(schedule), principal=principal, now=now, schedule=schedule)
        except CdpError as error:
            # The segment may be a draft again, or made for another purpose: the next time is waited for.
            schedule.fault = error.message
            log.warning("a scheduled export could not be made", extra={"schedule": schedule.pk, "code": error.code})
        schedule.save(update_fields=["next_at", "fault"])
    return True


def rhythm_of(schedule: ExportSchedule) -> Rhythm:
    """Return when a schedule is due."""
    return Rhythm(schedule.every, schedule.at, schedule.timezone, schedule.weekday, schedule.day)


def _asked(schedule: ExportSchedule) -> NewExport:
    columns: Sequence[Any] = schedule.columns if not schedule.preset else ()
    return NewExport(
        segment=schedule.segment.key,
        format=schedule.format,
        preset=schedule.preset,
        columns=columns,
        purpose=schedule.purpose,
        channel=schedule.channel,
        recipient=schedule.recipient,
    )


def _stop(schedule: ExportSchedule, fault: str, *, now: datetime) -> None:
    schedule.enabled, schedule.fault, schedule.next_at = False, fault, None
    schedule.save(update_fields=["enabled", "fault", "next_at"])
    _note(schedule, "stopped", actor="system", now=now)


def _note(schedule: ExportSchedule, done: str, *, actor: str, now: datetime) -> None:
    detail = {"segment": schedule.segment.key, "every": schedule.every}
    record(
        actor=actor, action=f"export_schedule.{done}", object=f"export_schedule:{schedule.pk}", detail=detail, now=now
    )
