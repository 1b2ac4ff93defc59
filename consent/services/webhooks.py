"""Telling other systems of each decision, signed, in order, in the background."""

import logging
import random
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from standardwebhooks.webhooks import Webhook

from cdp.core import locks, outgoing
from cdp.core.errors import CdpError
from cdp.core.secrets import seal, unseal
from cdp.core.services.audit import record
from cdp.core.services.wakeups import wake
from consent.errors import UnknownPurpose, UnknownWebhook
from consent.models import Decision, Purpose
from consent.webhook_models import ConsentDelivery, ConsentWebhook
from profiles.models import Profile

log = logging.getLogger("cdp.consent")

TASK = "consent.send_webhooks"
EVENT_TYPE = "consent.changed"
SEALED_AS = "webhook of consent"
SECRET_BYTES = 32
TIMEOUT_SECONDS = 10.0
BATCH = 200
FIRST_PAUSE_SECONDS = 5
LONGEST_PAUSE_SECONDS = 3600
KEPT_HOURS = 72
GONE = 410
Clock = Callable[[], datetime]


def create_webhook(*, url: str, purposes: Sequence[str], actor: str, now: datetime) -> ConsentWebhook:
    """Make a webhook: it is told of every decision recorded from now on.

    Raises
    ------
    OutgoingRefused
        If the address may not be called.
    UnknownPurpose
        If one of the purposes does not exist.
    """
    outgoing.check_url(url)
    _check_purposes(purposes)
    secret = "whsec_" + b64encode(random.SystemRandom().randbytes(SECRET_BYTES)).decode()
    with transaction.atomic():
        made = ConsentWebhook.objects.create(
            url=url,
            purposes=sorted(set(purposes)),
            secret_sealed=seal(secret.encode(), context=SEALED_AS),
            created_at=now,
            created_by=actor,
        )
        record(actor=actor, action="consent_webhook.created", object=f"consent_webhook:{made.pk}", now=now)
    return made


def change_webhook(*, webhook_id: int, fields: Mapping[str, Any], actor: str, now: datetime) -> ConsentWebhook:
    """Change address, purposes or whether it is on; one that is switched off forgets what it has not been told.

    Raises
    ------
    UnknownWebhook, OutgoingRefused, UnknownPurpose
        As for `create_webhook`.
    """
    if "url" in fields:
        outgoing.check_url(fields["url"])
    _check_purposes(fields.get("purposes", []))
    with transaction.atomic():
        row = _hold(webhook_id)
        changed = sorted(name for name, value in fields.items() if getattr(row, name) != value)
        for name in changed:
            setattr(row, name, fields[name])
        if changed:
            row.failures, row.retry_at, row.problem = 0, None, ""
            row.save()
            if not row.enabled:
                row.deliveries.all().delete()
            name = f"consent_webhook:{row.pk}"
            record(actor=actor, action="consent_webhook.changed", object=name, detail={"fields": changed}, now=now)
    return row


def delete_webhook(*, webhook_id: int, actor: str, now: datetime) -> None:
    """Delete a webhook and what waits for it.

    Raises
    ------
    UnknownWebhook
        If there is none.
    """
    with transaction.atomic():
        _hold(webhook_id).delete()
        record(actor=actor, action="consent_webhook.deleted", object=f"consent_webhook:{webhook_id}", now=now)


def read_secret(row: ConsentWebhook) -> str:
    """Return the secret that a webhook is signed with."""
    return unseal(bytes(row.secret_sealed), context=SEALED_AS).decode()


def announce_decisions(decisions: Iterable[tuple[str, int]], *, now: datetime) -> None:
    """Write what webhooks have to be told, in the transaction of the decisions (purpose's key, decision's id)."""
    webhooks = list(ConsentWebhook.objects.filter(enabled=True))
    if not webhooks:
        return
    rows = [
        ConsentDelivery(webhook=one, decision_id=decision_id, message_id=f"msg_{uuid4().hex}", created_at=now)
        for purpose, decision_id in decisions
        for one in webhooks
        if not one.purposes or purpose in one.purposes
    ]
    if rows:
        ConsentDelivery.objects.bulk_create(rows)
        wake(TASK)


def send_webhooks(*, clock: Clock) -> int:
    """Send what is due, each webhook's in the order of its decisions, and return how many were delivered.

    Outside of any transaction. A worker that dies after sending sends again, with the same id.
    """
    now = clock()
    due = (
        ConsentWebhook.objects.filter(Q(retry_at=None) | Q(retry_at__lte=now), enabled=True)
        .filter(Exists(ConsentDelivery.objects.filter(webhook_id=OuterRef("pk"))))
        .order_by("id")
    )
    return sum(_send_batch(webhook, clock) for webhook in due)


def _send_batch(webhook: ConsentWebhook, clock: Clock) -> int:
    """Send up to 200 deliveries over one connection; whoever else is at it keeps this worker away."""
    with connection.cursor() as cursor, locks.hold(cursor, locks.CONSENT_WEBHOOK + webhook.pk, wait=False) as held:
        if not held:
            return 0
        rows = list(webhook.deliveries.order_by("id")[:BATCH])
        bodies = _bodies(rows)
        secret, done = Webhook(read_secret(webhook)), []
        with outgoing.Line() as line:
            for row in rows:
                body = bodies.get(row.decision_id)
                fault = _send_one(line, webhook, secret, row, body, clock()) if body is not None else None
                if fault is not None:
                    _pause(webhook, fault, clock())
                    break
                done.append(row.pk)
        ConsentDelivery.objects.filter(pk__in=done).delete()
        if len(done) == len(rows) and rows:
            ConsentWebhook.objects.filter(pk=webhook.pk).update(
                failures=0, problem="", retry_at=None, delivered_at=clock()
            )
        return len(done)


def _send_one(
    line: outgoing.Line, webhook: ConsentWebhook, secret: Webhook, row: ConsentDelivery, body: bytes, now: datetime
) -> str | None:
    """Send one message; return what went wrong, or None."""
    headers = {
        "content-type": "application/json",
        "webhook-id": row.message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": secret.sign(msg_id=row.message_id, timestamp=now, data=body.decode()),
    }
    try:
        answer = line.send(webhook.url, headers=headers, body=body, timeout_seconds=TIMEOUT_SECONDS)
    except CdpError as error:
        return error.message
    if answer.is_success:
        return None
    if answer.status == GONE:
        ConsentWebhook.objects.filter(pk=webhook.pk).update(enabled=False)
        webhook.deliveries.all().delete()
        return "It answered 410, that it is gone for good, so it was switched off."
    return f"It answered with status {answer.status}."


def _bodies(rows: Sequence[ConsentDelivery]) -> dict[int, bytes]:
    """Return the bodies by decision; of one that was erased meanwhile there is none (two statements)."""
    decisions = Decision.objects.select_related("purpose").in_bulk({row.decision_id for row in rows})
    uuids = dict(
        Profile.objects.filter(pk__in={one.profile_id for one in decisions.values()}).values_list("pk", "uuid")
    )
    return {
        one.pk: orjson.dumps(
            {
                "type": EVENT_TYPE,
                "timestamp": one.recorded_at.astimezone(UTC).isoformat(),
                "data": {
                    "consent_id": str(one.pk),
                    "profile_id": str(uuids[one.profile_id]),
                    "purpose": one.purpose.key,
                    "channel": one.channel or None,
                    "state": one.state,
                    "effective_at": one.effective_at.astimezone(UTC).isoformat(),
                    "expires_at": one.expires_at.astimezone(UTC).isoformat() if one.expires_at else None,
                    "conflict": one.conflict and one.cleared_at is None,
                },
            }
        )
        for one in decisions.values()
        if one.profile_id in uuids
    }


def _pause(webhook: ConsentWebhook, fault: str, now: datetime) -> None:
    failures = webhook.failures + 1
    pause = min(FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 12), LONGEST_PAUSE_SECONDS)
    # Jitter, so that a server that comes back is not met by all at once.
    seconds = pause * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
    ConsentWebhook.objects.filter(pk=webhook.pk).update(
        failures=failures, problem=fault, retry_at=now + timedelta(seconds=seconds)
    )
    given_up, _ = webhook.deliveries.filter(created_at__lt=now - timedelta(hours=KEPT_HOURS)).delete()
    if given_up:
        log.warning("decisions were not told to a webhook", extra={"webhook": webhook.pk, "count": given_up})


def _check_purposes(keys: Sequence[str]) -> None:
    known = set(Purpose.objects.filter(key__in=keys).values_list("key", flat=True))
    for key in keys:
        if key not in known:
            raise UnknownPurpose(key)


def _hold(webhook_id: int) -> ConsentWebhook:
    row = ConsentWebhook.objects.select_for_update().filter(pk=webhook_id).first()
    if row is None:
        raise UnknownWebhook
    return row
