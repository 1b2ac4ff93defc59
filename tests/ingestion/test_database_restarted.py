"""The database was away: the connection that collection has kept is dead, and nobody but itself will notice."""

from contextlib import closing

import psycopg2
import pytest
from django.db import connection

from ingestion.queries.write_keys import forget_write_keys
from tests.ingestion.door import TRACK, make_source, outcomes, post, process

pytestmark = pytest.mark.usefixtures("committed")


def end_connection():
    """End the connection of this thread from the side of the server."""
    wanted = ("dbname", "user", "password", "host", "port")
    parameters = connection.get_connection_params()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    with closing(psycopg2.connect(**{name: parameters[name] for name in wanted if parameters.get(name)})) as other:
        other.autocommit = True
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            assert cursor.fetchone() == (True,)


@pytest.mark.parametrize("remembers", [True, False])
def test_takes_messages_in_on_a_new_connection(remembers):
    key = make_source()
    assert post("/v1/track", {**TRACK, "messageId": "before"}, key).status_code == 200
    end_connection()
    if not remembers:
        # As after the two seconds for which a key is remembered.
        forget_write_keys()
    assert post("/v1/track", {**TRACK, "messageId": "after"}, key).status_code == 200
    end_connection()
    forget_write_keys()
    assert post("/v1/batch", {"batch": [{**TRACK, "messageId": "later"}]}, key).status_code == 200
    process()
    assert outcomes() == {"accepted": 3}
