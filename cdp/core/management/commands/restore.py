"""`restore PATH`: a backup in the place of the database, and erasures since done again before anybody sees it."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from cdp.core.errors import CdpError
from cdp.core.services.restoring import restore_backup


class Command(BaseCommand):
    """Reads a backup in; the product must not run."""

    help = "Put a backup in the place of the database, then erase again whoever was erased since it was made."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the place."""
        parser.add_argument("path", type=Path, help="what `backup` wrote")
        parser.add_argument("--expired", action="store_true", help="read it in although it is past its time")

    def handle(self, *_args: Any, path: Path, expired: bool, **_options: Any) -> None:
        """Read it in."""
        try:
            done = restore_backup(path=path.absolute(), even_expired=expired, now=timezone.now(), say=self.stderr.write)
        except CdpError as error:
            self.stderr.write(error.message)
            sys.exit(1)
        self.stdout.write(f"{done.rows} rows and {done.files} files as of {done.made_at}, {done.seconds:.1f} s.")
        for said in done.done:
            self.stdout.write(said)
