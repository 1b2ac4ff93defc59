"""The whole year as it is sent, against figures that were computed independently of this product."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

import pytest

from ingestion.demo.messages import Addressed
from ingestion.demo.reading import data_folder, read_journey
from ingestion.demo.shifting import shift_to_yesterday
from ingestion.demo.stages import accounts_stage, invent_households, people_stage, week_stages
from tests.ingestion.test_demo_data import needs_data

pytestmark = needs_data


@dataclass
class Year:
    """What was seen of all messages."""

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
    seen = Year()
    seen.see(people_stage(journey, households, shift=shift))
    seen.see(accounts_stage(households, shift=shift))
    for messages in week_stages(journey, households, shift=shift):
        seen.see(messages)
    return seen


def test_sends_every_line_of_the_complete_journey(year: Year) -> None:
    assert year.kinds["Order Completed"] == 155_848
    assert year.lines == 1_469_307
    assert round(year.revenue, 2) == 4_596_039.58
    assert (len(year.stores), year.largest, len(year.cards)) == (457, 161, 2_469)


def test_sends_every_campaign_and_redemption(year: Year) -> None:
    assert year.kinds["Campaign Received"] == 6_589
    assert year.kinds["Coupon Applied"] == 2_102
    # 233 redemptions are of days on which the household bought nothing.
    assert year.coupons_with_order == 2_102 - 233


def test_invents_less_than_the_data_has(year: Year) -> None:
    real = sum(year.kinds[name] for name in ("Order Completed", "Campaign Received", "Coupon Applied"))
    invented = year.kinds.total() - real
    assert 100_000 < invented < real


def test_sends_no_message_twice_and_none_after_yesterday(year: Year) -> None:
    assert len(year.ids) == year.kinds.total()
    assert year.last.startswith("2026-11-21")
