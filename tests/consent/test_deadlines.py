"""When a privacy request must be answered."""

from datetime import date

import pytest
import time_machine

from cdp.core.calendars import UnknownCalendar, read_calendar
from consent.deadlines import add_business_days, can_extend, confirm_on, due_on
from tests.world import signed_in

VECTORS = [
    # received, GDPR, GDPR extended, CCPA, CCPA extended
    ("2026-03-05", "2026-04-06", "2026-06-05", "2026-04-19", "2026-06-03"),
    ("2026-08-31", "2026-09-30", "2026-11-30", "2026-10-15", "2026-11-29"),
    ("2026-01-31", "2026-03-02", "2026-04-30", "2026-03-17", "2026-05-01"),
    ("2028-01-31", "2028-02-29", "2028-05-01", "2028-03-16", "2028-04-30"),
    ("2026-11-30", "2026-12-30", "2027-03-01", "2027-01-14", "2027-02-28"),
    ("2026-12-31", "2027-02-01", "2027-03-31", "2027-02-14", "2027-03-31"),
]
EASTER_MONDAY = date(2026, 4, 6)


@pytest.mark.parametrize(("received", "gdpr", "gdpr_extended", "ccpa", "ccpa_extended"), VECTORS)
def test_ends_on_the_day_of_the_same_number_or_the_next_working_day(received, gdpr, gdpr_extended, ccpa, ccpa_extended):
    day = date.fromisoformat(received)
    found = [
        due_on(received_on=day, regulation=regulation, extended=extended).isoformat()
        for regulation in ("gdpr", "ccpa")
        for extended in (False, True)
    ]
    assert found == [gdpr, gdpr_extended, ccpa, ccpa_extended]


@pytest.mark.parametrize(
    ("country", "received", "extended", "expected"),
    [
        ("DE", "2026-03-05", False, "2026-04-07"),  # Easter Monday
        ("US", "2026-03-05", False, "2026-04-06"),  # no holiday there
        ("DE", "2028-01-31", True, "2028-05-02"),  # Sunday, then Labour Day
        ("US", "2028-01-31", True, "2028-05-01"),
        ("DE", "2026-11-25", False, "2026-12-28"),  # Friday, Boxing Day on Saturday, Sunday
        ("DE-BY", "2026-12-06", False, "2027-01-07"),  # Epiphany, in Bavaria only
        ("DE-BE", "2026-12-06", False, "2027-01-06"),
    ],
)
def test_rolls_over_the_holidays_of_a_country_or_region(country, received, extended, expected):
    found = due_on(
        received_on=date.fromisoformat(received),
        regulation="gdpr",
        extended=extended,
        holidays=read_calendar(country),
    )
    assert found.isoformat() == expected


def test_counts_calendar_days_for_the_ccpa_whatever_the_holidays():
    # 45 days after 19 November 2026 is Sunday, 3 January 2027.
    assert due_on(received_on=date(2026, 11, 19), regulation="ccpa", holidays=read_calendar("US")) == date(2027, 1, 3)


def test_stands_still_for_a_question_of_identity_under_the_gdpr_only():
    # 5 April + 10 days is a Wednesday.
    assert due_on(received_on=date(2026, 3, 5), regulation="gdpr", paused_days=10) == date(2026, 4, 15)
    assert due_on(received_on=date(2026, 3, 5), regulation="ccpa", paused_days=10) == date(2026, 4, 19)


def test_gives_opt_outs_fifteen_business_days_without_extension():
    # Fifteen business days after Thursday, 5 March 2026: three weeks.
    for extended in (False, True):
        found = due_on(received_on=date(2026, 3, 5), regulation="ccpa", type="opt_out", extended=extended)
        assert found == date(2026, 3, 26)
    assert not can_extend(regulation="ccpa", type="opt_out")
    assert can_extend(regulation="ccpa", type="access")
    assert can_extend(regulation="gdpr", type="opt_out")


def test_confirms_a_receipt_within_ten_business_days_under_the_ccpa():
    # From Friday, 21 November 2025, leaving out Thanksgiving on the 27th.
    day = date(2025, 11, 21)
    assert confirm_on(received_on=day, regulation="ccpa") == date(2025, 12, 5)
    assert confirm_on(received_on=day, regulation="ccpa", holidays=read_calendar("US")) == date(2025, 12, 8)
    assert confirm_on(received_on=day, regulation="gdpr") is None


def test_does_not_count_the_day_itself():
    assert add_business_days(date(2026, 4, 3), 1, holidays={EASTER_MONDAY}) == date(2026, 4, 7)
    assert add_business_days(date(2026, 4, 3), 0) == date(2026, 4, 3)


def test_refuses_a_country_that_nobody_knows():
    with pytest.raises(UnknownCalendar):
        read_calendar("XX")
    with pytest.raises(UnknownCalendar):
        read_calendar("DE-XX")
    assert EASTER_MONDAY not in read_calendar("")


@pytest.mark.django_db
@pytest.mark.parametrize(("received", "gdpr", "gdpr_extended", "ccpa", "ccpa_extended"), VECTORS)
@pytest.mark.parametrize("regulation", ["gdpr", "ccpa"])
def test_is_what_rest_and_the_page_say(officer, regulation, received, gdpr, gdpr_extended, ccpa, ccpa_extended):
    due, extended = (gdpr, gdpr_extended) if regulation == "gdpr" else (ccpa, ccpa_extended)
    with time_machine.travel(f"{received}T10:00:00Z", tick=True):
        body = {"type": "access", "regulation": regulation, "identities": [{"type": "user_id", "value": "dana-1"}]}
        made = officer.post("/api/v1/privacy-requests", body, format="json").json()
        assert made["due_at"].startswith(f"{due}T23:59:59")
        page = signed_in("ben").get(f"/privacy-requests/{made['id']}").content.decode()
        assert f'datetime="{due}T' in page
        longer = officer.post(f"/api/v1/privacy-requests/{made['id']}/extend", {"reason": "Complex"}, format="json")
        assert longer.json()["extended_to"].startswith(f"{extended}T23:59:59")
        again = officer.post(f"/api/v1/privacy-requests/{made['id']}/extend", {"reason": "Complex"}, format="json")
        assert again.status_code == 409
