"""Consent objects on messages: what they write and what they leave alone."""

import itertools
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cdp.core.registries import ConsentObject
from consent.asking_models import UnmappedCategory
from consent.models import Decision
from consent.services.objects import record_consent_objects
from consent.services.purposes import change_purpose, create_purpose
from tests.consent.conftest import NOW, later

pytestmark = pytest.mark.django_db
_numbers = itertools.count(1)


@pytest.fixture
def dana(make_profile, marketing):
    return make_profile(user_id="dana-1")


def carry(person, at, *, explicit=False, device="phone", occurred=None, source=1, **categories):
    """Return the consent object of a message that arrived at a minute."""
    return ConsentObject(
        profile_id=person.id,
        profile_uuid=str(person.uuid),
        identifier_id=person.identifiers.get().id,
        source_id=source,
        anonymous_id=device,
        message_id=f"m-{next(_numbers)}",
        occurred_at=later(at if occurred is None else occurred),
        received_at=later(at),
        categories=categories,
        explicit=explicit,
    )


def take(*rows, one_by_one=False):
    """Record objects, in one batch or one by one."""
    for batch in [[row] for row in rows] if one_by_one else [rows]:
        record_consent_objects(rows=batch, now=NOW + timedelta(hours=2))


def said(purpose="marketing"):
    return list(Decision.objects.filter(purpose__key=purpose).order_by("id").values_list("state", flat=True))


@pytest.mark.parametrize("one_by_one", [True, False])
def test_writes_what_the_event_made_for_it_says(dana, one_by_one):
    take(
        carry(dana, 1, explicit=True, marketing=True),
        carry(dana, 2, explicit=True, marketing=False),
        carry(dana, 3, explicit=True, marketing=False),
        carry(dana, 4, explicit=True, marketing=True),
        one_by_one=one_by_one,
    )
    assert said() == ["granted", "withdrawn", "denied", "granted"]


def test_writes_the_first_answer_of_any_message_and_not_its_repetition(dana):
    take(carry(dana, 1, marketing=True), carry(dana, 2, marketing=True))
    take(carry(dana, 3, marketing=True))
    assert said() == ["granted"]


def test_does_not_let_a_page_repeat_its_cookie_over_what_was_said_elsewhere(dana):
    take(carry(dana, 1, device="phone", marketing=True))
    take(carry(dana, 2, device="desk", explicit=True, marketing=False))
    take(carry(dana, 3, device="phone", marketing=True))
    assert said() == ["granted", "withdrawn"]


def test_writes_an_answer_that_differs_from_the_previous_one_of_the_same_device(dana):
    take(carry(dana, 1, device="phone", marketing=True))
    take(carry(dana, 2, device="phone", marketing=False))
    assert said() == ["granted", "withdrawn"]
    take(carry(dana, 3, device="phone", source=2, marketing=True))
    assert said() == ["granted", "withdrawn"]
    take(carry(dana, 4, device="phone", source=2, marketing=False), carry(dana, 5, source=1, marketing=True))
    assert said() == ["granted", "withdrawn", "denied", "granted"]


def test_compares_with_an_earlier_object_only(dana):
    take(carry(dana, 5, marketing=True))
    take(carry(dana, 6, occurred=1, marketing=False))
    assert said() == ["granted"]


def test_lets_the_desktop_say_yes_after_the_phone_said_no(dana):
    take(carry(dana, 1, device="phone", explicit=True, marketing=False))
    take(carry(dana, 2, device="desk", explicit=True, marketing=True))
    assert said() == ["denied", "granted"]


def test_takes_the_order_of_receipt_whatever_the_order_of_processing(dana):
    take(
        carry(dana, 4, explicit=True, marketing=True),
        carry(dana, 2, explicit=True, marketing=False),
    )
    assert said() == ["denied", "granted"]
    assert Decision.objects.order_by("-effective_at").first().state == "granted"


def test_counts_from_receipt_and_not_from_the_processing(dana):
    take(carry(dana, 1, explicit=True, marketing=True))
    take(carry(dana, 2, explicit=True, marketing=False))
    assert list(Decision.objects.order_by("id").values_list("recorded_at", "effective_at")) == [
        (later(1), later(1)),
        (later(2), later(2)),
    ]


def test_writes_only_what_an_object_names(dana):
    create_purpose(key="analytics", fields={"name": "Analytics"}, actor="system", now=NOW)
    take(carry(dana, 1, explicit=True), carry(dana, 2, explicit=True, analytics=True))
    assert (said(), said("analytics")) == ([], ["granted"])


@pytest.mark.parametrize(
    ("categories", "expected"),
    [
        ({"ads": True, "mail": True}, ["granted"]),
        ({"ads": True, "mail": False}, ["denied"]),
        ({"ads": False}, ["denied"]),
        ({"ads": True}, []),
        ({"marketing": True}, []),
    ],
)
def test_needs_all_categories_of_a_purpose_for_a_yes(dana, categories, expected):
    change_purpose(key="marketing", fields={"consent_categories": ["ads", "mail"]}, actor="system", now=NOW)
    take(carry(dana, 1, explicit=True, **categories))
    assert said() == expected


def test_counts_categories_that_no_purpose_names(dana):
    take(
        carry(dana, 1, **{"C0004": True}),
        carry(dana, 2, **{"C0004": False, "an odd category / ": True}),
        carry(dana, 3, source=2, **{"C0004": False}),
    )
    counted = UnmappedCategory.objects.order_by("source_id", "category").values_list("source_id", "category", "count")
    assert list(counted) == [(1, "*", 1), (1, "C0004", 2), (2, "C0004", 1)]


def test_takes_a_batch_in_a_constant_number_of_statements(make_profile, marketing):
    counts = []
    for size in (2, 40):
        people = [make_profile(user_id=f"u-{size}-{number}") for number in range(size)]
        rows = [carry(person, 1, device=f"d-{person.id}", marketing=True) for person in people]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            take(*rows)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 14
    assert Decision.objects.count() == 42
