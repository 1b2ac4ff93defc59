#!/usr/bin/env python
"""Run a command of this installation; the embedded servers are started for it if they do not run."""

import os
import sys

from django.core.management import execute_from_command_line

from cdp.embedded import EmbeddedError, export_environment
from cdp.embedded.environment import needs_servers


def main() -> int:
    """Run the command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cdp.settings")
    if needs_servers(sys.argv[1:]):
        try:
            export_environment()
        except EmbeddedError as error:
            sys.stderr.write(f"{error.message}\n")
            return 1
    execute_from_command_line(sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
