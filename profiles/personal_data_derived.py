"""Personal data that is derived from the timeline: orders and visits. Both go with the events that make them."""

from collections.abc import Mapping
from typing import Any

from cdp.core.registries import Subject
from profiles.models import Order, Session
from profiles.queries.orders import present_order
from profiles.queries.profiles import read_source_names


class Orders:
    """The order view. It follows the events: when they are gone, so are the orders that they made."""

    name = "orders"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return every order, oldest first."""
        rows = Order.objects.filter(profile_id__in=subject.profile_ids).order_by("occurred_at", "id")
        sources = read_source_names()
        return {"orders": [present_order(row, sources=sources) for row in rows]}

    def count(self, *, subject: Subject) -> int:
        """Return how many orders there are."""
        return Order.objects.filter(profile_id__in=subject.profile_ids).count()

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit` orders that are left; there are none once the events are gone."""
        ids = list(Order.objects.filter(profile_id__in=subject.profile_ids).values_list("pk", flat=True)[:limit])
        return Order.objects.filter(pk__in=ids).delete()[0]


class Sessions:
    """Visits. They follow the events: when they are gone, so are the sessions that they made."""

    name = "sessions"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return every session, oldest first."""
        rows = Session.objects.filter(profile_id__in=subject.profile_ids).order_by("occurred_at", "id")
        sources = read_source_names()
        return {
            "sessions": [
                {
                    "source": sources.get(row.source_id),
                    "started_at": row.occurred_at,
                    "ended_at": row.ended_at,
                    "events": row.events,
                    "campaign": row.campaign,
                }
                for row in rows
            ]
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many sessions there are."""
        return Session.objects.filter(profile_id__in=subject.profile_ids).count()

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete all that are left: they are few beside the events that made them, whatever the limit."""
        del limit
        return Session.objects.filter(profile_id__in=subject.profile_ids).delete()[0]
