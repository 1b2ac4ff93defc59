"""Sends an identify, a track and a page with one of the Python SDKs, and prints the faults that it reported.

Run as a process of its own, so that the clock can be wrong and old SDKs have their own libraries.
"""

import datetime
import json
import os
import sys

SKEW = datetime.timedelta(seconds=float(os.environ.get("SKEW_SECONDS", "0")))
REAL = datetime.datetime


class Clock(type(REAL)):  # type: ignore[misc]
    """Takes every time for a time of this clock, as libraries ask."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, REAL)


class Skewed(REAL, metaclass=Clock):
    """The clock of a machine that is wrong; the SDK is left as it is."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> REAL:
        """Answer the wrong time."""
        return REAL.now(tz) + SKEW

    @classmethod
    def utcnow(cls) -> REAL:
        """Answer the wrong time."""
        return REAL.now(datetime.UTC).replace(tzinfo=None) + SKEW


datetime.datetime = Skewed  # type: ignore[misc]

given = json.loads(sys.argv[1])
if given["sdk"] == "segment":
    from segment.analytics.client import Client
elif given["sdk"] == "rudder":
    from rudderstack.analytics.client import Client
elif given["sdk"] == "customerio":
    from customerio.analytics.client import Client
else:
    from analytics.client import Client

faults: list[str] = []
client = Client(
    given["key"],
    host=given["host"],
    on_error=lambda fault, _items: faults.append(str(getattr(fault, "status", None) or type(fault).__name__)),
    max_retries=4,
    **given["options"],
)
person = given["person"]
client.identify(person, {"email": f"{person}@customer.example", "plan": "pro"})
client.track(person, "Order Completed", given["properties"])
client.page(person, name="Docs", properties={"url": "https://shop.example/docs"})
client.flush()
client.join()
print(json.dumps(faults))
