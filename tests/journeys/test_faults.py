"""What is accepted is accounted for, whatever dies."""

import concurrent.futures
import subprocess
import sys

import psycopg2
import pytest

from tests.journeys.calling import call, counts, new_key, new_source, post, wait_for

BATCHES = 40
ITEMS = 250


def batches(prefix):
    """Forty requests of 250 messages about 1 000 people, each message once."""
    for batch in range(BATCHES):
        yield {
            "batch": [
                {
                    "type": "track",
                    "event": "Seen",
                    "messageId": f"{prefix}-{batch}-{number}",
                    "userId": f"{prefix}-{(batch * ITEMS + number) % 1000}",
                    "anonymousId": f"{prefix}-anon-{(batch * ITEMS + number) % 1000}",
                }
                for number in range(ITEMS)
            ]
        }


def database(product):
    """Open the product's database."""
    return psycopg2.connect(product.manage("database_url"))


def check_everything_is_there(product, name, key):
    """All 10 000 messages accepted once; 1 000 people, each with their ten events."""
    wait_for(lambda: counts(product, name, key)["pending"] == 0, seconds=120)
    found = counts(product, name, key)
    # A client whose answer was lost sends again: that makes duplicates, which are counted as such.
    assert found["accepted"] == BATCHES * ITEMS
    assert found["received"] == found["accepted"] + found["duplicate"]
    with database(product) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(DISTINCT e.message_id), count(DISTINCT e.profile_id) FROM profiles_event e "
            "JOIN ingestion_source s ON s.id = e.source_id WHERE s.key = %s",
            [name],
        )
        assert cursor.fetchone() == (BATCHES * ITEMS, BATCHES * ITEMS, 1000)


@pytest.mark.parametrize("victim", ["ingest", "web", "postgres"])
def test_loses_and_doubles_nothing_when_a_process_is_killed(product, victim):
    name, write_key = new_source(product)
    key = new_key(product, "sources:read")
    waiting = list(batches(f"{name}-{victim}"))
    for number, batch in enumerate(waiting):
        if number in {10, 25}:
            # It may still be on its way back from the first time.
            product.wait_until(lambda: victim in product.children())
            product.kill(victim)
        send_until_accepted(product, batch, write_key)
    check_everything_is_there(product, name, key)


def send_until_accepted(product, batch, write_key):
    """Send a batch again until it is answered 200, as an SDK does. A lost answer makes duplicates, never losses."""

    def attempt():
        try:
            post(product, "/v1/batch", batch, key=write_key)
        except OSError:
            return False
        return True

    wait_for(attempt, seconds=90)


def test_loses_nothing_when_the_broker_is_flushed(product):
    name, write_key = new_source(product)
    key = new_key(product, "sources:read")
    for number, batch in enumerate(batches(name)):
        post(product, "/v1/batch", batch, key=write_key)
        if number % 10 == 5:
            flush(product)
    check_everything_is_there(product, name, key)


def flush(product):
    """Empty the broker."""
    code = (
        "from cdp.embedded import export_environment; export_environment(); import os, redis; "
        "redis.Redis.from_url(os.environ['CDP_BROKER_URL'].replace('redis+socket', 'unix')).flushall()"
    )
    subprocess.run([sys.executable, "-c", code], env=product.env, check=True, capture_output=True)


def test_makes_one_profile_of_the_same_first_message_from_eight_clients(product):
    name, write_key = new_source(product)
    key = new_key(product)
    message = {"type": "identify", "userId": f"{name}-u", "anonymousId": f"{name}-a", "messageId": f"{name}-m"}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda _: post(product, "/v1/identify", message, key=write_key), range(8)):
            pass
    wait_for(lambda: counts(product, name, key)["pending"] == 0)
    found = counts(product, name, key)
    assert (found["received"], found["accepted"], found["duplicate"]) == (8, 1, 7)
    (row,) = call(product, "GET", f"/api/v1/messages?message_id={name}-m&source={name}", key=key)["results"]
    assert (row["outcome"], row["copies"]) == ("accepted", 8)


def test_drains_what_waits(product):
    name, write_key = new_source(product)
    key = new_key(product, "sources:read")
    for batch in list(batches(name))[:4]:
        post(product, "/v1/batch", batch, key=write_key)
    product.manage("drain")
    found = counts(product, name, key)
    assert (found["pending"], found["accepted"]) == (0, 1000)
