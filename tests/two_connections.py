"""A second session of the database, for tests of what happens between two."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from django.db import DatabaseError, connection


@contextmanager
def other_connection(**other: Any) -> Iterator[Any]:
    """Yield a cursor of a session of its own, in autocommit; its name is not the product's."""
    settings = {**connection.get_connection_params(), **other}
    settings["application_name"] = "tests"
    settings.pop("cursor_factory", None)
    other = psycopg2.connect(**settings)
    other.autocommit = True
    try:
        with other.cursor() as cursor:
            yield cursor
    finally:
        other.close()


def server_closed(words: str = "server closed the connection unexpectedly") -> DatabaseError:
    """Return the error of a server that ended while it was asked, as Django passes it on: it has no code."""
    error = DatabaseError(words)
    error.__cause__ = psycopg2.DatabaseError(words)
    return error
