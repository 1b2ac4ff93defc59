"""The register of disclosures: who received data of whom."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection

from cdp.core.registries import Subject
from consent.disclosure_models import Disclosure, DisclosureTerms
from consent.errors import UnknownPurpose
from consent.partitions import add_months, month_partition
from consent.personal_data_disclosures import Disclosures
from consent.queries.disclosures import find_recipients, list_disclosures
from consent.services.disclosures import Terms, keep_register, record_disclosures
from tests.consent.conftest import NOW, later

pytestmark = pytest.mark.django_db

ADS = Terms("export", "Example Ads", "marketing", "email", ("email", "trait:city"), actor="user:1")
MAILER = Terms("delivery", "Mail House", "marketing", "email", ("email",), destination="mail-house")


def partitions() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'consent_disclosure'::regclass"
        )
        return {row[0] for row in cursor.fetchall()}


def test_enters_many_people_with_a_constant_number_of_statements(marketing, django_assert_num_queries):
    record_disclosures(profile_ids=[1], terms=ADS, at=NOW)
    # The savepoint and its release, the purpose, the terms, one insert.
    with django_assert_num_queries(5):
        assert record_disclosures(profile_ids=[*range(1, 1001), 1], terms=ADS, at=NOW, reference="export:7") == 1000
    assert Disclosure.objects.count() == 1001
    terms = DisclosureTerms.objects.get()
    assert (terms.legal_basis, terms.fields) == ("consent", ["email", "trait:city"])


def test_refuses_a_purpose_that_does_not_exist(marketing):
    with pytest.raises(UnknownPurpose):
        record_disclosures(profile_ids=[1], terms=Terms("export", "X", "nothing", None, ()), at=NOW)
    assert not Disclosure.objects.exists()


def test_tells_the_recipients_of_a_person_the_latest_first(marketing):
    record_disclosures(profile_ids=[1, 2], terms=ADS, at=NOW)
    record_disclosures(profile_ids=[1], terms=MAILER, at=later(1))
    record_disclosures(profile_ids=[9], terms=MAILER, at=later(2))
    found = find_recipients(profile_ids=[1, 9])
    assert [(one.recipient, one.times, one.first_at, one.last_at) for one in found] == [
        ("Mail House", 2, later(1), later(2)),
        ("Example Ads", 1, NOW, NOW),
    ]
    assert [row.terms.kind for row in list_disclosures(profile_ids=[1]).order_by("at", "id")] == ["export", "delivery"]


def test_a_person_s_rows_are_exported_counted_and_erased_in_steps(marketing):
    for minute in range(3):
        record_disclosures(profile_ids=[1, 2], terms=ADS, at=later(minute), reference=f"export:{minute}")
    store, person = Disclosures(), Subject((1,), (), (), (), ())
    assert [row["reference"] for row in store.export(subject=person)["disclosures"]] == [
        "export:0",
        "export:1",
        "export:2",
    ]
    assert store.count(subject=person) == 3
    assert [store.erase(subject=person, limit=2) for _ in range(3)] == [2, 1, 0]
    assert (store.count(subject=person), Disclosure.objects.count()) == (0, 3)


def test_makes_months_ahead_and_drops_those_past_their_time(marketing, settings):
    settings.CDP_DISCLOSURE_DAYS = 400
    today = datetime.now(UTC)
    first = add_months(today.date(), -1)
    keep_register(today + timedelta(days=300))
    ahead = add_months((today + timedelta(days=300)).date(), 3)
    assert {month_partition(first), month_partition(ahead)} <= partitions()
    # 400 days after the end of that month it is no longer needed.
    gone = add_months(first, 1)
    keep_register(datetime(gone.year, gone.month, gone.day, tzinfo=UTC) + timedelta(days=400))
    assert month_partition(first) not in partitions()
    assert month_partition(add_months(first, 1)) in partitions()


def test_months_follow_each_other_over_the_year():
    assert [add_months(date(2026, 11, 29), ahead) for ahead in (0, 2, 13)] == [
        date(2026, 11, 1),
        date(2027, 1, 1),
        date(2027, 12, 1),
    ]
