"""`create_import`: brings a file in, and prints what became of its rows."""

import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from cdp.core.errors import CdpError
from ingestion.imports.mapping import MODES, RECORDS, ColumnMapping
from ingestion.imports.reading import read_sample
from ingestion.imports.shape import detect_shape
from ingestion.models import Import
from ingestion.queries.imports import get_import, present_import
from ingestion.services.import_rows import run_import
from ingestion.services.import_trial import try_import
from ingestion.services.imports import Upload, create_import

PART = 1024 * 1024
PAUSE_SECONDS = 0.2
SHOWN = ("id", "status", "rows", "created", "updated", "unchanged", "deleted", "rejected", "suppressed", "duplicate")


class Command(BaseCommand):
    """Prints the import as a line of JSON; with `--dry-run` its counts, then the first faults, one on each line."""

    help = "Import a file: CSV, JSON Lines, Excel or Parquet; found out by its content."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("source", help="a slug; without such a source one is made for imports")
        parser.add_argument("file", help="path of the file")
        parser.add_argument("--key", default="", metavar="COLUMN", help="the column that names each record")
        parser.add_argument("--delimiter", default="", metavar="C", help="of a CSV; default: found out")
        parser.add_argument("--encoding", default="", help="of a CSV; default: found out")
        parser.add_argument("--trait", action="append", default=[], metavar="COLUMN=TRAIT")
        parser.add_argument("--identifier", action="append", default=[], metavar="COLUMN=TYPE")
        parser.add_argument("--ignore", action="append", default=[], metavar="COLUMN")
        parser.add_argument("--type", action="append", default=[], metavar="COLUMN=TYPE", dest="types")
        parser.add_argument("--mode", action="append", default=[], metavar=f"TRAIT={'|'.join(MODES)}")
        parser.add_argument("--time", default="", metavar="COLUMN", help="when each row was true or happened")
        parser.add_argument("--records", choices=RECORDS, help="default: profiles, of an archive messages")
        parser.add_argument("--event", default="", help="with --records events: the name of all of them")
        parser.add_argument("--event-column", default="", metavar="COLUMN")
        parser.add_argument("--delete-column", default="", metavar="COLUMN", help="true: the record is gone")
        parser.add_argument("--dry-run", action="store_true", help="print counts and first faults, write nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Import, or say why not and end with 2."""
        try:
            if options["dry_run"]:
                self._try(options)
            else:
                self._import(options)
        except (CdpError, OSError) as error:
            self.stderr.write(error.message if isinstance(error, CdpError) else f"{error.strerror}: {options['file']}")
            sys.exit(2)

    def _try(self, options: dict[str, Any]) -> None:
        with Path(options["file"]).open("rb") as file:
            shape = detect_shape(file, delimiter=options["delimiter"], encoding=options["encoding"])
            trial = try_import(
                file=file,
                shape=shape,
                types=read_sample(file, shape).types,
                source_key=options["source"],
                mapping=_mapping(options, messages=shape.messages),
                now=timezone.now(),
            )
        counts = {name: trial.counts.get(name, 0) for name in SHOWN[3:]}
        self._print({"dry_run": True, "rows": trial.rows, **counts})
        for number, code, message in trial.faults:
            self.stdout.write(f"row {number}: {message} ({code})")

    def _import(self, options: dict[str, Any]) -> None:
        path = Path(options["file"])
        with path.open("rb") as file:
            shape = detect_shape(file, delimiter=options["delimiter"], encoding=options["encoding"])
        found = create_import(
            upload=Upload(_parts(path), path.name, options["delimiter"], options["encoding"]),
            source_key=options["source"],
            mapping=_mapping(options, messages=shape.messages),
            actor="system",
            now=timezone.now(),
        )
        # In one go: each new step would have to read over the rows before it.
        while not run_import(import_id=found.pk, clock=timezone.now, seconds=math.inf):
            # A worker may have been faster: then this waits for it.
            time.sleep(PAUSE_SECONDS)
        found = get_import(import_id=found.pk)
        shown = present_import(found)
        self._print({name: shown[name] for name in SHOWN})
        if found.status != Import.Status.DONE:
            self.stderr.write(found.error or "The import was cancelled.")
            sys.exit(1)

    def _print(self, value: dict[str, Any]) -> None:
        self.stdout.write(orjson.dumps(value).decode())


def _mapping(options: dict[str, Any], *, messages: bool) -> ColumnMapping:
    named = any(options[name] for name in ("key", "trait", "identifier", "event", "event_column"))
    return ColumnMapping(
        records=options["records"] or ("messages" if messages and not named else "profiles"),
        key=options["key"],
        identifiers=dict(_pair(text, "--identifier") for text in options["identifier"]),
        traits=dict(_pair(text, "--trait") for text in options["trait"]),
        ignore=tuple(options["ignore"]),
        types=dict(_pair(text, "--type") for text in options["types"]),
        modes=dict(_pair(text, "--mode") for text in options["mode"]),
        time=options["time"],
        event=options["event"],
        event_column=options["event_column"],
        delete_column=options["delete_column"],
    )


def _pair(text: str, option: str) -> tuple[str, str]:
    """Divide at the last `=`: a column may have one in its name, a trait or type hardly."""
    left, sign, right = text.rpartition("=")
    if not sign or not left or not right:
        message = f"{option} takes COLUMN=NAME; {text!r} is not of this form."
        raise BadOption(message)
    return left, right


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(PART):
            yield part


class BadOption(CdpError):
    """An option is not of the form that it takes."""

    code = "import.bad_option"
