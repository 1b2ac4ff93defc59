"""Whether a request of a source that forwards is copied: not while too many copies wait, and that is counted.

Taking in never fails, and never waits, because the other system does not answer.
"""

import threading
import time
from collections import Counter

from ingestion.queries.write_keys import KnownSource
from ingestion.services.forwarding import count_not_copied, measure_copies

MEASURED_SECONDS = 5.0

_lock = threading.Lock()
_not_copied: Counter[int] = Counter()
_measured_at = 0.0


def may_copy(source: KnownSource) -> bool:
    """Tell whether a copy may be written; if not, count the request."""
    if source.forwarding_is_full:
        with _lock:
            _not_copied[source.id] += 1
    return not source.forwarding_is_full


def count_uncopied() -> None:
    """Write down how many requests were not copied, and now and then measure how many copies wait.

    Called each second. The worker measures, too; this is for when there is none.
    """
    global _measured_at  # noqa: PLW0603 - one clock per process
    with _lock:
        counts = dict(_not_copied)
        _not_copied.clear()
    if counts:
        count_not_copied(counts)
    if time.monotonic() - _measured_at >= MEASURED_SECONDS:
        _measured_at = time.monotonic()
        measure_copies()
