"""`database_url`: where the database is."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Prints the DSN that the product uses, password included."""

    help = "Print the DSN of the database, for psql and other tools."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print it."""
        self.stdout.write(settings.CDP_DATABASE_URL)
