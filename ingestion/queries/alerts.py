"""Reading alerts, channels, mutes and rules, as REST and pages show them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from ingestion.alert_models import Alert, AlertChannel, AlertCheck, AlertMute, AlertNotice, AlertRule
from ingestion.alerting.baseline import FEWEST_DAYS, FEWEST_WEEKS
from ingestion.alerting.detect import KINDS
from ingestion.alerting.episodes import OPEN, PENDING, Subject, find_cause
from ingestion.alerting.telling import Told, tell
from ingestion.errors import UnknownAlert
from ingestion.queries.sources import read_source_keys
from ingestion.queries.watch import PAST, read_rules


def subject_of(row: Alert | AlertMute) -> Subject:
    """Return what an alert or a mute is about."""
    return Subject(row.kind, row.source_id, row.type, row.event, row.field)


def list_alerts(*, state: str = "") -> QuerySet[Alert]:
    """Return alerts with their sources; what only waits to be confirmed is none. The caller orders them."""
    rows = Alert.objects.select_related("source").exclude(state=PENDING)
    return rows.filter(state=state) if state else rows


def get_alert(*, alert_id: int) -> Alert:
    """Return an alert.

    Raises
    ------
    UnknownAlert
        None has this id.
    """
    found = list_alerts().filter(pk=alert_id).first()
    if found is None:
        message = "No alert has this id."
        raise UnknownAlert(message)
    return found


def get_channel(*, channel_id: int) -> AlertChannel:
    """Return a channel.

    Raises
    ------
    UnknownAlert
        None has this id.
    """
    found = AlertChannel.objects.filter(pk=channel_id).first()
    if found is None:
        message = "No channel has this id."
        raise UnknownAlert(message)
    return found


def list_channels() -> QuerySet[AlertChannel]:
    """Return all channels; the caller orders them."""
    return AlertChannel.objects.all()


def list_notices() -> QuerySet[AlertNotice]:
    """Return all notices with their channels; the caller orders them."""
    return AlertNotice.objects.select_related("channel")


def list_mutes(*, now: datetime) -> QuerySet[AlertMute]:
    """Return the mutes in force; the caller orders them."""
    return AlertMute.objects.select_related("source").filter(Q(until__isnull=True) | Q(until__gt=now))


def list_source_rules() -> QuerySet[AlertRule]:
    """Return the rules of single sources; the caller orders them."""
    return AlertRule.objects.select_related("source").filter(source__isnull=False)


def read_default_rules() -> list[AlertRule]:
    """Return the rule of each kind for all sources, made or not."""
    rules = read_rules(AlertRule.objects.filter(source__isnull=True))
    return [rules.find(None, kind) for kind in KINDS]


def find_checked_at() -> datetime | None:
    """Return when the watch looked last."""
    return AlertCheck.objects.filter(pk=1).values_list("checked_at", flat=True).first()


FIRST_HOURS = """
SELECT s.key, min(c.hour) FROM ingestion_source s JOIN ingestion_outcomecount c ON c.source_id = s.id
WHERE s.enabled AND s.kind <> 'import' AND c.hour >= %s GROUP BY s.key
"""


def read_learning(*, now: datetime) -> list[tuple[str, str]]:
    """Return the sources whose past is too short for a weekly pattern, with what they are compared with until then."""
    with connection.cursor() as cursor:
        cursor.execute(FIRST_HOURS, [now - PAST])
        first = dict(cursor.fetchall())
    found = []
    for key, hour in sorted(first.items()):
        days = (now - hour) / timedelta(days=1)
        if days < FEWEST_DAYS + 1:
            found.append((key, "nothing yet: it takes four days"))
        elif days < 7 * FEWEST_WEEKS:
            found.append((key, "the same hour of other days: it takes two weeks to know the week"))
    return found


def list_open_alerts(*, source_id: int | None = None) -> list[Alert]:
    """Return the open alerts that stand for themselves, those that follow from another left out; oldest first.

    Parameters
    ----------
    source_id : int, optional
        Only this source's, and those of all sources together.
    """
    rows = list(list_alerts(state=OPEN).order_by("opened_at", "pk"))
    subjects = [subject_of(alert) for alert in rows]
    return [
        alert
        for alert, subject in zip(rows, subjects, strict=True)
        if find_cause(subject, subjects) is None
        and (source_id is None or alert.source_id is None or alert.source_id == source_id)
    ]


def present_alerts(rows: Sequence[Alert], *, now: datetime) -> list[dict[str, Any]]:
    """Return alerts in the shape of REST, with what they follow from and whether they are muted."""
    living = list(Alert.objects.filter(state=OPEN))
    by_subject = {subject_of(alert): alert for alert in living}
    muted = {subject_of(mute): mute for mute in list_mutes(now=now)}
    keys = read_source_keys()
    return [_present(alert, keys, by_subject, muted) for alert in rows]


def tell_alert(alert: Alert, keys: Mapping[int, str]) -> Told:
    """Return an alert as it is told."""
    return Told(
        id=alert.pk,
        kind=alert.kind,
        source=keys.get(alert.source_id, "") if alert.source_id is not None else "",
        type=alert.type,
        event=alert.event,
        field=alert.field,
        observed=alert.observed,
        expected=alert.expected,
        basis=alert.basis,
        since=alert.since,
        ended_at=alert.resolved_at,
    )


def _present(
    alert: Alert, keys: Mapping[int, str], living: Mapping[Subject, Alert], muted: Mapping[Subject, AlertMute]
) -> dict[str, Any]:
    told = tell_alert(alert, keys)
    subject = subject_of(alert)
    cause = find_cause(subject, living) if alert.state == OPEN else None
    mute = muted.get(subject)
    return {
        "id": str(alert.pk),
        "kind": alert.kind,
        "state": alert.state,
        "source": told.source or None,
        "type": alert.type or None,
        "event": alert.event or None,
        "field": alert.field or None,
        "text": tell(told),
        "observed": alert.observed,
        "expected": alert.expected,
        "basis": alert.basis,
        "since": alert.since,
        "opened_at": alert.opened_at,
        "last_bad_at": alert.last_bad_at,
        "ended_at": alert.resolved_at,
        "follows_from": str(living[cause].pk) if cause is not None else None,
        "acknowledged_at": alert.acknowledged_at,
        "acknowledged_by": alert.acknowledged_by or None,
        "reason": alert.reason or None,
        "muted": mute is not None,
        "muted_until": mute.until if mute is not None else None,
    }


def present_channel(channel: AlertChannel) -> dict[str, Any]:
    """Return a channel in the shape of REST, without its secret."""
    return {
        "id": str(channel.pk),
        "name": channel.name,
        "kind": channel.kind,
        "target": channel.target,
        "enabled": channel.enabled,
        "problem": channel.problem,
        "created_at": channel.created_at,
        "delivered_at": channel.delivered_at,
    }


def present_rule(rule: AlertRule) -> dict[str, Any]:
    """Return a rule in the shape of REST."""
    return {
        "source": rule.source.key if rule.source is not None else None,
        "kind": rule.kind,
        "enabled": rule.enabled,
        "sensitivity": rule.sensitivity,
        "channels": [str(one) for one in rule.channels],
    }
