"""Tasks of consent: each calls one service."""

from celery import shared_task
from django.utils import timezone

from consent.services import callbacks, recipients, running, webhooks


@shared_task(name="consent.run_privacy_requests")
def run_privacy_requests() -> None:
    """Carry out approved privacy requests."""
    running.run_privacy_requests(clock=timezone.now)


@shared_task(name="consent.tell_recipients")
def tell_recipients() -> None:
    """Tell recipients of erasures."""
    recipients.tell_recipients(clock=timezone.now)


@shared_task(name="consent.send_webhooks")
def send_webhooks() -> None:
    """Tell other systems of decisions."""
    webhooks.send_webhooks(clock=timezone.now)


@shared_task(name="consent.send_callbacks")
def send_callbacks() -> None:
    """Tell controllers how their requests stand."""
    callbacks.send_callbacks(clock=timezone.now)
