"""Counting what messages hold, judging values, comparing them, and how late they were."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.quality.agreement import agree, form_of, is_comparable
from ingestion.quality.counting import (
    BROKEN,
    CHECKED,
    EMPTY,
    MAX_EVENTS,
    MAX_FIELDS,
    NUMBERS,
    PLACES,
    REFERRED,
    TEXTS,
    UNKNOWN,
    Looked,
    Tally,
    kind_of,
)
from ingestion.quality.delays import BOUNDS, BUCKETS, LATE_SECONDS, bucket_of, count_late, percentile
from ingestion.quality.rules import FieldRule, Reference, keeps_range, keeps_reference, references_of

NOON = datetime(2026, 3, 14, 12, 30, tzinfo=UTC)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def message(number=1, event="Order Completed", late=0.0, **payload) -> Looked:
    return Looked(number, 7, "track", event, NOON - timedelta(seconds=late), NOON, payload)


def count(*messages, rules=(), known=lambda *_: False):
    tally = Tally({(7, "track", "Order Completed"): rules} if rules else {}, known)
    for one in messages:
        tally.add(one)
    return tally.rows()


def test_counts_by_hour_event_and_field_as_what_values_came():
    rows = count(
        message(3, total=1, coupon="", tags=[]),
        message(4, total="1", coupon="  ", tags=["a"]),
        message(5, total=2.5, coupon=None),
        message(6, "Order Refunded", total=True),
    )
    hour = NOON.replace(minute=0)
    assert list(rows) == [(7, hour, "track", "Order Completed"), (7, hour, "track", "Order Refunded")]
    orders = rows[7, hour, "track", "Order Completed"]
    assert (orders.messages, orders.first_id, orders.last_id) == (3, 3, 5)
    assert (orders.fields["total"][TEXTS], orders.fields["total"][NUMBERS]) == (1, 2)
    assert orders.fields["coupon"][EMPTY] == 3
    assert orders.fields["tags"][EMPTY] == 1
    assert all(len(cell) == PLACES for cell in orders.fields.values())


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(st.lists(st.dictionaries(st.text(max_size=4), json_values, max_size=4), max_size=6))
def test_counts_each_value_of_any_message_once(payloads):
    rows = count(*(Looked(number, 7, "track", "e", NOON, NOON, payload) for number, payload in enumerate(payloads)))
    counted = sum(sum(cell[: EMPTY + 1]) for counts in rows.values() for cell in counts.fields.values())
    assert counted == sum(map(len, payloads))
    assert sum(counts.messages for counts in rows.values()) == len(payloads)


def test_keeps_no_name_that_looks_like_a_value():
    (counts,) = count(message(1, **{"dana@customer.example": 1, "12345678": 1, "total": 1})).values()
    assert set(counts.fields) == {"*", "total"}
    assert counts.fields["*"][NUMBERS] == 2
    assert [key[3] for key in count(message(1, "dana@customer.example"))] == ["*"]


def test_keeps_the_most_frequent_of_too_many_names():
    payloads = [message(1, common=1, **{f"f{chr(97 + n % 26)}{chr(97 + n // 26)}": 1 for n in range(400)})]
    (counts,) = count(*payloads, message(2, common=1)).values()
    assert len(counts.fields) == MAX_FIELDS
    assert "common" in counts.fields
    events = [message(n, f"e {chr(97 + n % 26)}{chr(97 + n // 26)}") for n in range(400)]
    assert len(count(*events, message(900, "often"), message(901, "often"))) == MAX_EVENTS


def test_holds_values_against_rules():
    rule = FieldRule("track", "Order Completed", "total", minimum=0, maximum=100)
    (counts,) = count(
        message(1, total=5), message(2, total=-1), message(3, total="101"), message(4), rules=[rule]
    ).values()
    # What is missing is judged by completeness alone.
    assert (counts.fields["total"][CHECKED], counts.fields["total"][BROKEN]) == (3, 2)


def test_holds_references_against_what_is_known():
    where = Reference(9, "track", "Product Added", "id")
    rule = FieldRule("track", "Order Completed", "products", reference=where)
    known = {(where, "p-1"), (where, "2")}
    messages = [message(1, products=["p-1", 2]), message(2, products=["p-1", "p-9"]), message(3, products="p-1")]
    (counts,) = count(*messages, message(4, products=True), rules=[rule], known=lambda *asked: asked in known).values()
    assert (counts.fields["products"][REFERRED], counts.fields["products"][UNKNOWN]) == (3, 1)
    assert references_of({"a": 1}) == []
    assert keeps_reference(where, [], lambda *_: False)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (0, True),
        (10, True),
        (10.5, False),
        (" 7 ", True),
        ("seven", False),
        ("nan", False),
        ("inf", False),
        (True, False),
        ({"a": 1}, False),
        ([1, 2], True),
        ([1, 11], False),
        ([], False),
    ],
)
def test_judges_bounds(value, kept):
    assert keeps_range(FieldRule("track", "e", "f", minimum=0, maximum=10), value) is kept


def test_judges_allowed_values_as_text():
    rule = FieldRule("track", "e", "f", allowed=frozenset({"EUR", "7"}))
    assert [keeps_range(rule, value) for value in ("EUR", " EUR ", 7, 7.0, "eur", 8)] == [True] * 4 + [False] * 2


@given(json_values)
def test_judges_any_value(value):
    rule = FieldRule("track", "e", "f", minimum=-1, allowed=frozenset({"a"}))
    assert keeps_range(rule, value) in {True, False}
    assert kind_of(value) <= EMPTY
    if is_comparable(value):
        assert agree(value, value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Dana  Dale", "dana dale "),
        ("Zoë", "ZOE"),
        ("Straße", "strasse"),
        (7, "7"),
        (7.0, "7"),
        ("7.50", 7.5),
        (True, "true"),
        ("+49 151 1234567", "0049-151-1234567"),
        ("(030) 901820-0", "030 9018200"),
    ],
)
def test_calls_values_the_same_however_they_are_written(one, other):
    assert agree(one, other)
    assert agree(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Dana", "Dan"), (7, 8), ("007", "7"), ("1.2.2024", "12.2.2024"), ("", "0"), (True, 1), ("9" * 400 + ".5", "9")],
)
def test_calls_others_different(one, other):
    assert form_of(one) != form_of(other)


@given(st.lists(st.floats(0, 10**7), min_size=1, max_size=40), st.floats(0, 1))
def test_tells_percentiles_within_their_bucket(delays, part):
    histogram = [0] * BUCKETS
    for delay in delays:
        histogram[bucket_of(delay)] += 1
    found = percentile(histogram, part)
    assert found is not None
    assert 0 <= found <= BOUNDS[-1]
    assert percentile(histogram, 1) >= found >= percentile(histogram, 0)
    assert count_late(histogram) == sum(delay > LATE_SECONDS for delay in delays)


def test_tells_percentiles_of_a_known_histogram():
    histogram = [0] * BUCKETS
    histogram[bucket_of(0.5)] = 90
    histogram[bucket_of(200)] = 10
    # The 50th of 90 that took up to a second; half of those from one to five minutes.
    assert percentile(histogram, 0.5) == pytest.approx(50 / 90)
    assert percentile(histogram, 0.95) == pytest.approx(180)
    assert percentile([0] * BUCKETS, 0.5) is None
    assert percentile([0] * (BUCKETS - 1) + [1], 0.5) == BOUNDS[-1]
    assert bucket_of(-5) == 0
