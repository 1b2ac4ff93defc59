"""Mail: queued with its cause, sent once, tried again."""

import smtplib
from datetime import timedelta

import pytest
from django.core import mail as django_mail
from django.db import transaction
from django.utils import timezone

from cdp.core.models import OutboxMail
from cdp.core.services import mail

pytestmark = pytest.mark.django_db


def test_sends_and_forgets():
    mail.queue_mail(to="ana@house.example", subject="Two\nlines", body="Hello.")
    assert django_mail.outbox == []
    assert mail.send_mail() == 1
    (sent,) = django_mail.outbox
    assert (sent.to, sent.subject, sent.body) == (["ana@house.example"], "Two lines", "Hello.")
    assert not OutboxMail.objects.exists()
    assert mail.send_mail() == 0


def test_sends_nothing_of_a_transaction_that_is_undone():
    with transaction.atomic():
        mail.queue_mail(to="ana@house.example", subject="s", body="b")
        transaction.set_rollback(True)
    assert mail.send_mail() == 0


@pytest.mark.parametrize("fault", [smtplib.SMTPServerDisconnected(), ConnectionRefusedError(), TimeoutError()])
def test_tries_again_later_and_longer(monkeypatch, fault):
    def refuse(*_args, **_kwargs):
        raise fault

    monkeypatch.setattr("cdp.core.services.mail.EmailMessage.send", refuse)
    mail.queue_mail(to="ana@house.example", subject="s", body="b")
    waits = []
    for _ in range(12):
        began = timezone.now()
        assert mail.send_mail() == 0
        row = OutboxMail.objects.get()
        waits.append((row.retry_at - began).total_seconds())
        OutboxMail.objects.update(retry_at=began)
    # 5 s, doubled each time, with a quarter of jitter, at most an hour.
    assert 3 <= waits[0] <= 7
    assert waits[3] > waits[0]
    assert 2600 <= waits[-1] <= 4600


def test_gives_up_after_twenty_attempts(monkeypatch):
    monkeypatch.setattr("cdp.core.services.mail.EmailMessage.send", _refuse)
    mail.queue_mail(to="ana@house.example", subject="s", body="b")
    OutboxMail.objects.update(attempts=19)
    mail.send_mail()
    assert not OutboxMail.objects.exists()


def test_a_mail_that_is_being_sent_is_taken_by_nobody_else(monkeypatch):
    inside = []

    def send_and_look(*_args, **_kwargs):
        inside.append(mail.send_mail())

    monkeypatch.setattr("cdp.core.services.mail.EmailMessage.send", send_and_look)
    mail.queue_mail(to="ana@house.example", subject="s", body="b")
    assert mail.send_mail() == 1
    assert inside == [0]


def test_a_mail_whose_sender_died_goes_out_later(monkeypatch):
    mail.queue_mail(to="ana@house.example", subject="s", body="b")
    OutboxMail.objects.update(attempts=1, retry_at=timezone.now() + timedelta(seconds=1))
    assert mail.send_mail() == 0
    OutboxMail.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
    assert mail.send_mail() == 1


def _refuse(*_args, **_kwargs):
    raise ConnectionRefusedError
