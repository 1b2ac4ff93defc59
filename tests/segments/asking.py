"""Segments and people for tests: made by the services, moved by the real processor."""

from datetime import datetime, timedelta
from typing import Any

from profiles.models import Identifier
from segments.models import Membership, MembershipChange, Segment
from segments.services.definitions import NewSegment, change_segment, create_segment
from segments.services.following import follow_changes
from tests.profiles.sending import NOW, send

ACTOR = "key:test"
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def definition(match: Any, timezone: str = "UTC") -> dict[str, Any]:
    """Wrap a condition."""
    return {"version": 1, "timezone": timezone, "match": match}


def segment(key: str, match: Any, *, status: str = "live", now: datetime = NOW, timezone: str = "UTC") -> Segment:
    """Create a segment."""
    new = NewSegment(key=key, name=key, definition=definition(match, timezone), status=status)
    return create_segment(new=new, actor=ACTOR, clock=lambda: now)[0]


def redefine(key: str, match: Any, *, now: datetime = NOW) -> Segment:
    """Change a segment's condition."""
    return change_segment(key=key, fields={"definition": definition(match)}, actor=ACTOR, clock=lambda: now)


def trait(path: str, op: str, value: Any = None) -> dict[str, Any]:
    """Return a trait condition."""
    return {"type": "trait", "path": path, "op": op, **({} if value is None else {"value": value})}


def did(name: str, last: str | None = None, **more: Any) -> dict[str, Any]:
    """Return an event condition."""
    return {"type": "event", "name": name, **({"window": {"last": last}} if last else {}), **more}


def track(user: str, event: str, at: datetime = NOW, *, sent: datetime | None = None, **properties: Any) -> None:
    """Let somebody do something: it happens at `at` and arrives at `sent`."""
    arrives = sent or at
    send(
        {"type": "track", "userId": user, "event": event, "timestamp": at.isoformat(), "properties": properties},
        at=arrives,
    )


def identify(user: str, at: datetime = NOW, **traits: Any) -> None:
    """Say something about somebody."""
    send({"type": "identify", "userId": user, "traits": traits, "timestamp": at.isoformat()}, at=at)


def catch_up(now: datetime) -> None:
    """Do all waiting work of segments at an instant."""
    while follow_changes(clock=lambda: now):
        pass


def profile_of(user: str) -> int:
    """Return the internal id of somebody."""
    return Identifier.objects.get(type__key="user_id", value=user).profile_id


def members(key: str) -> set[str]:
    """Return the user ids of a segment's members."""
    ids = Membership.objects.filter(segment__key=key).values_list("profile_id", flat=True)
    return set(Identifier.objects.filter(type__key="user_id", profile_id__in=ids).values_list("value", flat=True))


def history(key: str) -> list[tuple[str, dict[str, Any]]]:
    """Return a segment's entries and exits with their reasons, oldest first."""
    rows = MembershipChange.objects.filter(segment__key=key).order_by("at", "id")
    return [(MembershipChange.Kind(row.kind).label, row.reason) for row in rows]
