"""`check_start`: whether traffic may be let in; does what is missing first."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from cdp.core.errors import CdpError
from cdp.core.services.starting import check_start, refuse_unfinished_restore


class Command(BaseCommand):
    """Does again what a database from elsewhere does not know; ends with 1 where the product must not start."""

    help = "Check, before web and workers start, that nobody who was erased is in the database; `make up` runs it."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Check."""
        try:
            refuse_unfinished_restore()
            done = check_start(act=True)
        except CdpError as error:
            self.stderr.write(error.message)
            sys.exit(1)
        for said in done:
            self.stdout.write(said)
