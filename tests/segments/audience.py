"""An audience to send: people with consents, made by the services."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from consent.services.decisions import NewDecision, record_decision
from consent.services.purposes import create_purpose
from profiles.models import Profile
from profiles.queries.people import name_identifier
from segments.models import Segment
from tests.profiles.sending import send
from tests.segments.asking import segment

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
EVERYONE = {"type": "everyone"}


def purpose(key: str = "marketing", **fields: Any) -> None:
    """Make a purpose that rests on consent, with channels."""
    known = {"name": key.capitalize(), "channels": ["email", "sms"], **fields}
    create_purpose(key=key, fields=known, actor="system", now=NOW)


def person(user: str, **traits: Any) -> Profile:
    """Let somebody appear."""
    send({"type": "identify", "userId": user, "traits": traits}, at=NOW)
    return profile(user)


def profile(user: str) -> Profile:
    """Return the profile of somebody."""
    return Profile.objects.get(identifiers__type__key="user_id", identifiers__value=user)


def decide(user: str, state: str = "granted", *, at: datetime | None = None, **more: Any) -> None:
    """Record what somebody says."""
    new = NewDecision(
        purpose=more.pop("purpose", "marketing"),
        channel=more.pop("channel", "email"),
        state=state,
        recorded_by="key:test",
        identifier=name_identifier(type="user_id", value=user),
        **more,
    )
    record_decision(new=new, now=at or datetime.now(UTC))


def audience(users: Iterable[str], *, key: str = "all", granted: bool = True, **fields: Any) -> Segment:
    """Make people, each with an e-mail address and a name, who agreed; and a live segment of everybody."""
    purpose()
    for user in users:
        person(user, email=f"{user}@customer.example", first_name=user.capitalize(), city="Köln")
        if granted:
            decide(user, at=NOW)
    made = segment(key, EVERYONE, now=NOW)
    if fields:
        Segment.objects.filter(pk=made.pk).update(**fields)
        made.refresh_from_db()
    return made
