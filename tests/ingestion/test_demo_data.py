# ruff: noqa: DTZ001 - the data's times name no zone
"""The demo's data as it is read: against figures that were computed independently of this product."""

from datetime import date, datetime
from pathlib import Path

import pytest

from ingestion.demo.errors import DemoUnavailable
from ingestion.demo.reading import Journey, baskets_from, data_folder, read_journey, slice_starts

try:
    FOLDER: Path | None = data_folder()
except DemoUnavailable as missing:
    FOLDER, WHY = None, f"THE DEMO IS NOT TESTED. {missing.message}"
else:
    WHY = ""
needs_data = pytest.mark.skipif(FOLDER is None, reason=WHY)


@pytest.fixture(scope="module")
def journey() -> Journey:
    assert FOLDER is not None
    return read_journey(FOLDER)


@needs_data
def test_reads_households_campaigns_and_coupons(journey: Journey) -> None:
    assert len(journey.household_ids) == 2_469
    assert len(journey.demographics) == 801
    assert len(journey.campaigns) == 27
    assert sum(len(campaign.household_ids) for campaign in journey.campaigns) == 6_589
    assert sum(map(len, journey.redemptions.values())) == 2_102
    assert (journey.first_day, journey.last_day) == (date(2017, 1, 1), date(2018, 1, 1))


@needs_data
def test_gives_each_basket_once_and_in_the_order_of_time(journey: Journey) -> None:
    starts = slice_starts(journey)
    last_slice = baskets_from(journey, starts[-1])
    times = [basket.at for basket in last_slice]
    assert times == sorted(times)
    assert times[-1] == datetime(2018, 1, 1, 4, 1, 20)
    assert len({basket.id for basket in last_slice}) == len(last_slice)


@needs_data
def test_takes_the_first_households_only() -> None:
    assert FOLDER is not None
    few = read_journey(FOLDER, households=3)
    assert few.household_ids == (1, 2, 3)
    found = [basket for start in slice_starts(few) for basket in baskets_from(few, start)]
    assert {basket.household_id for basket in found} == {1, 2, 3}
    assert len(found) == few.basket_count
    assert few.last_day == date(2018, 1, 1)


@needs_data
def test_describes_products_in_segments_words(journey: Journey) -> None:
    assert journey.products[26190] == {
        "product_id": "26190",
        "name": "APPLE SAUCE",
        "category": "FRUIT - SHELF STABLE",
        "department": "GROCERY",
        "brand": "Private",
    }
    assert journey.products[26081] == {"product_id": "26081", "department": "MISCELLANEOUS", "brand": "National"}


def test_says_how_to_install_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestion.demo.reading.PACKAGE", "a_package_that_nobody_has")
    with pytest.raises(DemoUnavailable, match=r"requirements/demo\.txt"):
        data_folder()
