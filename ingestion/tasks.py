"""Tasks of collection: each calls one service."""

from celery import shared_task
from django.utils import timezone

from ingestion.services.drain import process_inbox as process
from ingestion.services.forward_copies import forward_copies as forward
from ingestion.services.held import release_held as release
from ingestion.services.measuring import start_measuring
from ingestion.services.watching import check_sources as check


@shared_task(name="ingestion.process_inbox")
def process_inbox() -> None:
    """Process what waits in the inbox."""
    process()


@shared_task(name="ingestion.release_held")
def release_held() -> None:
    """Decide messages that were held for consent."""
    release(now=timezone.now())


@shared_task(name="ingestion.measure_quality")
def measure_quality() -> None:
    """Start measuring what came in since the last time."""
    start_measuring(now=timezone.now())


@shared_task(name="ingestion.forward_copies")
def forward_copies() -> None:
    """Send copies of accepted requests on to other systems."""
    forward()


@shared_task(name="ingestion.check_sources")
def check_sources() -> None:
    """Look for what is unusual."""
    check(now=timezone.now())
