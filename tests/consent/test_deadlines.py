"""When a privacy request must be answered."""

from datetime import date

import pytest

from consent.deadlines import due_on

VECTORS = [
    # received, GDPR, GDPR extended, CCPA, CCPA extended
    ("2026-03-05", "2026-04-06", "2026-06-05", "2026-04-19", "2026-06-03"),
    ("2026-08-31", "2026-09-30", "2026-11-30", "2026-10-15", "2026-11-29"),
    ("2026-01-31", "2026-03-02", "2026-04-30", "2026-03-17", "2026-05-01"),
    ("2028-01-31", "2028-02-29", "2028-05-01", "2028-03-16", "2028-04-30"),
    ("2026-11-30", "2026-12-30", "2027-03-01", "2027-01-14", "2027-02-28"),
    ("2026-12-31", "2027-02-01", "2027-03-31", "2027-02-14", "2027-03-31"),
]


@pytest.mark.parametrize(("received", "gdpr", "gdpr_extended", "ccpa", "ccpa_extended"), VECTORS)
def test_ends_on_the_day_of_the_same_number_or_the_next_working_day(received, gdpr, gdpr_extended, ccpa, ccpa_extended):
    day = date.fromisoformat(received)
    found = [
        due_on(received_on=day, regulation=regulation, extended=extended).isoformat()
        for regulation in ("gdpr", "ccpa")
        for extended in (False, True)
    ]
    assert found == [gdpr, gdpr_extended, ccpa, ccpa_extended]


def test_rolls_over_holidays():
    # 6 April 2026 is Easter Monday.
    easter_monday = date(2026, 4, 6)
    day = due_on(received_on=date(2026, 3, 5), regulation="gdpr", holidays={easter_monday})
    assert day == date(2026, 4, 7)
