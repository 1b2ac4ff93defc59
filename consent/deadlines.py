"""When a privacy request must be answered: pure calendar rules.

References
----------
GDPR Art. 12(3) with Regulation (EEC, Euratom) No 1182/71 Art. 3: the day of receipt does not count; a period of
months ends with the last hour of the day of the same number, or of the month's last day; a period that ends on a
weekend or holiday ends with the next working day. CCPA regulations §7021: confirm within 10 business days, answer
within 45 calendar days, 90 when extended, whatever verifying takes; §7026: opt-outs within 15 business days.
"""

import calendar
from collections.abc import Container
from datetime import date, timedelta

GDPR = "gdpr"
CCPA = "ccpa"
REGULATIONS = (GDPR, CCPA)
OPT_OUT = "opt_out"
# Before its last day, how many days an answer is called urgent.
URGENT_DAYS = 5

_MONTHS = {False: 1, True: 3}
_DAYS = {False: 45, True: 90}
_CONFIRM_BUSINESS_DAYS = 10
_OPT_OUT_BUSINESS_DAYS = 15
_FIRST_WEEKEND_DAY = 5


def due_on(
    *,
    received_on: date,
    regulation: str,
    extended: bool = False,
    holidays: Container[date] = (),
    type: str = "",
    paused_days: int = 0,
) -> date:
    """Return the last day on which a request may be answered.

    Parameters
    ----------
    received_on : date
        The day of receipt, where the installation is.
    regulation : str
        ``gdpr`` or ``ccpa``; anything else is counted like ``gdpr``, the shorter of both.
    extended : bool
        Whether the period was extended: three months or 90 days in all.
    holidays : container of date
        Days that are no working days besides Saturdays and Sundays. The 45 and 90 days of the CCPA are calendar days.
    type : str
        The kind of request: an opt-out under the CCPA has a period of its own, which cannot be extended.
    paused_days : int
        For how many days a reasonable doubt about the person's identity stopped the clock; GDPR only.
    """
    if regulation == CCPA and type == OPT_OUT:
        return add_business_days(received_on, _OPT_OUT_BUSINESS_DAYS, holidays=holidays)
    if regulation == CCPA:
        return received_on + timedelta(days=_DAYS[extended])
    months = received_on.year * 12 + received_on.month - 1 + _MONTHS[extended]
    year, month = divmod(months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    due = date(year, month + 1, min(received_on.day, last)) + timedelta(days=paused_days)
    while not _is_working_day(due, holidays):
        due += timedelta(days=1)
    return due


def confirm_on(*, received_on: date, regulation: str, holidays: Container[date] = ()) -> date | None:
    """Return the last day on which the receipt must be confirmed to the person; None: the law sets none."""
    if regulation != CCPA:
        return None
    return add_business_days(received_on, _CONFIRM_BUSINESS_DAYS, holidays=holidays)


def can_extend(*, regulation: str, type: str) -> bool:
    """Tell whether the law lets the period be extended at all."""
    return not (regulation == CCPA and type == OPT_OUT)


def add_business_days(day: date, count: int, *, holidays: Container[date] = ()) -> date:
    """Return the business day that is `count` of them after a day; the day itself does not count."""
    while count:
        day += timedelta(days=1)
        if _is_working_day(day, holidays):
            count -= 1
    return day


def _is_working_day(day: date, holidays: Container[date]) -> bool:
    return day.weekday() < _FIRST_WEEKEND_DAY and day not in holidays
