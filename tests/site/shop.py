"""A small shop for the tests of pages: customers, a merge, a refusal, faults, consents, a segment, a request."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from consent.models import PrivacyRequest
from consent.services.decisions import NewDecision, record_decision
from consent.services.purposes import create_purpose
from consent.services.requests import NewRequest, create_request
from ingestion.services.sources import SourceSettings, create_source
from profiles.models import Identifier, Profile
from profiles.queries.people import name_identifier
from segments.models import Segment
from segments.services.definitions import NewSegment, create_segment
from tests.profiles.sending import identify, process, put, track
from tests.world import DANA, DANA_AGAIN, EVE

BUYERS = {
    "version": 1,
    "timezone": "UTC",
    "match": {"type": "event", "name": "Order Completed", "window": {"last": "P30D"}},
}


def open_shop(*, now: datetime | None = None) -> None:
    """Fill the database through the services, as the product does."""
    now = now or timezone.now()
    source = create_source(key="shop", kind="server", settings=SourceSettings(name="Shop"), actor="system", now=now)
    put(
        [
            {"type": "page", "name": "Home", "anonymousId": DANA.anonymous_id},
            _dated(identify(DANA.user_id, DANA.anonymous_id, email=DANA.email, name=DANA.name), now, 5),
            _dated(track("Order Completed", DANA.user_id, revenue=40), now, 3),
            # The laptop was somebody of its own until Dana signed in on it: a merge.
            track("Product Viewed", "", DANA_AGAIN.anonymous_id),
        ],
        origin=source,
        at=now - timedelta(minutes=2),
    )
    process(now=now)
    put(
        [
            identify(DANA.user_id, DANA_AGAIN.anonymous_id),
            _dated(identify(EVE.user_id, EVE.anonymous_id, email=EVE.email, name=EVE.name), now, 2),
            # Another user id that claims Dana's address: refused.
            identify("somebody-else", email=DANA.email),
            {"type": "track", "event": "Nobody did this"},
        ],
        origin=source,
        at=now - timedelta(minutes=1),
    )
    process(now=now)
    create_purpose(
        key="marketing",
        fields={"name": "Marketing", "legal_basis": "consent", "channels": ["email"]},
        actor="system",
        now=now,
    )
    decide(EVE.user_id, "granted", now=now)
    create_segment(
        new=NewSegment(key="buyers", name="Buyers", definition=BUYERS, status=Segment.Status.LIVE),
        actor="system",
        clock=timezone.now,
    )


def decide(user_id: str, state: str, *, now: datetime, **fields: Any) -> None:
    """Record a decision on marketing by e-mail."""
    new = NewDecision(
        purpose="marketing",
        channel="email",
        state=state,
        recorded_by="system",
        identifier=name_identifier(type="user_id", value=user_id),
        **fields,
    )
    record_decision(new=new, now=now)


def ask(user_id: str, *, kind: str = "erasure", received_at: datetime | None = None) -> PrivacyRequest:
    """Open a privacy request."""
    now = timezone.now()
    return create_request(
        new=NewRequest(
            type=kind,
            identities=[name_identifier(type="user_id", value=user_id)],
            regulation="gdpr",
            received_at=received_at or now,
            verified_by="system",
            actor="system",
        ),
        now=now,
    )


def profile_of(user_id: str) -> Profile:
    """Return the profile that holds a user id."""
    return Identifier.objects.select_related("profile").get(type__key="user_id", value=user_id).profile


def _dated(item: dict[str, Any], now: datetime, days: int) -> dict[str, Any]:
    return {**item, "timestamp": (now - timedelta(days=days)).isoformat()}
