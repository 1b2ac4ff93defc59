"""Several workers at the same inbox, each message sent twice."""

import threading
from datetime import UTC, datetime

import pytest
from django.db import connection

from ingestion.services.process import process_batch
from tests.ingestion.door import TRACK, event_count, inbox, make_source, outcomes, post, process

pytestmark = pytest.mark.usefixtures("committed")
WORKERS = 3
REQUESTS = 24
ITEMS = 5


def test_stores_each_message_once():
    key = make_source()
    for copy in range(2):
        for request in range(REQUESTS):
            # The copy comes with other neighbours than the first, so that both are in different batches.
            numbers = [(request + copy * 7 + place * REQUESTS) % (REQUESTS * ITEMS) for place in range(ITEMS)]
            post("/v1/batch", {"batch": [{**TRACK, "messageId": f"m-{number}"} for number in numbers]}, key)
    began = threading.Barrier(WORKERS)
    done = []

    def work():
        began.wait()
        try:
            while items := process_batch(now=datetime.now(UTC), max_items=20):
                done.append(items)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    process()
    assert inbox() == []
    assert sum(done) <= 2 * REQUESTS * ITEMS
    assert outcomes() == {"accepted": REQUESTS * ITEMS, "duplicate": REQUESTS * ITEMS}
    assert event_count() == REQUESTS * ITEMS
