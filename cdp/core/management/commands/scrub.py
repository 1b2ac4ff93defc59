"""`scrub`: makes PostgreSQL's own files forget what was erased."""

import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from cdp.core.services.scrubbing import scrub


class Command(BaseCommand):
    """Rewrites tables, switches the log; ends with 1 where something is left to do."""

    help = "Rewrite tables that erasures touched and delete the old write-ahead log; also done nightly."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Scrub."""
        done = scrub(clock=timezone.now, say=self.stderr.write)
        if done.busy:
            self.stderr.write("Another scrub is running.")
            sys.exit(1)
        log = "the log was not renewed: that needs a superuser of the database"
        if done.segments is not None:
            log = f"{done.segments} segments of the log deleted"
        self.stdout.write(f"{len(done.tables)} tables rewritten, {log}, {done.seconds:.1f} s.")
        if done.left:
            self.stderr.write(f"Still in use, try again: {', '.join(done.left)}")
        if done.left or done.segments is None:
            sys.exit(1)
