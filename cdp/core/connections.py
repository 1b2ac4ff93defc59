"""Database connections that are kept between requests: what to do when one turns out to be dead."""

from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

T = TypeVar("T")


def on_living_connection(run: Callable[[], T]) -> T:
    """Run something that asks the database; on a new connection if the old one turns out to be dead.

    Nobody asks the server before every request whether the connection lives: that would cost as much as the statement.
    Nor does anybody close it afterwards: collection is answered before Django's own cycle of a request, so that a
    connection which the server has ended would stay, and every further request on it fail.
    Inside a transaction (tests) nothing is tried twice.
    """
    try:
        return run()
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block or connection.is_usable():
            raise
        connection.close()
        return run()
