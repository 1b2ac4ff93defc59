"""`backup PATH`: everything in one sealed file, while the product goes on."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from cdp.core.errors import CdpError
from cdp.core.services.backing_up import write_backup


class Command(BaseCommand):
    """Writes a backup and says until when it may be kept."""

    help = "Write everything into one sealed file: the database as of one moment, and the stored files."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the place."""
        parser.add_argument("path", type=Path, help="a file that does not exist yet, or a directory")

    def handle(self, *_args: Any, path: Path, **_options: Any) -> None:
        """Write it."""
        try:
            made = write_backup(path=path.absolute(), now=timezone.now())
        except CdpError as error:
            self.stderr.write(error.message)
            sys.exit(1)
        self.stdout.write(
            f"{made.path}: {made.rows} rows and {made.files} files, {made.bytes} bytes, {made.seconds:.1f} s. "
            f"Delete it by {made.expires_at:%Y-%m-%d}. "
            "The keys, the ledger of erasures and the heads of the audit trail are not in it."
        )
        for old in made.deleted:
            self.stdout.write(f"Deleted {old}, which was past its time.")
