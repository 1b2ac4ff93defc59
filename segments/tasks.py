"""Tasks of segments: each calls one service."""

from celery import shared_task
from django.utils import timezone

from segments.services import following
from segments.services.sending import delivering, destinations, schedules


@shared_task(name="segments.follow_changes")
def follow_changes() -> None:
    """Bring segments up to date with what changed on profiles."""
    following.follow_changes(clock=timezone.now)


@shared_task(name="segments.run_due_checks")
def run_due_checks() -> None:
    """Look at whom time alone may have moved: the same pass, asked for by the clock."""
    following.follow_changes(clock=timezone.now)


@shared_task(name="segments.make_due_exports")
def make_due_exports() -> None:
    """Begin the exports whose time has come."""
    schedules.make_due_exports(now=timezone.now())


@shared_task(name="segments.send_deliveries")
def send_deliveries() -> None:
    """Tell destinations who entered and who left."""
    delivering.send_deliveries()


@shared_task(name="segments.reconcile_destinations")
def reconcile_destinations() -> None:
    """Look for consents that ended, and once a day for everything that may have been missed."""
    destinations.reconcile_due(now=timezone.now())
