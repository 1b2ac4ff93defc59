"""Encrypt everything under the current master key."""

from typing import Any

from django.core.management.base import BaseCommand

from cdp.core import master_keys
from cdp.core.services.rotation import list_sealed_columns, rotate_step

EACH = 100_000


class Command(BaseCommand):
    """Encrypts anew what is under a retired master key. May be stopped and started again at any time."""

    help = __doc__

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Go over each column, with progress."""
        looked = done = 0
        for column in list_sealed_columns():
            after = None
            while True:
                seen, changed, after = rotate_step(column, after=after)
                if (looked + seen) // EACH > looked // EACH:
                    self.stdout.write(f"{looked + seen} values looked at, {done + changed} encrypted anew")
                looked, done = looked + seen, done + changed
                if after is None:
                    break
        key = master_keys.current_master_key().id.hex()
        self.stdout.write(f"All {looked} values are under the master key {key}; {done} were encrypted anew.")
        self.stdout.write("Retired keys are needed for backups only: take them out of CDP_MASTER_KEYS_RETIRED.")
