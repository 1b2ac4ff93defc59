"""Exchange rates: what a unit of a currency is worth in the installation's, from a day on until the next."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from cdp.core.errors import FieldError
from cdp.core.services.audit import record
from cdp.core.services.jobs import enqueue
from profiles.errors import BadRates, NoSuchRate
from profiles.models import ExchangeRate
from profiles.services.orders import JOB

CURRENCY = re.compile(r"[A-Z]{3}")
COLUMNS = ("date", "currency", "rate")
MOST_RATES = 20_000
MOST_ERRORS = 20
MOST_CHARACTERS = 40
LARGEST = Decimal(10) ** 12
DECIMALS = 12

SET = """
INSERT INTO profiles_exchangerate (currency, valid_on, rate, created_at, created_by)
SELECT c, d, r, %s, %s FROM unnest(%s::text[], %s::date[], %s::numeric[]) AS t(c, d, r)
ON CONFLICT (currency, valid_on) DO UPDATE SET rate = excluded.rate, created_at = excluded.created_at,
    created_by = excluded.created_by WHERE profiles_exchangerate.rate <> excluded.rate
RETURNING currency, xmax = 0
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """One row of the table: `rate` units of the installation's currency for one unit of `currency`."""

    currency: str
    valid_on: date
    rate: Decimal


@dataclass(frozen=True, slots=True)
class RatesSet:
    """What became of rates that were given."""

    created: int
    changed: int
    unchanged: int


def read_rates(rows: Iterable[Mapping[str, Any]], *, first: int = 1, name: str = "rates") -> list[Rate]:
    """Read rates from rows of `date`, `currency` and `rate`; the last one of a currency and day counts.

    Parameters
    ----------
    first : int
        Number of the first row, for the errors.

    Raises
    ------
    BadRates
        Naming every row that is none, up to 20; nothing of the others is used either.
    """
    found: dict[tuple[str, date], Rate] = {}
    errors: list[FieldError] = []
    for number, row in enumerate(rows, first):
        rate = _read_rate(row)
        if isinstance(rate, str):
            errors.append(FieldError(f"{name}[{number}]", "rates.invalid", rate))
        else:
            found[rate.currency, rate.valid_on] = rate
        if len(errors) >= MOST_ERRORS or number - first >= MOST_RATES:
            break
    if errors:
        message = f"Nothing was changed. The first fault is {errors[0].path}: {errors[0].message}"
        raise BadRates(message, errors=errors)
    if not found or len(found) > MOST_RATES:
        message = f"Give 1 to {MOST_RATES} rates, each with {', '.join(COLUMNS)}."
        raise BadRates(message)
    return list(found.values())


def _read_rate(row: Mapping[str, Any]) -> Rate | str:
    """Return the rate, or what is wrong with it."""
    currency = str(row.get("currency") or "").strip().upper()
    if not CURRENCY.fullmatch(currency):
        return "currency must be three letters (ISO 4217), e.g. USD."
    if currency == settings.CDP_CURRENCY:
        return f"{currency} is the installation's own currency (CDP_CURRENCY); it needs no rate."
    try:
        valid_on = date.fromisoformat(str(row.get("date") or "").strip()[:MOST_CHARACTERS])
    except ValueError:
        return "date must be a day, e.g. 2026-01-31."
    try:
        rate = Decimal(str(row.get("rate", "")).strip()[:MOST_CHARACTERS])
    except InvalidOperation:
        return "rate must be a number with a point, e.g. 0.92."
    if not rate.is_finite() or not 0 < rate < LARGEST or round(rate, DECIMALS) == 0:
        return f"rate must be above 0: how much one {currency} is worth in {settings.CDP_CURRENCY}."
    return Rate(currency, valid_on, round(rate, DECIMALS))


def read_rates_file(content: bytes) -> list[Rate]:
    """Read a CSV file with the columns date, currency and rate, separated by comma, semicolon or tab.

    Raises
    ------
    BadRates
        If it is not UTF-8, lacks a column, or a row is no rate.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = "The file is not UTF-8 text. Save it as CSV in UTF-8."
        raise BadRates(message) from error
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        message = f"The first line must name the columns {', '.join(COLUMNS)}; {missing[0]} is missing."
        raise BadRates(message)
    rows = ({column: row.get(names[column]) for column in COLUMNS} for row in reader)
    return read_rates(rows, first=2, name="line")


def set_rates(*, rates: list[Rate], actor: str, now: datetime) -> RatesSet:
    """Add rates and replace those of the same currency and day; orders in these currencies are converted anew."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            SET,
            [
                now,
                actor,
                [rate.currency for rate in rates],
                [rate.valid_on for rate in rates],
                [rate.rate for rate in rates],
            ],
        )
        rows = cursor.fetchall()
        created = sum(new for _, new in rows)
        if rows:
            _convert_again({currency for currency, _ in rows}, now)
            detail = {"created": created, "changed": len(rows) - created}
            record(actor=actor, action="exchange_rates.set", object="exchange_rates", detail=detail, now=now)
    return RatesSet(created, len(rows) - created, len(rates) - len(rows))


def delete_rate(*, rate_id: int, actor: str, now: datetime) -> None:
    """Take a rate away; orders in its currency are converted anew.

    Raises
    ------
    NoSuchRate
        If there is none with this id.
    """
    with transaction.atomic():
        rate = ExchangeRate.objects.select_for_update().filter(pk=rate_id).first()
        if rate is None:
            message = "No exchange rate has this id."
            raise NoSuchRate(message)
        rate.delete()
        _convert_again({rate.currency}, now)
        detail = {"currency": rate.currency, "date": rate.valid_on.isoformat()}
        record(actor=actor, action="exchange_rates.deleted", object="exchange_rates", detail=detail, now=now)


def _convert_again(currencies: set[str], now: datetime) -> None:
    enqueue(kind=JOB, arguments={"currencies": sorted(currencies)}, now=now)
