"""`verify_signature`: checks a receipt or certificate that an installation of this product has signed."""

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from cdp.core.signing import SignatureInvalid, verify_document


class Command(BaseCommand):
    """Prints what was signed as what, and when; ends with 1 where the signature does not hold."""

    help = "Verify a signed document; without --key against the keys of this installation."

    def add_arguments(self, parser: CommandParser) -> None:
        """Name the file and the keys that are trusted."""
        parser.add_argument("file", help="the signed JSON; - reads standard input")
        parser.add_argument("--key", action="append", help="a trusted public key (x of the published keys)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Verify the file."""
        try:
            text = sys.stdin.read() if options["file"] == "-" else Path(options["file"]).read_text(encoding="utf-8")
            document = json.loads(text)
            key = verify_document(document if isinstance(document, dict) else {}, public_keys=options["key"])
        except (OSError, ValueError) as error:
            self.stderr.write(f"The file cannot be read as JSON: {type(error).__name__}.")
            sys.exit(1)
        except SignatureInvalid as error:
            self.stderr.write(error.message)
            sys.exit(1)
        proof = document["proof"]
        self.stdout.write(f"{proof['purpose']}, signed {proof['created_at']} with the key {key.id}: as it was signed.")
