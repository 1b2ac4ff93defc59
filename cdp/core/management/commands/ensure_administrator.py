"""`ensure_administrator`: makes what every installation needs before anybody signs in."""

import json
import os
import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from cdp.core import registries
from cdp.core.errors import CdpError
from cdp.core.services.accounts import ensure_administrator


class Command(BaseCommand):
    """Runs the preparations of all apps, then makes the first administrator if there is none."""

    help = "Make roles, default rows and, the first time, an administrator; prints that one's e-mail and password."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Prepare; print one line of JSON only if somebody was made."""
        for prepare in registries.preparations:
            prepare()
        try:
            made = ensure_administrator(
                email=os.environ.get("CDP_ADMIN_EMAIL") or None,
                password=os.environ.get("CDP_ADMIN_PASSWORD") or None,
                now=timezone.now(),
            )
        except CdpError as error:
            self.stderr.write(f"CDP_ADMIN_EMAIL: {error.message}")
            sys.exit(2)
        if made is not None:
            self.stdout.write(json.dumps({"email": made.email, "password": made.password}))
