"""The demo's messages as they are sent, against figures that are taken from the data without this product's code.

The newest quarter of the year, which is sent first; `DEMO_WEEKS=53` looks at all of it.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import Any

import pytest

from ingestion.demo.messages import Addressed
from ingestion.demo.reading import data_folder, read_journey, slice_starts
from ingestion.demo.shifting import shift_to_yesterday
from ingestion.demo.stages import accounts_stage, invent_households, people_stage, week_stages
from tests.ingestion.test_demo_data import needs_data

pc, pq = (pytest.importorskip(f"pyarrow.{name}") for name in ("compute", "parquet"))
pytestmark = needs_data

WEEKS = int(os.environ.get("DEMO_WEEKS", "13"))
WHOLE_YEAR = 53


@dataclass
class Year:
    """What was seen of all messages."""

    since: datetime
    beforehand: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    ids: set[str] = field(default_factory=set)
    stores: set[str] = field(default_factory=set)
    cards: set[str] = field(default_factory=set)
    revenue: float = 0.0
    lines: int = 0
    largest: int = 0
    coupons_with_order: int = 0
    last: str = ""

    def see(self, messages: list[Addressed]) -> None:
        """Count them."""
        for _, _, message in messages:
            name = message.get("event") or message["type"]
            self.kinds[name] += 1
            self.ids.add(message["messageId"])
            self.last = max(self.last, message["timestamp"])
            if name == "Order Completed":
                properties = message["properties"]
                self.revenue += properties["revenue"]
                self.lines += len(properties["products"])
                self.largest = max(self.largest, len(properties["products"]))
                self.stores.add(properties["store_id"])
                self.cards.add(message["context"]["externalIds"][0]["id"])
            elif name == "Coupon Applied":
                self.coupons_with_order += "order_id" in message["properties"]


@pytest.fixture(scope="module")
def year() -> Year:
    journey = read_journey(data_folder())
    shift = shift_to_yesterday(last_day=journey.last_day, today=date(2026, 11, 22))
    households = invent_households(journey)
    first = slice_starts(journey)[-WEEKS:][0]
    seen = Year(since=datetime(first.year, first.month, first.day))  # noqa: DTZ001 - the data's times name no zone
    seen.see(people_stage(journey, households, shift=shift))
    seen.see(accounts_stage(households, shift=shift))
    seen.beforehand = seen.kinds.total()
    for messages in islice(week_stages(journey, households, shift=shift), WEEKS):
        seen.see(messages)
    return seen


def rows(table: str, since: datetime, time: str) -> Any:
    """Return the rows of a table of the data from a time on."""
    content = pq.read_table(data_folder() / f"{table}.parquet")
    return content.filter(pc.greater_equal(content[time].cast("timestamp[us]"), since))


def days_of(table: str, since: datetime, time: str) -> list[tuple[int, date]]:
    """Return the household and the day of each row."""
    found = rows(table, since, time)
    times = found[time].cast("timestamp[us]").to_pylist()
    return [(who, at.date()) for who, at in zip(found["household_id"].to_pylist(), times, strict=True)]


def test_sends_every_line_of_the_complete_journey(year: Year) -> None:
    lines = rows("transactions", year.since, "transaction_timestamp")
    assert year.kinds["Order Completed"] == pc.count_distinct(lines["basket_id"]).as_py()
    assert year.lines == lines.num_rows
    assert year.revenue == pytest.approx(pc.sum(lines["sales_value"]).as_py(), abs=0.01)
    assert len(year.stores) == pc.count_distinct(lines["store_id"]).as_py()
    assert len(year.cards) == pc.count_distinct(lines["household_id"]).as_py()
    assert year.largest == pc.max(pc.value_counts(lines["basket_id"]).field("counts")).as_py()
    if WEEKS >= WHOLE_YEAR:
        assert (year.kinds["Order Completed"], year.lines) == (155_848, 1_469_307)
        assert round(year.revenue, 2) == 4_596_039.58
        assert (len(year.stores), year.largest, len(year.cards)) == (457, 161, 2_469)


def test_sends_every_campaign_and_redemption(year: Year) -> None:
    # Those that began before the data does are sent with its first week.
    since = year.since if WEEKS < WHOLE_YEAR else datetime(1970, 1, 1)  # noqa: DTZ001 - as above
    begun = rows("campaign_descriptions", since, "start_date")["campaign_id"].to_pylist()
    sent_to = pq.read_table(data_folder() / "campaigns.parquet")["campaign_id"].to_pylist()
    assert year.kinds["Campaign Received"] == sum(sent_to.count(campaign) for campaign in begun)
    bought = set(days_of("transactions", year.since, "transaction_timestamp"))
    redeemed = days_of("coupon_redemptions", year.since, "redemption_date")
    assert year.kinds["Coupon Applied"] == len(redeemed)
    # Some are of days on which the household bought nothing.
    assert year.coupons_with_order == sum(day in bought for day in redeemed) < len(redeemed)
    if WEEKS >= WHOLE_YEAR:
        assert (year.kinds["Campaign Received"], len(redeemed), year.coupons_with_order) == (6_589, 2_102, 2_102 - 233)


def test_invents_less_than_the_data_has(year: Year) -> None:
    real = sum(year.kinds[name] for name in ("Order Completed", "Campaign Received", "Coupon Applied"))
    # Who the people are is told for the whole year, before its weeks.
    invented = year.kinds.total() - real - year.beforehand * (WEEKS < WHOLE_YEAR)
    assert 50_000 * WEEKS / WHOLE_YEAR < invented < real


def test_sends_no_message_twice_and_none_after_yesterday(year: Year) -> None:
    assert len(year.ids) == year.kinds.total()
    assert year.last.startswith("2026-11-21")
