"""What is accepted is accounted for, to the message, whatever dies."""

import concurrent.futures
import os

import pytest

from tests.faults.acts import FAULTS
from tests.faults.campaign import product_for, strike
from tests.faults.disk import NoSmallDisk
from tests.journeys.calling import call, counts, new_key, new_source, post, wait_for

# Each fault this often; `python -m tests.faults` does it longer, and prints the account.
TIMES = int(os.environ.get("FAULT_TIMES", "1"))


def check(name, product):
    fault = FAULTS[name]
    account, _ = strike(fault, product, times=TIMES)
    assert account.unsound == []
    assert (account.accepted, account.lost, account.doubled) == (account.sent, 0, 0)
    assert account.set_aside == fault.sets_aside * TIMES


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if not fault.disk_megabytes])
def test_loses_and_doubles_nothing(product, name):
    check(name, product)


def test_loses_and_doubles_nothing_when_the_disk_is_full():
    try:
        with product_for(FAULTS["disk"]) as product:
            check("disk", product)
    except NoSmallDisk as error:
        pytest.skip(f"NO SMALL DISK CAN BE MOUNTED, so a full one was not tried: {error}")


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
    for batch in range(4):
        items = [
            {"type": "track", "event": "Seen", "messageId": f"{name}-{batch}-{number}", "userId": f"{name}-{number}"}
            for number in range(250)
        ]
        post(product, "/v1/batch", {"batch": items}, key=write_key)
    product.manage("drain")
    found = counts(product, name, key)
    assert (found["pending"], found["accepted"]) == (0, 1000)
