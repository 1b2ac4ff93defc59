"""Telling controllers how their requests stand: queued with each change, sent until taken or given up."""

import base64
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q

from cdp.core.api.json import dump
from cdp.core.outgoing import OutgoingFailed, OutgoingRefused, send
from cdp.core.signing import sign_bytes
from consent import life
from consent.opendsr import answers
from consent.request_models import Callback, ControllerRequest
from consent.services.controllers import state_of, tell_controller
from consent.services.processor_key import processor_domain, read_processor_key

log = logging.getLogger("cdp.privacy")

TIMEOUT_SECONDS = 10.0
CLAIM_SECONDS = 60
FIRST_PAUSE_SECONDS = 10
LONGEST_PAUSE_SECONDS = 6 * 3600
# Some three days.
MOST_ATTEMPTS = 20
MOST_PER_RUN = 50
GONE = 410

CLAIM = """
UPDATE consent_callback SET attempts = attempts + 1, retry_at = %(until)s
WHERE id = (SELECT id FROM consent_callback WHERE retry_at <= %(now)s ORDER BY retry_at, id
            FOR UPDATE SKIP LOCKED LIMIT 1)
RETURNING id
"""


def follow_controllers(*, now: datetime) -> int:
    """Queue callbacks for requests whose state has changed, and return how many."""
    moving = Q(told_status__in=[answers.PENDING, answers.IN_PROGRESS, ""])
    rows = ControllerRequest.objects.filter(moving).filter(
        Q(stub=True) | ~Q(request__status__in=[life.RECEIVED, life.AWAITING_IDENTITY, life.OPEN])
    )
    count = 0
    for pk in rows.order_by("received_at").values_list("pk", flat=True)[:1000]:
        with transaction.atomic():
            held = ControllerRequest.objects.select_for_update(of=("self",)).select_related("request").get(pk=pk)
            count += tell_controller(held, now=now)
    return count


def send_callbacks(*, clock: Callable[[], datetime]) -> int:
    """Queue what has changed, send what is due, and return how many were taken."""
    follow_controllers(now=clock())
    taken = 0
    for _ in range(MOST_PER_RUN):
        now = clock()
        with connection.cursor() as cursor:
            cursor.execute(CLAIM, {"now": now, "until": now + timedelta(seconds=CLAIM_SECONDS)})
            row = cursor.fetchone()
        if row is None:
            break
        taken += _send(Callback.objects.select_related("controller_request__request").get(pk=row[0]), clock=clock)
    return taken


def _send(callback: Callback, *, clock: Callable[[], datetime]) -> int:
    row = callback.controller_request
    now = clock()
    # The state of that moment: callbacks of one change may arrive after those of the next.
    state = state_of(row, now=now)
    body = dump({**answers.callback(state, url=callback.url), "request_status": callback.state})
    old = row.api_version.startswith("1")
    prefix = "X-OpenGDPR" if old else "X-OpenDSR"
    headers = {
        **replay_headers(callback.pk, body, now=now),
        "Content-Type": "application/json",
        f"{prefix}-Processor-Domain": processor_domain(),
        f"{prefix}-Signature": read_processor_key(now=now).sign(body),
    }
    try:
        answer = send(callback.url, headers=headers, body=body, timeout_seconds=TIMEOUT_SECONDS)
    except OutgoingRefused as refused:
        # Nothing changes about an address that may not be called.
        _put_off(callback, said=refused.code, give_up=True, now=clock())
        return 0
    except OutgoingFailed as failed:
        _put_off(callback, said=failed.reason, give_up=False, now=clock())
        return 0
    if not answer.is_success:
        _put_off(callback, said=str(answer.status), give_up=answer.status == GONE, now=clock())
        return 0
    Callback.objects.filter(pk=callback.pk).update(delivered_at=clock(), retry_at=None, answer=str(answer.status))
    return 1


def replay_headers(callback_id: int, body: bytes, *, now: datetime) -> dict[str, str]:
    """Return headers by which a receiver notices what it was sent before: OpenDSR's own signature covers no time.

    References
    ----------
    Standard Webhooks, asymmetric signatures (``v1a``, Ed25519); the key is in the discovery.
    """
    message_id, at = f"msg_callback_{callback_id}", str(int(now.timestamp()))
    signature = sign_bytes(f"{message_id}.{at}.".encode() + body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": at,
        "webhook-signature": f"v1a,{base64.b64encode(signature).decode()}",
    }


def _put_off(callback: Callback, *, said: str, give_up: bool, now: datetime) -> None:
    pause = min(FIRST_PAUSE_SECONDS * 2 ** (callback.attempts - 1), LONGEST_PAUSE_SECONDS)
    over = give_up or callback.attempts >= MOST_ATTEMPTS
    Callback.objects.filter(pk=callback.pk).update(
        answer=said, retry_at=None if over else now + timedelta(seconds=pause)
    )
    log.warning("a controller could not be told", extra={"callback": callback.pk, "fault": said, "given_up": over})
