"""Mail: written in the transaction that causes it, sent after its commit, tried again until it goes."""

import logging
import random
from datetime import datetime, timedelta
from smtplib import SMTPException

from django.core.mail import EmailMessage
from django.db import connection
from django.utils import timezone

from cdp.core.models import OutboxMail
from cdp.core.services.wakeups import wake

log = logging.getLogger("cdp.mail")

TASK_NAME = "core.send_mail"
# Longer than any attempt takes, so that two workers do not send the same mail.
CLAIM_SECONDS = 120
FIRST_PAUSE_SECONDS = 5
LONGEST_PAUSE_SECONDS = 3600
MAX_ATTEMPTS = 20
MOST_PER_RUN = 50


def queue_mail(*, to: str, subject: str, body: str, now: datetime | None = None) -> None:
    """Write a mail in the caller's transaction.

    Parameters
    ----------
    to : str
        One address.
    subject : str
        One line; line breaks become spaces.
    body : str
        Plain text.
    """
    at = now or timezone.now()
    OutboxMail.objects.create(to=to, subject=" ".join(subject.split()), body=body, created_at=at, retry_at=at)
    wake(TASK_NAME)


CLAIM = """
UPDATE core_outboxmail SET attempts = attempts + 1, retry_at = %(until)s
WHERE id = (
    SELECT id FROM core_outboxmail WHERE retry_at <= %(now)s ORDER BY retry_at, id FOR UPDATE SKIP LOCKED LIMIT 1
)
RETURNING id
"""


def send_mail() -> int:
    """Send the mails that are due and return how many went out; one that fails waits, ever longer, up to an hour.

    Notes
    -----
    A mail is deleted once sent. A worker that dies between sending and deleting sends it twice: at least once, never
    none.
    """
    sent = 0
    for _ in range(MOST_PER_RUN):
        now = timezone.now()
        with connection.cursor() as cursor:
            cursor.execute(CLAIM, {"now": now, "until": now + timedelta(seconds=CLAIM_SECONDS)})
            row = cursor.fetchone()
        if row is None:
            break
        mail = OutboxMail.objects.get(pk=row[0])
        sent += _send_one(mail, now=now)
    return sent


def _send_one(mail: OutboxMail, *, now: datetime) -> int:
    try:
        EmailMessage(subject=mail.subject, body=mail.body, to=[mail.to]).send()
    except (SMTPException, OSError) as error:
        if mail.attempts >= MAX_ATTEMPTS:
            log.error("a mail was given up", extra={"mail": mail.pk, "fault": type(error).__name__})
            mail.delete()
            return 0
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (mail.attempts - 1), LONGEST_PAUSE_SECONDS)
        # Jitter, so that a mail server that comes back is not met by all at once.
        wait = timedelta(seconds=pause * random.uniform(0.75, 1.25))  # noqa: S311 - no secret
        OutboxMail.objects.filter(pk=mail.pk).update(retry_at=now + wait)
        log.warning("a mail could not be sent", extra={"mail": mail.pk, "fault": type(error).__name__})
        return 0
    mail.delete()
    return 1
