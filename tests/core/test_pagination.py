"""Pages by position."""

import base64
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from cdp.core.api.pagination import (
    BadPage,
    Cursor,
    decode_cursor,
    encode_cursor,
    fetch_from,
    key_from,
    paginate,
    read_page,
)
from cdp.core.models import AuditEntry
from cdp.core.queries.audit import find_entries

START = datetime(2026, 1, 1, tzinfo=UTC)


def ask(path: str) -> Request:
    return Request(APIRequestFactory().get(path))


def walk(first: str, fetch, key, *, to: str = "next") -> list[list]:
    pages, address = [], first
    while address:
        page = read_page(ask(address), fetch=fetch, key=key)
        pages.append(page.rows)
        address = getattr(page, to)
    return pages


@pytest.fixture
def entries(db):
    # Three at each time, so that the order needs its second key.
    for number in range(9):
        AuditEntry.objects.create(at=START + timedelta(minutes=number // 3), actor="system", action="a", object="o")
    return find_entries()


def test_walks_forward_over_ties_without_loss_or_repetition(entries):
    pages = walk("/?limit=2", fetch_from(entries, "-at", "id"), key_from("-at", "id"))
    ids = [row.pk for page in pages for row in page]
    assert ids == [row.pk for row in entries.order_by("-at", "id")]
    assert [len(page) for page in pages] == [2, 2, 2, 2, 1]


def test_walks_back_to_the_first_page(entries):
    fetch, key = fetch_from(entries, "-at", "id"), key_from("-at", "id")
    address, last = "/?limit=4", None
    while address:
        last = read_page(ask(address), fetch=fetch, key=key)
        address = last.next
    back = [last.rows, *walk(last.previous, fetch, key, to="previous")]
    assert [[row.pk for row in page] for page in reversed(back)] == [
        [row.pk for row in page] for page in walk("/?limit=4", fetch, key)
    ]


def test_shows_no_row_twice_while_rows_are_added(entries):
    fetch, key = fetch_from(entries, "-id"), key_from("id")
    first = read_page(ask("/?limit=3"), fetch=fetch, key=key)
    AuditEntry.objects.create(at=START, actor="system", action="a", object="o")
    second = read_page(ask(first.next), fetch=fetch, key=key)
    assert not {row.pk for row in first.rows} & {row.pk for row in second.rows}


def test_first_page_has_no_previous_and_the_only_page_no_next(entries):
    page = read_page(ask("/?limit=9"), fetch=fetch_from(entries, "id"), key=key_from("id"))
    assert (page.next, page.previous) == (None, None)


def test_keeps_the_other_parameters_in_the_addresses():
    answer = paginate(
        ask("/things?kind=a%20b&limit=1"), fetch=lambda cursor, limit: [1, 2][:limit], key=lambda row: (row,)
    )
    query = parse_qs(urlsplit(answer.data["next"]).query)
    assert (query["kind"], query["limit"]) == (["a b"], ["1"])


def test_gives_a_plain_function_the_position_and_one_row_more_to_fetch():
    seen = []

    def fetch(cursor, limit):
        seen.append((cursor, limit))
        return [10, 20]

    page = read_page(ask(f"/?limit=2&cursor={encode_cursor(Cursor((7,)))}"), fetch=fetch, key=lambda row: (row,))
    assert seen == [(Cursor((7,)), 3)]
    assert page.next is None
    assert decode_cursor(parse_qs(urlsplit(page.previous).query)["cursor"][0]) == Cursor((10,), backward=True)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5", "", "٣", "99999999999999999999"])
def test_refuses_a_limit_outside_1_to_1000(limit):
    with pytest.raises(BadPage):
        read_page(ask(f"/?limit={limit}"), fetch=lambda *_: [], key=lambda row: (row,))


@given(st.text())
def test_answers_any_text_with_a_cursor_or_a_refusal(text):
    with suppress(BadPage):
        decode_cursor(text)


@pytest.mark.parametrize(
    "raw", [b"[]", b"[0]", b"{}", b"[2,1]", b'[0,{"t":"x"}]', b'[0,{"x":1}]', b"[0,[1]]", b'[0,"a\\u0000"]', b"null"]
)
def test_refuses_a_cursor_of_somebody_elses_making(raw):
    with pytest.raises(BadPage):
        decode_cursor(base64.urlsafe_b64encode(raw).decode())


def test_refuses_the_cursor_of_a_list_with_another_order(entries):
    with pytest.raises(BadPage):
        read_page(
            ask(f"/?cursor={encode_cursor(Cursor((1,)))}"), fetch=fetch_from(entries, "-at", "id"), key=key_from("id")
        )


STORABLE_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=100)


@given(st.tuples(st.datetimes(timezones=st.just(UTC)), st.integers(0, 2**63 - 1), STORABLE_TEXT))
def test_cursor_keeps_the_position_exactly(position):
    assert decode_cursor(encode_cursor(Cursor(position))) == Cursor(position)
