"""When a privacy request must be answered: pure calendar rules.

References
----------
GDPR Art. 12(3) with Regulation (EEC, Euratom) No 1182/71 Art. 3: the day of receipt does not count; a period of
months ends with the last hour of the day of the same number, or of the month's last day; a period that ends on a
weekend or holiday ends with the next working day. CCPA regulations §7021: 45 calendar days, 90 when extended.
"""

import calendar
from collections.abc import Container
from datetime import date, timedelta

GDPR = "gdpr"
CCPA = "ccpa"
REGULATIONS = (GDPR, CCPA)

_MONTHS = {False: 1, True: 3}
_DAYS = {False: 45, True: 90}
_FIRST_WEEKEND_DAY = 5


def due_on(*, received_on: date, regulation: str, extended: bool = False, holidays: Container[date] = ()) -> date:
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
        Days that are no working days besides Saturdays and Sundays; GDPR only.
    """
    if regulation == CCPA:
        return received_on + timedelta(days=_DAYS[extended])
    months = received_on.year * 12 + received_on.month - 1 + _MONTHS[extended]
    year, month = divmod(months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    due = date(year, month + 1, min(received_on.day, last))
    while due.weekday() >= _FIRST_WEEKEND_DAY or due in holidays:
        due += timedelta(days=1)
    return due
