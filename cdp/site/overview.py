"""What the overview shows: the traffic, the sizes of things, and what needs somebody's attention."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from cdp.core.access import ADMINISTRATOR, ROLE_SCOPES, Principal
from cdp.core.models import Job
from cdp.core.queries.sizes import Size, count_rows
from cdp.site.self_check import read_last_check
from consent.queries.desk import list_conflicts, list_open_requests, list_overdue_requests
from ingestion.alerting.telling import tell
from ingestion.queries.alerts import list_open_alerts, tell_alert
from ingestion.queries.pressure import read_pressure
from ingestion.queries.sources import read_source_keys
from ingestion.queries.traffic import Traffic, Waiting, list_quarantined, list_sources, read_traffic, read_waiting
from profiles.models import Profile
from profiles.queries.timeline import list_merges, list_refusals
from segments.models import Segment

SLOW_SECONDS = 60
MOST_ALERTS = 3


@dataclass(frozen=True, slots=True)
class Tile:
    """A number and the list that has this length."""

    label: str
    size: Size
    link: str


@dataclass(frozen=True, slots=True)
class Attention:
    """Something that somebody should look at; `level` is bad, warn or info."""

    text: str
    link: str = ""
    level: str = "warn"


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the page; None or empty where the person lacks the right."""

    tiles: list[Tile] = field(default_factory=list)
    attention: list[Attention] = field(default_factory=list)
    traffic: Traffic | None = None
    is_new: bool = False


def read_overview(*, principal: Principal, hours: int, now: datetime) -> Overview:
    """Return what this person's overview shows, in a constant number of statements."""
    lists = _lists(principal, now)
    sizes = count_rows(lists)
    waiting = read_waiting() if principal.may("sources:read") else None
    tiles = [Tile(label, sizes[name], reverse(view)) for name, label, view in TILES if name in sizes]
    if waiting is not None:
        tiles.append(Tile("Requests in the inbox", Size(waiting.requests), reverse("inbox")))
    return Overview(
        tiles=tiles,
        attention=[
            *_pressure(principal),
            *_alerts(principal),
            *_attention(sizes),
            *_slowness(waiting, now),
            *_gaps(principal),
            *_mails(principal),
        ],
        traffic=read_traffic(hours=hours, now=now) if waiting is not None else None,
        is_new="profiles" in sizes and sizes["profiles"].value == 0,
    )


TILES = (
    ("profiles", "Profiles", "profiles"),
    ("merges", "Merges", "merges"),
    ("segments", "Segments", "segments"),
    ("requests", "Open privacy requests", "privacy_requests"),
    ("sources", "Sources", "sources"),
    ("quarantined", "Quarantined messages", "quarantine"),
)


def _lists(principal: Principal, now: datetime) -> dict[str, QuerySet[Any]]:
    lists: dict[str, QuerySet[Any]] = {}
    if principal.may("profiles:read"):
        lists["profiles"] = Profile.objects.all()
    if principal.may("identity:read"):
        lists["merges"] = list_merges()
        lists["refused_today"] = list_refusals().filter(created_at__gte=start_of_day(now))
    if principal.may("segments:read"):
        lists["segments"] = Segment.objects.all()
    if principal.may("privacy:read"):
        lists["requests"] = list_open_requests()
        lists["overdue"] = list_overdue_requests(now=now)
    if principal.may("consents:read"):
        lists["conflicts"] = list_conflicts()
    if principal.may("sources:read"):
        lists["sources"] = list_sources()
        lists["quarantined"] = list_quarantined()
    if _administers(principal):
        lists["failed_jobs"] = Job.objects.filter(status=Job.Status.FAILED)
    return lists


def _attention(sizes: dict[str, Size]) -> list[Attention]:
    jobs = f"{reverse('admin:core_job_changelist')}?status__exact=failed"
    overdue = f"{reverse('privacy_requests')}?show=late"
    kinds = (
        ("overdue", "privacy request past its date", "privacy requests past their date", overdue, "bad"),
        ("failed_jobs", "job given up", "jobs given up", jobs, "bad"),
        ("conflicts", "consent in conflict", "consents in conflict", reverse("consent_conflicts"), "warn"),
        ("quarantined", "message in quarantine", "messages in quarantine", reverse("quarantine"), "warn"),
        (
            "refused_today",
            "identity refused today",
            "identities refused today",
            f"{reverse('refusals')}?day=today",
            "info",
        ),
    )
    found = []
    for name, one, many, link, level in kinds:
        size = sizes.get(name)
        if size is not None and size.value:
            amount = f"{size.value:,}".replace(",", "\u202f") + ("" if size.exact else "+")
            found.append(Attention(f"{amount} {one if size.value == 1 else many}", link, level))
    return found


def _slowness(waiting: Waiting | None, now: datetime) -> list[Attention]:
    if waiting is None or waiting.oldest_at is None:
        return []
    seconds = int((now - waiting.oldest_at).total_seconds())
    if seconds < SLOW_SECONDS:
        return []
    text = f"The oldest request has been waiting for {seconds // 60} min {seconds % 60} s: is the worker running?"
    return [Attention(text, reverse("inbox"), "bad")]


def _pressure(principal: Principal) -> list[Attention]:
    said = read_pressure().describe() if principal.may("sources:read") else ""
    return [Attention(said[0].upper() + said[1:], reverse("inbox"), "bad")] if said else []


def _alerts(principal: Principal) -> list[Attention]:
    rows = list_open_alerts() if principal.may("sources:read") else []
    if not rows:
        return []
    keys = read_source_keys()
    told = [Attention(tell(tell_alert(one, keys)), reverse("alerts"), "bad") for one in rows[:MOST_ALERTS]]
    if len(rows) > MOST_ALERTS:
        told.append(Attention(f"{len(rows) - MOST_ALERTS} more alerts", reverse("alerts"), "bad"))
    return told


def _gaps(principal: Principal) -> list[Attention]:
    """Return what the last scheduled self-check found; what was mended since is gone with the next, within the hour."""
    last = read_last_check() if principal.may("privacy:read") else None
    count = len(last["findings"]) if last is not None else 0
    if not count:
        return []
    text = f"{count} {'gap' if count == 1 else 'gaps'} in the records of processing, by the self-check"
    return [Attention(text, f"{reverse('records')}#check")]


def _mails(principal: Principal) -> list[Attention]:
    if settings.CDP_EMAIL_URL or not _administers(principal):
        return []
    return [Attention(f"No mail server is set: mails are written to {settings.CDP_OUTBOX_DIR}", level="info")]


def _administers(principal: Principal) -> bool:
    return principal.scopes >= ROLE_SCOPES[ADMINISTRATOR]


def start_of_day(now: datetime) -> datetime:
    """Return when the day began where the installation is."""
    return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
