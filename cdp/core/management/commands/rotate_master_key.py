"""Encrypt everything under the current master key."""

from typing import Any

from django.core.management.base import BaseCommand

from cdp.core import master_keys, registries
from cdp.core.services.rotation import count_under_retired, rotate_step


class Command(BaseCommand):
    """Encrypts anew what is under a retired master key. May be stopped and started again at any time."""

    help = __doc__

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Go over each column, with progress."""
        left = count_under_retired()
        self.stdout.write(
            f"{left} values are to be encrypted under the master key {master_keys.current_master_key().id.hex()}."
        )
        done = 0
        for column in registries.sealed_columns:
            after = None
            while True:
                count, after = rotate_step(column, after=after)
                done += count
                if count and done % 100_000 < count:
                    self.stdout.write(f"{done} of {left}")
                if after is None:
                    break
        left = count_under_retired()
        self.stdout.write(f"{done} values were encrypted anew; {left} are left.")
        if not left:
            self.stdout.write("The retired keys are needed for backups only: take them out of CDP_MASTER_KEYS_RETIRED.")
