"""`verify_audit`: seals the audit trail, then checks all of it."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from cdp.core.services.heads import UnreadableHeads
from cdp.core.services.sealing import AuditBroken, verify_audit


class Command(BaseCommand):
    """Seals, then checks; names the first bad record and ends with 1."""

    help = "Seal the audit trail, then check every entry and every signed head."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run the check."""
        try:
            found = verify_audit()
        except (AuditBroken, UnreadableHeads) as error:
            self.stderr.write(error.message)
            sys.exit(1)
        self.stdout.write(f"{found.entries} entries and {found.heads} signed heads are as they were sealed.")
        if found.restores:
            self.stdout.write(
                f"Backups were read in {found.restores} times: what was recorded between is gone with them."
            )
