"""What the pages of consent and privacy list and count."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from cdp.core.queries.sizes import EXACT_UP_TO, count_rows
from consent.decision import EXPIRED, GRANTED, STATES, UNKNOWN
from consent.models import Current, PrivacyRequest, Purpose
from profiles.models import Identifier, Profile

OVER = (PrivacyRequest.Status.COMPLETED, PrivacyRequest.Status.REJECTED, PrivacyRequest.Status.CANCELLED)
REMEMBERED_SECONDS = 60
ALL_CHANNELS = ""

# One part per purpose and channel: the channel's own row where there is one, else the row for all channels.
STANDING = """
SELECT {number}, CASE WHEN state = %(granted)s AND expires_at <= %(now)s THEN %(expired)s ELSE state END, count(*)
FROM consent_current c WHERE purpose_id = {purpose} AND (channel = {channel} OR (channel = '' AND NOT EXISTS (
    SELECT 1 FROM consent_current o
    WHERE o.profile_id = c.profile_id AND o.purpose_id = {purpose} AND o.channel = {channel})))
GROUP BY 2
"""


def list_open_requests() -> QuerySet[PrivacyRequest]:
    """Return the privacy requests that wait for somebody or something; the caller orders them."""
    return PrivacyRequest.objects.exclude(status__in=OVER)


def list_overdue_requests(*, now: datetime) -> QuerySet[PrivacyRequest]:
    """Return the open requests whose period has ended."""
    return list_open_requests().annotate(last_at=Coalesce("extended_to", "due_at")).filter(last_at__lt=now)


def list_conflicts() -> QuerySet[Current]:
    """Return the cells that an officer has to settle."""
    return Current.objects.filter(conflict=True)


def list_expiring(*, now: datetime, days: int) -> QuerySet[Current]:
    """Return the grants that end within so many days, to ask again in time; the caller orders them."""
    return Current.objects.filter(
        state=GRANTED, conflict=False, expires_at__gt=now, expires_at__lte=now + timedelta(days=days)
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """How people stand to one purpose on one channel (``""``: all channels)."""

    purpose: Purpose
    channel: str
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Return purpose and channel in words."""
        return f"{self.purpose.name}, {self.channel}" if self.channel else self.purpose.name


def count_standings(*, now: datetime) -> tuple[list[Standing], bool]:
    """Return how many people stand how to each purpose and channel, and whether that was counted just now.

    Notes
    -----
    Counting reads all current cells. Where there are more than 100 000, what was counted in the last minute is given
    again.
    """
    sizes = count_rows({"cells": Current.objects.all(), "people": Profile.objects.all()})
    remembered: list[Standing] | None = cache.get("consent.standings")
    if remembered is not None and sizes["cells"].value >= EXACT_UP_TO:
        return remembered, False
    asked = [
        (purpose, channel)
        for purpose in Purpose.objects.order_by("name", "id")
        for channel in (purpose.channels or [ALL_CHANNELS])
    ]
    found = [Standing(purpose, channel, dict.fromkeys(STATES, 0)) for purpose, channel in asked]
    if asked:
        params: dict[str, Any] = {"granted": GRANTED, "expired": EXPIRED, "now": now}
        parts = []
        for number, (purpose, channel) in enumerate(asked):
            params |= {f"p{number}": purpose.pk, f"c{number}": channel}
            parts.append(STANDING.format(number=number, purpose=f"%(p{number})s", channel=f"%(c{number})s"))
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(parts), params)
            for number, state, count in cursor.fetchall():
                found[number].counts[state] = count
    for one in found:
        decided = sum(one.counts.values())
        one.counts[UNKNOWN] += max(sizes["people"].value - decided, 0)
    cache.set("consent.standings", found, REMEMBERED_SECONDS)
    return found, True


def name_profiles(profile_ids: set[int]) -> dict[int, str]:
    """Return the public ids of profiles."""
    return {
        profile_id: str(public_id)
        for profile_id, public_id in Profile.objects.filter(pk__in=profile_ids).values_list("pk", "uuid")
    }


def find_strongest_identifier(*, profile_id: int) -> Identifier | None:
    """Return the identifier by which a person is named best: an erasure follows it to all the others."""
    held = Identifier.objects.filter(profile_id=profile_id).select_related("type")
    return held.order_by("type__priority", "first_seen_at", "id").first()
