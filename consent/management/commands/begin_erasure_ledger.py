"""`begin_erasure_ledger --reason TEXT`: begins the ledger of erasures anew, where it is lost for good."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from consent.services.replaying import begin_erasure_ledger


class Command(BaseCommand):
    """Begins the ledger with the suppressions of the database; the audit trail says why."""

    help = "Begin a lost ledger of erasures anew from the suppressions of the database."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the reason."""
        parser.add_argument("--reason", required=True, help="for the audit trail; no personal data")

    def handle(self, *_args: Any, reason: str, **_options: Any) -> None:
        """Begin."""
        count = begin_erasure_ledger(reason=reason, actor="system", now=timezone.now())
        self.stdout.write(
            f"The ledger begins anew with {count} suppressions. "
            "Erasures that the database does not know of are forgotten."
        )
