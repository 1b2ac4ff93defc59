"""Trying an act again that lost a deadlock: the database ends one of two transactions that wait for each other."""

import functools
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection

ATTEMPTS = 4
PAUSE_SECONDS = 0.05
# deadlock_detected, serialization_failure
TRANSIENT = frozenset({"40P01", "40001"})

P = ParamSpec("P")
R = TypeVar("R")


def retry_deadlocks(act: Callable[P, R]) -> Callable[P, R]:
    """Make a service that is one transaction try again, so that no caller ever sees a deadlock.

    Within a transaction of the caller nothing can be tried again: that one has to begin anew as a whole.
    """

    @functools.wraps(act)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> R:
        if connection.in_atomic_block:
            return act(*args, **kwargs)
        for number in range(1, ATTEMPTS):
            try:
                return act(*args, **kwargs)
            except OperationalError as error:
                if getattr(error.__cause__, "pgcode", None) not in TRANSIENT:
                    raise
                time.sleep(PAUSE_SECONDS * number)
        return act(*args, **kwargs)

    return attempt
