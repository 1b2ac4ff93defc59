"""Telling people: what is due at a look goes out as one notice to each channel, and not more often than each quarter.

An alert that follows from another open one (`find_cause`) is not told; nor one that is muted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db.models import Q

from cdp.core.services.jobs import enqueue
from cdp.core.services.mail import queue_mail
from ingestion.alert_models import Alert, AlertChannel, AlertCheck, AlertNotice
from ingestion.alerting.episodes import OPEN, RESOLVED, find_cause
from ingestion.alerting.telling import Told, mail_text, subject_line, webhook_data
from ingestion.queries.alerts import list_mutes, subject_of, tell_alert
from ingestion.queries.sources import read_source_keys
from ingestion.queries.watch import Rules

JOB = "ingestion.deliver-notice"
BETWEEN_NOTICES = timedelta(minutes=15)
REMIND_AFTER = timedelta(hours=24)
TOLD_OPEN, TOLD_END = "opened", "ended"
EVENT_TYPE, TEST_TYPE = "alerts.changed", "alerts.test"


@dataclass(slots=True)
class Due:
    """What people have to be told."""

    opened: list[Alert] = field(default_factory=list)
    still: list[Alert] = field(default_factory=list)
    ended: list[Alert] = field(default_factory=list)
    quietly: list[Alert] = field(default_factory=list)

    @property
    def told(self) -> list[Alert]:
        """All that a notice would tell."""
        return [*self.opened, *self.still, *self.ended]


def announce(*, state: AlertCheck, rules: Rules, now: datetime) -> int:
    """Write the notices that are due, in the caller's transaction, and return how many.

    Parameters
    ----------
    state : AlertCheck
        `noticed_at` is set when something is told; the caller saves it.
    """
    due = find_due(now=now)
    for alert in due.quietly:
        alert.announced, alert.announced_at = TOLD_END, now
    Alert.objects.bulk_update(due.quietly, ["announced", "announced_at"])
    told = due.told
    waits = state.noticed_at is not None and timedelta(0) <= now - state.noticed_at < BETWEEN_NOTICES
    channels = list(AlertChannel.objects.filter(enabled=True).order_by("pk")) if told and not waits else []
    if not channels:
        return 0
    keys = read_source_keys()
    count = 0
    for channel in channels:
        parts = [
            [tell_alert(alert, keys) for alert in some if _is_for(channel, alert, rules)]
            for some in (due.opened, due.still, due.ended)
        ]
        if any(parts):
            write_notice(channel=channel, opened=parts[0], still=parts[1], ended=parts[2], now=now)
            count += 1
    for alert in told:
        alert.announced = TOLD_END if alert.state == RESOLVED else TOLD_OPEN
        alert.announced_at = now
    Alert.objects.bulk_update(told, ["announced", "announced_at"])
    state.noticed_at = now
    return count


def find_due(*, now: datetime) -> Due:
    """Return what has to be told: opened, open for another day without anybody's word, ended after it was told."""
    rows = list(
        Alert.objects.filter(Q(state=OPEN) | (Q(state=RESOLVED) & ~Q(announced=TOLD_END))).order_by("opened_at", "pk")
    )
    muted = {subject_of(mute) for mute in list_mutes(now=now)}
    subjects = [subject_of(alert) for alert in rows]
    opened = [subject for subject, alert in zip(subjects, rows, strict=True) if alert.state == OPEN]
    due = Due()
    for alert, subject in zip(rows, subjects, strict=True):
        if alert.state == RESOLVED:
            (due.ended if alert.announced == TOLD_OPEN and subject not in muted else due.quietly).append(alert)
        elif subject in muted or find_cause(subject, opened) is not None:
            continue
        elif alert.announced != TOLD_OPEN:
            due.opened.append(alert)
        elif (
            alert.acknowledged_at is None
            and alert.announced_at is not None
            and now - alert.announced_at >= REMIND_AFTER
        ):
            due.still.append(alert)
    return due


def write_notice(
    *, channel: AlertChannel, opened: Sequence[Told], still: Sequence[Told], ended: Sequence[Told], now: datetime
) -> AlertNotice:
    """Write one notice to one channel, in the caller's transaction; a mail goes into the outbox with it."""
    address = f"{settings.CDP_BASE_URL}/alerts"
    body: dict[str, Any] = {
        "type": EVENT_TYPE,
        "timestamp": now.isoformat(),
        "data": webhook_data(opened=opened, still=still, ended=ended, address=address),
    }
    subject = subject_line(opened=opened, still=still, ended=ended)
    text = mail_text(opened=opened, still=still, ended=ended, address=address)
    return _write(channel, body, subject, text, now)


def write_test_notice(*, channel: AlertChannel, now: datetime) -> AlertNotice:
    """Write a notice that says nothing but that notices arrive."""
    text = "This is a test: notices of alerts arrive here."
    body: dict[str, Any] = {"type": TEST_TYPE, "timestamp": now.isoformat(), "data": {"text": text}}
    return _write(channel, body, "Test of alerts", f"{text}\n\n{settings.CDP_BASE_URL}/alerts\n", now)


def _write(channel: AlertChannel, body: dict[str, Any], subject: str, text: str, now: datetime) -> AlertNotice:
    by_mail = channel.kind == AlertChannel.Kind.EMAIL
    notice = AlertNotice.objects.create(
        channel=channel,
        # The same for every attempt, so that the receiver can tell a repetition.
        webhook_id=f"msg_{uuid4().hex}",
        body=body,
        state=AlertNotice.State.DELIVERED if by_mail else AlertNotice.State.WAITING,
        attempts=1 if by_mail else 0,
        created_at=now,
        delivered_at=now if by_mail else None,
    )
    if by_mail:
        queue_mail(to=channel.target, subject=subject, body=text, now=now)
        AlertChannel.objects.filter(pk=channel.pk).update(delivered_at=now, problem="")
    else:
        enqueue(kind=JOB, arguments={"notice": notice.pk}, now=now)
    return notice


def _is_for(channel: AlertChannel, alert: Alert, rules: Rules) -> bool:
    chosen = rules.find(alert.source_id, alert.kind).channels
    return not chosen or channel.pk in chosen
