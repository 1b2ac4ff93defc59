"""`create_source`: makes a source and prints its write key."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from cdp.core.errors import CdpError
from ingestion.queries.write_keys import read_write_key
from ingestion.services.sources import SourceSettings, create_source
from ingestion.spec.limits import MAX_EVENT_BYTES


class Command(BaseCommand):
    """Prints the write key and nothing else; repeated with the same arguments it prints the same key."""

    help = "Make a source and print its write key."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("name", help="a slug by which the source is named everywhere")
        parser.add_argument("--kind", required=True, help="server (secret key), browser or mobile (public key)")
        parser.add_argument("--write-key", help="the key to use; default: one is made")
        parser.add_argument("--required-purpose", default="", help="store messages only where this purpose is granted")
        parser.add_argument("--max-event-bytes", type=int, default=MAX_EVENT_BYTES, help="limit of one message")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make the source, or say why not and end with 2."""
        settings = SourceSettings(
            required_purpose=options["required_purpose"], max_event_bytes=options["max_event_bytes"]
        )
        try:
            source = create_source(
                key=options["name"],
                kind=options["kind"],
                settings=settings,
                write_key=options["write_key"],
                actor="system",
                now=timezone.now(),
            )
        except CdpError as error:
            self.stderr.write(error.message)
            sys.exit(2)
        self.stdout.write(read_write_key(source))
