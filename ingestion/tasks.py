"""Tasks of collection: each calls one service."""

from celery import shared_task

from ingestion.services.drain import process_inbox as process


@shared_task(name="ingestion.process_inbox")
def process_inbox() -> None:
    """Process what waits in the inbox."""
    process()
