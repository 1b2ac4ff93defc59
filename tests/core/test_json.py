"""JSON of the REST API, in and out."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from io import BytesIO

import orjson
import pytest
from django.core.exceptions import RequestDataTooBig
from hypothesis import given
from hypothesis import strategies as st

from cdp.core.api.json import BadJson, JsonParser, dump, format_time, load


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 120000, tzinfo=UTC), "2026-01-02T03:04:05.120Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC), "2026-01-02T03:04:05.123456Z"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T01:04:05.000Z"),
    ],
)
def test_writes_times_in_utc_exactly(moment, text):
    assert dump(moment) == b'"' + text.encode() + b'"'


@given(st.datetimes(timezones=st.just(UTC)))
def test_reads_back_the_moment_that_it_wrote(moment):
    assert datetime.fromisoformat(format_time(moment)) == moment


def test_writes_what_databases_give():
    value = {"day": date(2026, 1, 2), "whole": Decimal("3.00"), "part": Decimal("2.5"), "keys": frozenset({"b", "a"})}
    assert orjson.loads(dump(value)) == {"day": "2026-01-02", "whole": 3, "part": 2.5, "keys": ["a", "b"]}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"1e400",
        b'"\\ud800"',
        b'"\\u0000"',
        b'{"a\\u0000b": 1}',
        b"\xff",
        b'{"a": 18446744073709551616}',
        b'{"a": [-9223372036854775809]}',
        b"[" + b"9" * 5000 + b"]",
        b"[" * 66 + b"]" * 66,
        b"[" * 100_000,
        b'{"a":' * 70 + b"1" + b"}" * 70,
    ],
)
def test_refuses_what_cannot_be_stored(raw):
    with pytest.raises(BadJson) as caught:
        load(raw)
    assert caught.value.code == "json.invalid"


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": 18446744073709551615}', {"a": 2**64 - 1}),
        (b"[-9223372036854775808]", [-(2**63)]),
        (b"[1e30, 9007199254740993]", [1e30, 9007199254740993]),
        (b'"\\ud83d\\ude00"', "😀"),
    ],
)
def test_reads_what_can_be_stored(raw, value):
    assert load(raw) == value


def test_reads_64_levels():
    assert load(b"[" * 64 + b"1" + b"]" * 64)


@given(st.binary())
def test_answers_any_bytes_with_a_value_or_bad_json(raw):
    with suppress(BadJson):
        dump(load(raw))


def test_refuses_a_body_over_the_limit_unparsed(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert JsonParser().parse(BytesIO(b"[1,2,3,45]")) == [1, 2, 3, 45]
    with pytest.raises(RequestDataTooBig):
        JsonParser().parse(BytesIO(b"[1,2,3,456]"))
