"""How tests of the watch move through time: a past of real or counted messages, then looks."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cdp.core.services.mail import send_mail
from ingestion.alert_models import Alert
from ingestion.models import Outcome, OutcomeCount, Source
from ingestion.queries.alerts import list_open_alerts
from ingestion.services.discovering import flush_discovered
from ingestion.services.watching import check_sources
from tests.profiles.sending import process, put, source, track

# A Wednesday.
HERE = datetime(2026, 3, 18, 10, tzinfo=UTC)
LOOK = timedelta(minutes=5)


def counted(origin: Source, *, weeks: float = 3, per_hour: int = 100, refused: int = 0, until: datetime = HERE) -> None:
    """Write the counts of a source that sent evenly for some weeks, as processing writes them."""
    hours = [until - timedelta(hours=back) for back in range(1, int(weeks * 168) + 1)]
    OutcomeCount.objects.bulk_create(
        OutcomeCount(source_id=origin.pk, hour=hour, outcome=outcome, count=count)
        for hour in hours
        for outcome, count in ((Outcome.ACCEPTED, per_hour - refused), (Outcome.QUARANTINED, refused))
        if count
    )


def count(origin: Source, hour: datetime, number: int, outcome: Outcome = Outcome.ACCEPTED) -> None:
    """Write the count of one hour."""
    OutcomeCount.objects.create(source_id=origin.pk, hour=hour, outcome=outcome, count=number)


def send_real(origin: Source, at: datetime, number: int = 30, event: str = "Order Completed") -> None:
    """Send real messages and process them at that time."""
    put([track(event, f"user-{one}", total=one) for one in range(number)], origin=origin, at=at)
    process(now=at)
    flush_discovered()


def look(*moments: datetime) -> None:
    """Look at these moments."""
    for moment in moments:
        check_sources(now=moment)


def look_every(start: datetime, minutes: int, *, step: int = 5) -> datetime:
    """Look every few minutes, and return the moment of the last look."""
    moment = start
    for passed in range(0, minutes + 1, step):
        moment = start + timedelta(minutes=passed)
        check_sources(now=moment)
    return moment


def open_spike(key: str = "shop") -> int:
    """Open a spike of a source and return the alert's id."""
    counted(source(key=key), per_hour=100)
    count(source(key=key), HERE, 5000)
    look_every(HERE + timedelta(minutes=20), 5)
    return int(Alert.objects.get(source__key=key, state="open").pk)


def told() -> list[tuple[str, str, str]]:
    """Return state, kind and source of every alert, oldest first."""
    keys = {one.pk: one.key for one in Source.objects.all()}
    return [(one.state, one.kind, keys.get(one.source_id, "")) for one in Alert.objects.order_by("pk")]


def standing() -> list[tuple[str, str]]:
    """Return kind and event of the open alerts that stand for themselves."""
    return [(one.kind, one.event) for one in list_open_alerts()]


def mails(folder: Path) -> list[str]:
    """Send what waits, and return the mails of the outbox folder, oldest first, once each."""
    send_mail()
    found = []
    for file in sorted(folder.glob("*.log"), key=lambda one: one.stat().st_mtime_ns):
        found += [text for text in file.read_text().split("-" * 79) if text.strip()]
        file.unlink()
    return found


__all__ = [
    "HERE",
    "LOOK",
    "count",
    "counted",
    "look",
    "look_every",
    "mails",
    "open_spike",
    "send_real",
    "source",
    "standing",
    "told",
]
