"""Delivering notices to webhooks: signed, tried again with growing pauses, given up after some hours."""

import logging
import random
from base64 import b64encode
from datetime import datetime, timedelta

import orjson
from django.db.models import F
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from cdp.core import outgoing
from cdp.core.models import Job
from cdp.core.secrets import seal, unseal
from ingestion.alert_models import AlertChannel, AlertNotice

log = logging.getLogger("cdp.alerts")

SECRET_BYTES = 32
SEALED_AS = "webhook of alerts"
TIMEOUT_SECONDS = 10.0
MAX_ATTEMPTS = 12
FIRST_PAUSE_SECONDS = 10
LONGEST_PAUSE_SECONDS = 3600
GONE = 410
TOO_MANY = 429
State = AlertNotice.State


def make_secret() -> str:
    """Return a new secret of Standard Webhooks."""
    return "whsec_" + b64encode(random.SystemRandom().randbytes(SECRET_BYTES)).decode()


def seal_secret(secret: str) -> bytes:
    """Return a secret as it is kept."""
    return seal(secret.encode(), context=SEALED_AS)


def read_secret(channel: AlertChannel) -> str:
    """Return the secret of a webhook; ``""`` for other channels."""
    return unseal(bytes(channel.secret_sealed), context=SEALED_AS).decode() if channel.secret_sealed else ""


def sign(*, secret: str, webhook_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """Return the headers of a webhook.

    References
    ----------
    Standard Webhooks, specification 1.0: HMAC-SHA256 of ``id.timestamp.body``.
    """
    signature = Webhook(secret).sign(msg_id=webhook_id, timestamp=now, data=body.decode())
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }


def deliver_notice(job: Job) -> bool:
    """Try once to deliver the notice of a job; True once it is delivered or given up.

    Outside of any transaction. A worker that dies after sending sends it again with the same id.
    """
    notice = AlertNotice.objects.select_related("channel").filter(pk=job.arguments["notice"]).first()
    if notice is None or notice.state != State.WAITING:
        return True
    channel = notice.channel
    if not channel.enabled:
        _note(notice, State.FAILED, "The channel is switched off.")
        return True
    now = timezone.now()
    body = orjson.dumps(notice.body)
    headers = sign(secret=read_secret(channel), webhook_id=notice.webhook_id, body=body, now=now)
    try:
        answer = outgoing.send(channel.target, headers=headers, body=body, timeout_seconds=TIMEOUT_SECONDS)
    except outgoing.OutgoingRefused as error:
        _give_up(notice, error.message)
        return True
    except outgoing.OutgoingFailed as error:
        return _try_again(job, notice, error.message, 0, now)
    if answer.is_success:
        _note(notice, State.DELIVERED, f"answered {answer.status}", now)
        AlertChannel.objects.filter(pk=channel.pk).update(delivered_at=now, problem="")
        return True
    said = f"It answered with status {answer.status}."
    if answer.status == GONE:
        AlertChannel.objects.filter(pk=channel.pk).update(enabled=False)
        _give_up(notice, f"{said} That means that it is gone for good, so the channel was switched off.")
        return True
    wait = answer.headers.get("retry-after", "") if answer.status == TOO_MANY else ""
    return _try_again(job, notice, said, int(wait) if wait.isdecimal() and len(wait) < 6 else 0, now)


def _try_again(job: Job, notice: AlertNotice, said: str, wait: int, now: datetime) -> bool:
    attempts = notice.attempts + 1
    if attempts >= MAX_ATTEMPTS:
        _give_up(notice, f"{said} Given up after {attempts} attempts.")
        return True
    pause = min(FIRST_PAUSE_SECONDS * 2 ** (attempts - 1), LONGEST_PAUSE_SECONDS)
    # Jitter, so that a server that comes back is not met by all at once.
    seconds = max(pause * random.uniform(0.75, 1.25), min(wait, LONGEST_PAUSE_SECONDS))  # noqa: S311 - no secret
    retry_at = now + timedelta(seconds=seconds)
    AlertNotice.objects.filter(pk=notice.pk).update(attempts=F("attempts") + 1, answer=said, retry_at=retry_at)
    AlertChannel.objects.filter(pk=notice.channel_id).update(problem=said)
    job.run_at = retry_at
    return False


def _give_up(notice: AlertNotice, said: str) -> None:
    _note(notice, State.FAILED, said)
    AlertChannel.objects.filter(pk=notice.channel_id).update(problem=said)
    log.warning("a notice of alerts was given up", extra={"notice": notice.pk})


def _note(notice: AlertNotice, state: str, answer: str, delivered_at: datetime | None = None) -> None:
    AlertNotice.objects.filter(pk=notice.pk).update(
        attempts=F("attempts") + 1, state=state, answer=answer, retry_at=None, delivered_at=delivered_at
    )
