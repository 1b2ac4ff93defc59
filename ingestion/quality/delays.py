"""How late messages came, as a histogram that can be added up: times from occurrence to receipt."""

from bisect import bisect_left
from collections.abc import Sequence

# Upper bounds in seconds; what took longer than the last is in one more bucket.
BOUNDS = (1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600)
BUCKETS = len(BOUNDS) + 1
# What came later than this is late: one of the bounds, so that the histogram tells it exactly.
LATE_SECONDS = 3600
_ON_TIME = BOUNDS.index(LATE_SECONDS) + 1


def bucket_of(seconds: float) -> int:
    """Return the bucket of a delay; what seems to have come before it happened is in the first."""
    return bisect_left(BOUNDS, seconds)


def count_late(delays: Sequence[int]) -> int:
    """Return how many of the messages of a histogram came later than `LATE_SECONDS`."""
    return sum(delays[_ON_TIME:])


def percentile(delays: Sequence[int], share: float) -> float | None:
    """Return the delay within which a share of the messages came, in seconds, interpolated within its bucket.

    Parameters
    ----------
    delays : sequence of int
        Counts by bucket.
    share : float
        From 0 to 1: 0.5 for the median.

    Returns
    -------
    float or None
        At most the last bound, also where it took longer; None without messages.
    """
    total = sum(delays)
    if total <= 0:
        return None
    wanted = min(max(share, 0.0), 1.0) * total
    below = 0
    for place, count in enumerate(delays):
        if count and below + count >= wanted:
            low = BOUNDS[place - 1] if place else 0
            high = BOUNDS[place] if place < len(BOUNDS) else low
            return low + (high - low) * (wanted - below) / count
        below += count
    return float(BOUNDS[-1])
