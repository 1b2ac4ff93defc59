"""What people do about alerts: acknowledge, mute, choose what is watched and whom it is told, try a channel."""

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from cdp.core import outgoing
from cdp.core.errors import FieldError
from cdp.core.services import audit
from ingestion.alert_models import Alert, AlertChannel, AlertMute, AlertNotice, AlertRule
from ingestion.alerting.detect import KINDS, OUTAGE, SENSITIVITIES
from ingestion.alerting.episodes import RESOLVED
from ingestion.errors import AlertIsOver, ChannelExists, InvalidAlertSetting, UnknownAlert
from ingestion.queries.alerts import get_alert, get_channel
from ingestion.queries.sources import get_source
from ingestion.services.announcing import write_test_notice
from ingestion.services.delivering import make_secret, seal_secret

MAX_REASON = 300
MAX_CHANNELS = 50
Kind = AlertChannel.Kind


def acknowledge_alert(*, alert_id: int, reason: str, actor: str, now: datetime) -> Alert:
    """Note that somebody takes care of an alert: it is not told again before it ends.

    Raises
    ------
    UnknownAlert, AlertIsOver, InvalidAlertSetting
        There is none; it has ended; the reason is too long.
    """
    get_alert(alert_id=alert_id)
    said = _reason(reason, needed=False)
    with transaction.atomic():
        alert = Alert.objects.select_for_update().get(pk=alert_id)
        if alert.state == RESOLVED:
            message = "This alert is over. Mute its subject if you do not want to hear of it again."
            raise AlertIsOver(message)
        alert.acknowledged_at, alert.acknowledged_by, alert.reason = now, actor, said
        alert.save(update_fields=["acknowledged_at", "acknowledged_by", "reason"])
        _record("alert.acknowledged", f"alert:{alert.pk}", actor, now, kind=alert.kind)
    return get_alert(alert_id=alert_id)


def mute_alert(*, alert_id: int, until: datetime | None, reason: str, actor: str, now: datetime) -> AlertMute:
    """Say that nobody wants to be told of this alert's subject, now and when it comes back.

    Parameters
    ----------
    until : datetime or None
        None: until somebody takes the mute away.
    reason : str
        Needed, so that others know.
    """
    alert = get_alert(alert_id=alert_id)
    said = _reason(reason, needed=True)
    if until is not None and until <= now:
        raise _fault("until", "The mute would be over already: choose a time in the future, or none.")
    with transaction.atomic():
        mute, _ = AlertMute.objects.update_or_create(
            source=alert.source,
            kind=alert.kind,
            type=alert.type,
            event=alert.event,
            field=alert.field,
            defaults={"until": until, "reason": said, "actor": actor, "created_at": now},
        )
        _record("alert.muted", f"alert:{alert.pk}", actor, now, kind=alert.kind, mute=mute.pk)
    return mute


def unmute(*, mute_id: int, actor: str, now: datetime) -> None:
    """Take a mute away.

    Raises
    ------
    UnknownAlert
        There is no such mute.
    """
    with transaction.atomic():
        mute = AlertMute.objects.filter(pk=mute_id).first()
        if mute is None:
            message = "There is no such mute; maybe its time is up."
            raise UnknownAlert(message)
        mute.delete()
        _record("alert.unmuted", f"alert-mute:{mute_id}", actor, now, kind=mute.kind)


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """What can be chosen of a rule; `channels` are ids, empty: all."""

    enabled: bool = True
    sensitivity: str = "normal"
    channels: tuple[int, ...] = ()


def set_rule(*, source: str | None, kind: str, settings: RuleSettings, actor: str, now: datetime) -> AlertRule:
    """Say whether a kind of alert is on, how sensitive, and whom it is told; for a source or, with None, for all.

    Raises
    ------
    InvalidAlertSetting, UnknownSource
        What is given is not usable.
    """
    if kind not in KINDS:
        raise _fault("kind", f"There are alerts of these kinds: {', '.join(KINDS)}.")
    if kind == OUTAGE and source is not None:
        raise _fault("source", "An outage is one of all sources: leave the source out.")
    if settings.sensitivity not in SENSITIVITIES:
        raise _fault("sensitivity", f"The sensitivity is one of {', '.join(SENSITIVITIES)}.")
    known = set(AlertChannel.objects.filter(pk__in=settings.channels).values_list("pk", flat=True))
    if known != set(settings.channels):
        raise _fault("channels", "One of the channels does not exist.")
    row = get_source(key=source) if source is not None else None
    with transaction.atomic():
        rule, _ = AlertRule.objects.update_or_create(
            source=row,
            kind=kind,
            defaults={
                "enabled": settings.enabled,
                "sensitivity": settings.sensitivity,
                "channels": sorted(settings.channels),
            },
        )
        _record(
            "alert_rule.changed",
            f"alert-rule:{rule.pk}",
            actor,
            now,
            kind=kind,
            source=source,
            enabled=settings.enabled,
            sensitivity=settings.sensitivity,
        )
    return rule


def delete_rule(*, source: str, kind: str, actor: str, now: datetime) -> None:
    """Let what holds for all sources hold for this one again. Repeating changes nothing."""
    row = get_source(key=source)
    with transaction.atomic():
        gone, _ = AlertRule.objects.filter(source=row, kind=kind).delete()
        if gone:
            _record("alert_rule.deleted", f"source:{row.key}", actor, now, kind=kind)


def create_channel(*, kind: str, target: str, name: str, actor: str, now: datetime) -> AlertChannel:
    """Add somebody whom alerts are told.

    Parameters
    ----------
    kind : str
        ``email`` or ``webhook``.
    target : str
        An e-mail address, or a URL that this installation may call (`cdp.core.outgoing`).
    name : str
        For people; ``""``: the target's own.

    Raises
    ------
    InvalidAlertSetting, OutgoingRefused, ChannelExists
        The target is no address, may not be called, or is there already.
    """
    if kind not in Kind.values:
        raise _fault("kind", f"A channel is one of {', '.join(Kind.values)}.")
    address = target.strip()
    if kind == Kind.EMAIL:
        address = address.lower()
        _check_email(address)
        own_name = address
    else:
        own_name = outgoing.check_url(address).host
    with transaction.atomic():
        if AlertChannel.objects.filter(kind=kind, target=address).exists():
            message = "Alerts go to this address already."
            raise ChannelExists(message)
        if AlertChannel.objects.count() >= MAX_CHANNELS:
            raise _fault("", f"There are {MAX_CHANNELS} channels already. Delete one first.")
        channel = AlertChannel.objects.create(
            name=(name.strip() or own_name)[:120],
            kind=kind,
            target=address,
            secret_sealed=seal_secret(make_secret()) if kind == Kind.WEBHOOK else None,
            created_at=now,
        )
        _record("alert_channel.created", f"alert-channel:{channel.pk}", actor, now, kind=kind)
    return channel


def change_channel(*, channel_id: int, enabled: bool, actor: str, now: datetime) -> AlertChannel:
    """Switch a channel on or off."""
    with transaction.atomic():
        channel = get_channel(channel_id=channel_id)
        channel.enabled = enabled
        channel.problem = ""
        channel.save(update_fields=["enabled", "problem"])
        _record("alert_channel.changed", f"alert-channel:{channel.pk}", actor, now, enabled=enabled)
    return channel


def delete_channel(*, channel_id: int, actor: str, now: datetime) -> None:
    """Delete a channel with its notices; rules that named it name the others, or all if there is none left."""
    with transaction.atomic():
        channel = get_channel(channel_id=channel_id)
        rules = list(AlertRule.objects.filter(channels__contains=[channel.pk]))
        for rule in rules:
            rule.channels = [one for one in rule.channels if one != channel.pk]
        AlertRule.objects.bulk_update(rules, ["channels"])
        channel.delete()
        _record("alert_channel.deleted", f"alert-channel:{channel_id}", actor, now, kind=channel.kind)


def try_channel(*, channel_id: int, actor: str, now: datetime) -> AlertNotice:
    """Send a test notice.

    Raises
    ------
    UnknownAlert, InvalidAlertSetting
        There is no such channel; it is switched off.
    """
    with transaction.atomic():
        channel = get_channel(channel_id=channel_id)
        if not channel.enabled:
            raise _fault("", "The channel is switched off. Switch it on first.")
        notice = write_test_notice(channel=channel, now=now)
        _record("alert_channel.tested", f"alert-channel:{channel.pk}", actor, now)
    return notice


def _check_email(address: str) -> None:
    try:
        validate_email(address)
    except ValidationError as error:
        message = "This is not an e-mail address."
        raise InvalidAlertSetting(
            message, errors=[FieldError(path="target", code=InvalidAlertSetting.code, message=message)]
        ) from error


def _reason(text: str, *, needed: bool) -> str:
    said = " ".join(text.replace("\0", "").split())
    if needed and not said:
        raise _fault("reason", "Say why, so that others know.")
    if len(said) > MAX_REASON:
        raise _fault("reason", f"The reason is longer than {MAX_REASON} characters.")
    return said


def _fault(path: str, message: str) -> InvalidAlertSetting:
    fault = FieldError(path=path, code=InvalidAlertSetting.code, message=message)
    return InvalidAlertSetting(message, errors=[fault])


def _record(action: str, what: str, actor: str, now: datetime, **detail: object) -> None:
    audit.record(actor=actor, action=action, object=what, detail=detail, now=now)
