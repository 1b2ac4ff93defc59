"""Withdrawals against sending, on two connections, and a worker that is killed for real."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from profiles.models import Identifier
from segments.sending_models import Activated, Delivery, Destination
from segments.services.sending.delivering import LINES, send_deliveries
from tests.listening import LOCAL, OtherServer, Received
from tests.segments.audience import audience, decide
from tests.segments.delivering import deliver, destination, told

pytestmark = pytest.mark.usefixtures("committed")

# How many withdraw while they are being sent; `DELIVERY_RACES=1000` for the figure of the reference.
PEOPLE = int(os.environ.get("DELIVERY_RACES", "60"))
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _open_to_this_machine(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL


def person_in(request: Received) -> str:
    return json.loads(request.body)["data"]["person"]["id"]


def test_no_send_starts_a_second_after_a_withdrawal(record_property):
    users = [f"user-{number}" for number in range(PEOPLE)]
    audience(users)
    names = dict(Identifier.objects.filter(type__key="user_id").values_list("value", "profile__uuid"))
    arrived: dict[str, float] = {}
    withdrawn: dict[str, float] = {}
    over = threading.Event()

    def reply(request: Received) -> tuple[int, dict[str, str], bytes]:
        if b"audience.entered" in request.body:
            arrived.setdefault(person_in(request), time.monotonic())
        # Slow enough that windows are under way while people withdraw.
        time.sleep(random.uniform(0, 0.1))
        return 200, {}, b"{}"

    def withdraw() -> None:
        try:
            for user in random.sample(users, len(users)):
                decide(user, "withdrawn")
                # Measured after the commit; what the receiver saw later than that started no later either.
                withdrawn[str(names[user])] = time.monotonic()
        finally:
            connection.close()
            over.set()

    with OtherServer(reply) as other:
        destination(other)
        thread = threading.Thread(target=withdraw)
        thread.start()
        while not over.is_set():
            send_deliveries(seconds=1)
        thread.join()
        for _ in range(4):
            send_deliveries(seconds=5)
        late = sorted(arrived[one] - at for one, at in withdrawn.items() if arrived.get(one, 0) > at)
        removed = {person for event, person in told(other) if event == "audience.left"}
    print(
        f"\n{len(withdrawn)} withdrawals: {len(arrived)} were sent, {len(late)} of these after the commit, "
        f"the latest {max(late, default=0):.3f} s after it; {len(removed)} removals"
    )
    record_property("latest_seconds", max(late, default=0))
    assert max(late, default=0) < 1.0
    # Whoever was sent is removed, and the receiver is known to have nobody.
    assert removed >= set(arrived)
    assert not Activated.objects.exists()
    assert not Delivery.objects.exists()


WORKER = """
import django; django.setup()
from segments.services.sending.delivering import send_deliveries
print("ready", flush=True)
send_deliveries(seconds=30)
"""


def start_worker() -> subprocess.Popen:
    held = connection.settings_dict
    url = (
        f"postgres://{held['USER']}:{held['PASSWORD']}@{held['HOST'].replace('/', '%2F')}:{held['PORT']}/{held['NAME']}"
    )
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "cdp.settings",
        "CDP_DATABASE_URL": url,
        "CDP_OUTGOING_ALLOW": ",".join(LOCAL),
    }
    return subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT, env=env, stdout=subprocess.PIPE)


def test_a_killed_worker_loses_nobody_and_doubles_at_most_what_was_under_way():
    audience([f"user-{number}" for number in range(30)])
    started = threading.Event()

    def reply(_: Received) -> tuple[int, dict[str, str], bytes]:
        started.set()
        time.sleep(0.3)
        return 200, {}, b"{}"

    with OtherServer(reply) as other:
        destination(other)
        for _ in range(2):
            started.clear()
            worker = start_worker()
            assert started.wait(60)
            time.sleep(0.05)
            worker.send_signal(signal.SIGKILL)
            worker.communicate()
            # The lock goes with the dead worker's connection, the lease with time.
            Delivery.objects.filter(state="sending").update(due_at=timezone.now())
        other.reply = lambda _: (200, {}, b"{}")
        time.sleep(0.5)
        for _ in range(3):
            deliver()
        people = [person for _, person in told(other)]
        ids: dict[str, set[str]] = {}
        for request in other.received:
            ids.setdefault(person_in(request), set()).add(request.headers["webhook-id"])
    assert len(set(people)) == 30
    # Each kill doubles at most what its lines had under way, each under the id that it had.
    assert len(people) - 30 <= 2 * LINES
    assert {len(found) for found in ids.values()} == {1}
    assert not Delivery.objects.exists()
    assert Activated.objects.filter(confirmed_at=None).count() == 0
    assert Destination.objects.get().failures == 0
