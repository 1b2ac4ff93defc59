"""Every way out of the house that is configured: exports on a schedule, destinations, forwarding to other systems."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.urls import reverse

from ingestion.models import Forwarding
from segments.sending_models import Destination, ExportSchedule


@dataclass(frozen=True, slots=True)
class Outlet:
    """One way out.

    Attributes
    ----------
    key : str
        ``export_schedule:ID``, ``destination:KEY`` or ``forwarding:SOURCE``.
    segment, source : str
        The key of what it takes people or messages from; one of the two is empty.
    fields : tuple of str
        What it sends of a person, as `segments.sending.columns` names it; none where it sends whole messages.
    link : str
        The page where it is changed.
    """

    key: str
    recipient: str
    name: str
    detail: str
    purpose: str
    segment: str = ""
    source: str = ""
    fields: tuple[str, ...] = ()
    enabled: bool = True
    link: str = ""


def list_outlets() -> list[Outlet]:
    """Return all of them, off or on (three statements)."""
    found = [
        Outlet(
            key=f"export_schedule:{row.pk}",
            recipient=row.recipient,
            name=row.name,
            detail=f"export every {row.every}",
            purpose=row.purpose,
            segment=row.segment.key,
            fields=_fields(row.columns),
            enabled=row.enabled,
            link=reverse("export_schedules"),
        )
        for row in ExportSchedule.objects.select_related("segment").order_by("id")
    ]
    found += [
        Outlet(
            key=f"destination:{row.key}",
            recipient=row.recipient,
            name=row.name,
            detail=f"destination {row.key}, within seconds",
            purpose=row.purpose,
            segment=row.segment.key,
            fields=_fields(row.columns),
            enabled=row.enabled,
            link=reverse("destination", args=[row.key]),
        )
        for row in Destination.objects.select_related("segment").order_by("id")
    ]
    found += [
        Outlet(
            key=f"forwarding:{row.source.key}",
            recipient=urlsplit(row.url).hostname or row.url,
            name=f"Forwarding of {row.source.key}",
            detail="forwarded messages, as they come",
            purpose=row.purpose,
            source=row.source.key,
            enabled=row.enabled,
            link=reverse("forwarding", args=[row.source.key]),
        )
        for row in Forwarding.objects.select_related("source").order_by("source__key")
    ]
    return found


def _fields(columns: list[object]) -> tuple[str, ...]:
    """Return what columns are taken from, each a text or ``{"source": …}``."""
    named = [column.get("source", "") if isinstance(column, dict) else str(column) for column in columns]
    return tuple(dict.fromkeys(name for name in named if name))
