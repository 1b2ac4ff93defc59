"""Keeping the lease of a privacy request while its worker lives, however long one statement takes.

The search of a large installation reads a partition of events for minutes. Renewed between statements alone, the lease
would run out meanwhile, another worker would begin anew and run out in turn, and the erasure would never end.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from django.db import DatabaseError, connection

from consent.models import PrivacyRequest

# A worker that died is followed after this.
LEASE = timedelta(seconds=60)
RENEW_SECONDS = 15.0


@contextmanager
def kept_lease(*, request_id: str, fence: int, clock: Callable[[], datetime]) -> Iterator[None]:
    """Renew the lease of a request from a thread of its own until the work is over or another worker has it."""
    over = threading.Event()
    thread = threading.Thread(target=_renew, args=(request_id, fence, clock, over), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _renew(request_id: str, fence: int, clock: Callable[[], datetime], over: threading.Event) -> None:
    # One that was given back (null) stays so: it may be taken at once.
    held = PrivacyRequest.objects.filter(
        id=request_id, fence=fence, status=PrivacyRequest.Status.RUNNING, lease_until__isnull=False
    )
    try:
        while not over.wait(RENEW_SECONDS):
            # A database that is away for a moment is the worker's own to notice.
            with suppress(DatabaseError):
                if not held.update(lease_until=clock() + LEASE):
                    return
    finally:
        connection.close()
