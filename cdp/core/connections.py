"""Database connections that are kept between requests: what to do when one turns out to be dead."""

from collections.abc import Callable
from typing import TypeVar

import psycopg2
from django.db import DatabaseError, InterfaceError, OperationalError, connection

T = TypeVar("T")
AWAY = (OperationalError, InterfaceError, psycopg2.OperationalError, psycopg2.InterfaceError)


def database_is_away(error: BaseException) -> bool:
    """Tell whether an error of Django or the driver says that the database is away, whatever it was asked for.

    A server that ends while it is asked is told by the driver, depending on where it noticed, as an
    ``OperationalError``, an ``InterfaceError``, or a bare ``DatabaseError`` without a code of the server.
    """
    if isinstance(error, AWAY):
        return True
    driver = error if isinstance(error, psycopg2.Error) else error.__cause__
    return type(driver) is psycopg2.DatabaseError and getattr(driver, "pgcode", None) is None


def on_living_connection(run: Callable[[], T]) -> T:
    """Run something that asks the database; on a new connection if the old one turns out to be dead.

    Nobody asks the server before every request whether the connection lives: that would cost as much as the statement.
    Nor does anybody close it afterwards: collection is answered before Django's own cycle of a request, so that a
    connection which the server has ended would stay, and every further request on it fail.
    Inside a transaction (tests) nothing is tried twice.
    """
    try:
        return run()
    except (DatabaseError, InterfaceError) as error:
        if not database_is_away(error) or connection.in_atomic_block or connection.is_usable():
            raise
        connection.close()
        return run()
