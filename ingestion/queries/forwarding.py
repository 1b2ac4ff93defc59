"""How forwarding goes, in numbers."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection

from ingestion.models import ForwardedCopy, Forwarding

MEGABYTE = 1024 * 1024
STATE = """
SELECT count(*) FILTER (WHERE dead_at IS NULL), coalesce(sum(size) FILTER (WHERE dead_at IS NULL), 0),
    min(received_at) FILTER (WHERE dead_at IS NULL), count(*) FILTER (WHERE dead_at IS NOT NULL)
FROM ingestion_forwardedcopy WHERE source_id = %s
"""
REASONS = """
SELECT reason, count(*) FROM ingestion_forwardedcopy WHERE source_id = %s AND dead_at IS NOT NULL
GROUP BY reason ORDER BY 2 DESC, 1 LIMIT 10
"""
GAUGES = """
SELECT count(*) FILTER (WHERE dead_at IS NULL), count(*) FILTER (WHERE dead_at IS NOT NULL) FROM ingestion_forwardedcopy
"""


@dataclass(frozen=True, slots=True)
class ForwardingState:
    """What waits and what was given up.

    Attributes
    ----------
    state : str
        ``off``; ``paused`` after a failure, until `Forwarding.retry_at`; ``full``; else ``on``.
    reasons : list of tuple
        Why copies were given up, with how many: ``expired`` or ``http 400`` and the like.
    """

    state: str
    waiting: int
    waiting_bytes: int
    limit_bytes: int
    oldest_at: datetime | None
    dead: int
    reasons: list[tuple[str, int]]


def read_forwarding_state(*, forwarding: Forwarding, now: datetime) -> ForwardingState:
    """Return how the forwarding of one source goes."""
    with connection.cursor() as cursor:
        cursor.execute(STATE, [forwarding.pk])
        waiting, size, oldest_at, dead = cursor.fetchone()
        cursor.execute(REASONS, [forwarding.pk])
        reasons = cursor.fetchall()
    if not forwarding.enabled:
        state = "off"
    elif forwarding.is_full:
        state = "full"
    else:
        state = "paused" if forwarding.retry_at is not None and forwarding.retry_at > now else "on"
    return ForwardingState(
        state, waiting, int(size), settings.CDP_FORWARD_MAX_MB * MEGABYTE, oldest_at, dead, list(reasons)
    )


def gauge_forwarding() -> list[tuple[str, str, float]]:
    """Return what `/metrics` says of forwarding; nothing where no source forwards."""
    if not Forwarding.objects.exists() and not ForwardedCopy.objects.exists():
        return []
    with connection.cursor() as cursor:
        cursor.execute(GAUGES)
        waiting, dead = cursor.fetchone()
    return [
        ("cdp_forwarding_waiting", "Copies of requests that wait to be sent on.", waiting),
        ("cdp_forwarding_given_up", "Copies of requests that could not be delivered.", dead),
        (
            "cdp_forwarding_full",
            "Sources whose requests are accepted without a copy.",
            Forwarding.objects.filter(is_full=True).count(),
        ),
    ]
