"""`create_api_key`: makes a key of the REST API and prints it, once."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from cdp.core.errors import CdpError
from cdp.core.services.api_keys import KeyNameTaken, create_api_key


class Command(BaseCommand):
    """Prints the key and nothing else; an existing name prints nothing and says so on stderr."""

    help = "Make a key of the REST API. It is printed once and kept nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("name", help="a slug that the audit trail names the key by")
        parser.add_argument("--scopes", required=True, help="scopes or roles, separated by commas")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make the key, or say why not and end with 2."""
        scopes = [name for name in options["scopes"].split(",") if name.strip()]
        try:
            key = create_api_key(name=options["name"], scopes=scopes, actor="system", now=timezone.now())
        except KeyNameTaken as error:
            self.stderr.write(error.message)
            return
        except CdpError as error:
            self.stderr.write(error.message)
            sys.exit(2)
        self.stdout.write(key)
