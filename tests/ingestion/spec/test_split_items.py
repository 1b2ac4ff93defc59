"""Splitting a body into items, good ones kept whatever the others hold."""

import pytest

from ingestion.errors import NoItems, NotJson
from ingestion.spec.message import BadItem, Fault, Message
from ingestion.spec.split import split_items
from tests.ingestion.spec.reading import read_all

GOOD = '{"type": "track", "event": "A", "userId": "u", "messageId": "good"}'

SPOILERS = {
    "NaN": "not_finite",
    "Infinity": "not_finite",
    "-Infinity": "not_finite",
    "1e400": "not_finite",
    "-1e400": "not_finite",
    "18446744073709551616": "integer_out_of_range",
    "-9223372036854775809": "integer_out_of_range",
    "123456789012345678901234567890": "integer_out_of_range",
    "9" * 5000: "integer_out_of_range",
    r'"\ud800"': "lone_surrogate",
    r'"\udc00x"': "lone_surrogate",
    r'{"\ud800": 1}': "lone_surrogate",
    "[" * 40 + "]" * 40: "too_deep",
    "[" * 1_000 + "]" * 1_000: "too_deep",
    "[" * 100_000 + "]" * 100_000: "too_deep",
    '{"a":' * 3_000 + "1" + "}" * 3_000: "too_deep",
}


def spoiled(value: str) -> str:
    return f'{{"type": "track", "event": "A", "userId": "u", "messageId": "bad", "properties": {{"x": {value}}}}}'


@pytest.mark.parametrize(("value", "code"), SPOILERS.items(), ids=[key[:24] for key in SPOILERS])
def test_keeps_the_good_items_beside_one_that_strict_json_refuses(value, code):
    body = f'{{"sentAt": "2026-11-22T12:00:00Z", "batch": [{GOOD}, {spoiled(value)}, {GOOD}]}}'
    first, bad, last = read_all(body.encode())
    assert isinstance(first, Message)
    assert isinstance(last, Message)
    assert isinstance(bad, Fault)
    assert (bad.code, bad.message_id) == (code, "bad")


@pytest.mark.parametrize(("value", "code"), SPOILERS.items(), ids=[key[:24] for key in SPOILERS])
def test_names_the_fault_of_a_single_event(value, code):
    (bad,) = read_all(spoiled(value).encode(), "track")
    assert isinstance(bad, Fault)
    assert bad.code == code


def test_never_rounds_a_numeric_id():
    # 2^63-1 and 2^64-1 are the largest that fit; the double nearest to both is another number.
    results = read_all(
        b'{"batch": [{"type":"track","event":"A","userId":9223372036854775807},'
        b'{"type":"track","event":"A","userId":18446744073709551615},'
        b'{"type":"track","event":"A","userId":-9223372036854775808},'
        b'{"type":"track","event":"A","userId":123456789012345678901234567890}]}'
    )
    assert [getattr(result, "user_id", None) for result in results] == [
        "9223372036854775807",
        "18446744073709551615",
        "-9223372036854775808",
        None,
    ]
    assert results[3].code == "integer_out_of_range"


def test_does_not_mistake_digits_in_a_text_for_a_number():
    text = "123456789012345678901234567890"
    (result,) = read_all(
        f'{{"batch": [{{"type":"track","event":"A","userId":"{text}","properties":{{"n":",{text}"}}}}]}}'.encode()
    )
    assert result.user_id == text
    assert result.properties == {"n": f",{text}"}


def test_keeps_a_double_with_many_digits():
    (result,) = read_all(
        b'{"batch":[{"type":"track","event":"A","userId":"u","properties":{"n":0.10000000000000000555111512312578}}]}'
    )
    assert result.properties == {"n": 0.1}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"nonsense",
        b"{",
        b'{"batch": [}',
        b'{"batch": [{"a": 1}',
        b'{"batch": [NaN}]',
        b'{"batch": [NaN]} x',
        b'{"batch": [NaN,]}',
        b'{"batch": [{"a" NaN}]}',
        b'{"batch": [{"a": NaN b}]}',
        b'{"batch" [NaN]}',
        b"{batch: [NaN]}",
        b'{"batch": ["NaN]}',
        b'{"batch": [\xff]}',
        b"NaNs",
        b"{'a': 1}",
        b'{"batch": [{"a": 01}]}',
    ],
)
def test_refuses_what_is_no_json(body):
    with pytest.raises(NotJson):
        split_items(body, "batch")


@pytest.mark.parametrize(
    "body",
    [b"[]", b"1", b'"x"', b"null", b"NaN", b"[NaN]", b"{}", b'{"batch": {}}', b'{"batch": null}', b'{"batch": NaN}'],
)
def test_refuses_json_without_a_list_of_items(body):
    with pytest.raises(NoItems):
        split_items(body, "batch")


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b"[NaN]"])
def test_refuses_a_single_event_that_is_no_object(body):
    with pytest.raises(NoItems):
        split_items(body, "track")


def test_accepts_an_empty_list():
    assert split_items(b'{"batch": []}', "batch").items == []


@pytest.mark.parametrize("item", ["1", "null", '"x"', "[]", "NaN", "[1e400]"])
def test_gives_a_fault_for_an_item_that_is_no_object(item):
    bad, good = read_all(f'{{"batch": [{item}, {GOOD}]}}'.encode())
    assert isinstance(good, Message)
    assert isinstance(bad, Fault)


def test_lays_shared_context_and_integrations_under_those_of_each_item():
    body = (
        b'{"context": {"app": {"name": "shop"}, "locale": "de"}, "integrations": {"All": false}, "batch": ['
        b'{"type":"track","event":"A","userId":"u","context":{"locale":"fr"},"integrations":{"X":true}},'
        b'{"type":"track","event":"A","userId":"u"}]}'
    )
    own, shared = read_all(body)
    assert own.context == {"app": {"name": "shop"}, "locale": "fr"}
    assert own.integrations == {"All": False, "X": True}
    assert shared.context == {"app": {"name": "shop"}, "locale": "de"}


@pytest.mark.parametrize("value", ["NaN", '"text"', "[1]", r'{"a": "\ud800"}', '{"a": ' + "[" * 40 + "]" * 40 + "}"])
def test_leaves_out_shared_context_that_cannot_be_used_and_says_so(value):
    (result,) = read_all(f'{{"context": {value}, "batch": [{GOOD}]}}'.encode())
    assert isinstance(result, Message)
    assert result.warnings == ["unusable_batch_context"]


@pytest.mark.parametrize(
    ("body", "endpoint", "key"),
    [
        (b'{"writeKey": "A", "batch": [{"writeKey": "B"}]}', "batch", "A"),
        (b'{"batch": [{"writeKey": "B"}, {"writeKey": "C"}]}', "batch", "B"),
        (b'{"batch": [{"writeKey": "B", "x": NaN}]}', "batch", "B"),
        (b'{"writeKey": "", "batch": [{"writeKey": 5}]}', "batch", None),
        (b'{"batch": [1]}', "batch", None),
        (b'{"writeKey": "A"}', "track", "A"),
        (b'{"writeKey": "A", "x": NaN}', "track", "A"),
    ],
)
def test_finds_the_write_key_in_the_body(body, endpoint, key):
    assert split_items(body, endpoint).write_key == key


def test_keeps_of_a_refused_item_what_can_be_stored():
    body = (
        b'{"batch": [{"messageId": "m", "a": NaN, "b": "\\ud800\\u0000", "c": 1e400, "d": 99999999999999999999,'
        b' "deep": ' + b"[" * 500 + b"]" * 500 + b"}]}"
    )
    (item,) = split_items(body, "batch").items
    assert isinstance(item, BadItem)
    # Of an item that is too deep to be parsed, members with faults of their own become an ellipsis.
    assert item.item == {"messageId": "m", "a": "…", "b": "…", "c": "…", "d": "…", "deep": "…"}
    (item,) = split_items(body.replace(b"[" * 500 + b"]" * 500, b"1"), "batch").items
    assert item.item == {"messageId": "m", "a": "NaN", "b": "��", "c": "1e400", "d": "99999999999999999999", "deep": 1}


def test_takes_the_last_of_two_equal_keys():
    (strict,) = read_all(b'{"batch":[{"type":"track","event":"A","event":"B","userId":"u"}]}')
    lenient, _ = read_all(b'{"batch":[{"type":"track","event":"A","event":"B","userId":"u"},{"x":NaN}]}')
    assert strict.name == lenient.name == "B"
