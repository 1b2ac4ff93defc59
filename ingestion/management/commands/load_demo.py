"""Load the demo through the collection API."""

import json
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from cdp.core.registries import work_steps
from cdp.core.services.api_keys import KeyLimits, create_api_key, revoke_api_key
from ingestion.demo.errors import DemoError
from ingestion.demo.load import SOURCES, Door, load_demo
from ingestion.models import Source
from ingestion.queries.write_keys import read_write_key
from ingestion.services.sources import SourceSettings, create_source

ACTOR = "system"
KEY_HOURS = 6
TERMINATED_STATUS = 143


class Command(BaseCommand):
    """`load_demo`: a year of real purchases and an invented online side, ending yesterday."""

    help = "Load the demo: the Complete Journey as events through the collection API, with an invented online side."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--base-url", help="Where the product answers; default: CDP_BASE_URL.")
        parser.add_argument("--households", type=int, help="Only the first so many of the 2,469 households.")
        parser.add_argument("--again", action="store_true", help="Send it although it was loaded before.")

    def handle(self, **options: Any) -> None:
        """Load unless it was loaded before; a load that was stopped goes on where it was."""
        done = settings.CDP_DATA_DIR / "demo.done"
        if done.exists() and not options["again"]:
            self.stdout.write(f"The demo is loaded already ({done}). `load_demo --again` sends it once more.")
            return
        if options["households"] is not None and options["households"] < 1:
            raise CommandError("--households takes a number from 1 on.", returncode=2)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED_STATUS))
        write_keys = {name: _write_key(name, kind, limit) for name, kind, limit in SOURCES}
        try:
            with _temporary_key() as api_key:
                door = Door(options["base_url"] or settings.CDP_BASE_URL, write_keys, api_key, _count_pending)
                loaded = load_demo(
                    door=door,
                    data_dir=settings.CDP_DATA_DIR,
                    households=options["households"],
                    today=datetime.now(UTC).date(),
                    stream=sys.stdout,
                )
        except DemoError as error:
            raise CommandError(error.message) from error
        summary = {"orders": loaded.orders, "messages": loaded.messages, "households": options["households"]}
        done.write_text(json.dumps(summary) + "\n", encoding="utf-8")
        self.stdout.write(
            f"Demo loaded: {loaded.orders:,} orders, {loaded.messages:,} messages, {loaded.seconds:,.0f} s."
        )


def _write_key(name: str, kind: str, max_event_bytes: int) -> str:
    """Return the write key of a source of the demo; one that is there keeps the settings that it has."""
    source = Source.objects.filter(key=name).first()
    if source is None:
        wanted = SourceSettings(max_event_bytes=max_event_bytes)
        source = create_source(key=name, kind=kind, settings=wanted, actor=ACTOR, now=datetime.now(UTC))
    return read_write_key(source)


def _count_pending() -> int:
    return sum(step.count_pending() for step in work_steps)


@contextmanager
def _temporary_key() -> Iterator[str]:
    """Give an API key that ends with the load, and by itself should the load be killed."""
    now = datetime.now(UTC)
    name = f"demo-{secrets.token_hex(4)}"
    scopes = ["sources:read", "consents:write", "segments:write"]
    expires_at = now + timedelta(hours=KEY_HOURS)
    key = create_api_key(name=name, scopes=scopes, actor=ACTOR, now=now, limits=KeyLimits(expires_at=expires_at))
    try:
        yield key
    finally:
        revoke_api_key(name=name, actor=ACTOR, now=datetime.now(UTC))
