"""`drain`: works until nothing waits."""

from typing import Any

from django.core.management.base import BaseCommand

from ingestion.services.drain import drain


class Command(BaseCommand):
    """Processes inbox, changes and overdue checks until all are empty; ends with 0."""

    help = "Process everything that waits, rows held by other workers included."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Drain."""
        drain()
