"""The fault table and the fields of a message."""

import orjson
import pytest

from ingestion.spec.limits import MAX_EVENT_BYTES
from ingestion.spec.message import Fault, Message
from tests.ingestion.spec.reading import NOW, fault, message, read_all, read_one


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("endpoint", "fields", "code"),
    [
        ("track", {"event": None}, "no_event_name"),
        ("track", {"event": ""}, "no_event_name"),
        ("track", {"event": "  "}, "no_event_name"),
        ("track", {"event": 5}, "no_event_name"),
        ("track", {"type": "bake"}, "bad_type"),
        ("track", {"type": 5}, "bad_type"),
        ("track", {"type": ["track"]}, "bad_type"),
        ("track", {"type": "Track"}, "bad_type"),
        ("track", {"userId": None}, "no_identifier"),
        ("track", {"userId": ""}, "no_identifier"),
        ("track", {"userId": "", "traits": {"email": "ada@example.org"}}, "no_identifier"),
        ("track", {"userId": "", "context": {"traits": {"email": "ada@example.org"}}}, "no_identifier"),
        ("identify", {"userId": "", "traits": {"email": "nobody"}}, "no_identifier"),
        ("alias", {"userId": "", "previousId": "p"}, "no_identifier"),
        ("track", {"userId": {"a": 1}}, "no_identifier"),
        ("track", {"userId": "u" * 513}, "id_too_long"),
        ("track", {"anonymousId": "a" * 513}, "id_too_long"),
        ("alias", {"previousId": "p" * 513}, "id_too_long"),
        ("group", {"groupId": "g" * 513}, "id_too_long"),
        ("track", {"context": {"device": {"id": "d" * 513}}}, "id_too_long"),
        ("track", {"context": {"externalIds": [{"id": "d" * 513, "type": "user_id"}]}}, "id_too_long"),
        ("track", {"messageId": "m" * 101}, "message_id_too_long"),
        ("identify", {"traits": {str(number): 1 for number in range(301)}}, "too_many_traits"),
        ("group", {"groupId": "g", "traits": {str(number): 1 for number in range(301)}}, "too_many_traits"),
        ("identify", {"context": {"traits": {str(number): 1 for number in range(301)}}}, "too_many_traits"),
        ("group", {}, "no_group_id"),
        ("group", {"groupId": ""}, "no_group_id"),
        ("group", {"groupId": None}, "no_group_id"),
        ("alias", {}, "no_previous_id"),
        ("alias", {"previousId": ""}, "no_previous_id"),
        ("track", {"properties": nested(32)}, "too_deep"),
        ("track", {"properties": {"k" * 256: 1}}, "key_too_long"),
        ("track", {"properties": {"\\" * 256: 1}}, "key_too_long"),
        ("track", {"properties": {'"' * 256: 1}}, "key_too_long"),
        ("track", {"properties": {"é" * 256: 1}}, "key_too_long"),
        ("track", {"k" * 256: 1}, "key_too_long"),
        ("track", {"properties": [{"a": [{"k" * 256: 1}]}]}, "key_too_long"),
        ("track", {"properties": {str(number): 1 for number in range(1001)}}, "too_many_keys"),
        ("track", {"properties": {"a": [{str(number): 1 for number in range(1001)}]}}, "too_many_keys"),
        ("track", {"properties": {"text": "x" * 300_000}}, "too_large"),
        ("track", {"properties": "text"}, "not_an_object"),
        ("track", {"context": [1]}, "not_an_object"),
        ("identify", {"traits": 5}, "not_an_object"),
        ("track", {"integrations": True}, "not_an_object"),
    ],
)
def test_names_the_fault(endpoint, fields, code):
    assert fault(endpoint, **fields) == code


@pytest.mark.parametrize(
    ("endpoint", "fields"),
    [
        ("track", {"userId": "u" * 512}),
        ("track", {"messageId": "m" * 100}),
        ("identify", {"traits": {str(number): 1 for number in range(300)}}),
        ("track", {"properties": nested(31)}),
        ("track", {"properties": {"k" * 255: 1}}),
        ("track", {"properties": {"é" * 255: 1}}),
        ("track", {"properties": {"text": "x" * 1000}}),
        ("track", {"properties": {str(number): 1 for number in range(1000)}}),
        ("track", {"properties": {"a": [{str(n): 1 for n in range(400)}, {str(n): 1 for n in range(700)}]}}),
        ("track", {"properties": {"products": [{"product_id": "p"}] * 100}}),
        ("track", {"properties": {"n": [2**64 - 1, -(2**63), 1.7e308]}}),
        ("track", {"properties": []}),
        ("track", {"properties": None, "context": None, "integrations": None}),
        ("track", {"userId": None, "anonymousId": "a"}),
        ("track", {"userId": None, "context": {"device": {"id": "d"}}}),
        ("track", {"userId": None, "context": {"externalIds": [{"id": "5", "type": "loyalty_id"}]}}),
        ("identify", {"userId": None, "traits": {"email": "ada@example.org"}}),
        ("identify", {"userId": None, "context": {"traits": {"phone": "+49 30 901820"}}}),
        ("alias", {"previousId": "p"}),
        ("group", {"groupId": 5}),
        ("page", {}),
        ("screen", {}),
    ],
)
def test_accepts_what_is_just_inside_the_limits(endpoint, fields):
    result = message(endpoint, **fields)
    assert result.warnings == []


def test_measures_the_compact_utf8_json_of_the_event():
    empty = len(orjson.dumps({"type": "track", "event": "A", "userId": "u", "properties": {"x": ""}}))
    fits = "é" * ((MAX_EVENT_BYTES - empty) // 2)
    odd = "x" * ((MAX_EVENT_BYTES - empty) % 2)
    spaced = '{"type":  "track", "event": "A", "userId": "u", "properties": {"x": "%s"}}'
    assert isinstance(read_all((spaced % (fits + odd)).encode(), "track")[0], Message)
    result = read_all((spaced % (fits + odd + "x")).encode(), "track")[0]
    assert isinstance(result, Fault)
    assert result.code == "too_large"
    assert str(MAX_EVENT_BYTES) in result.message
    assert str(MAX_EVENT_BYTES + 1) in result.message


def test_obeys_the_sources_own_limit():
    body = b'{"type":"track","event":"A","userId":"u","properties":{"x":"%s"}}' % (b"x" * 40_000)
    assert isinstance(read_all(body, "track", max_event_bytes=256 * 1024)[0], Message)


def test_needs_a_type_in_a_batch():
    (result,) = read_all(b'{"batch": [{"event": "A", "userId": "u"}]}')
    assert isinstance(result, Fault)
    assert result.code == "bad_type"


def test_says_which_message_had_the_fault():
    result = read_one(event=None, messageId="m-9")
    assert isinstance(result, Fault)
    assert result.message_id == "m-9"


def test_replaces_nul_everywhere_and_warns_once():
    result = message(userId="u\0", event="A\0", properties={"a\0": ["\0", {"b": "x\0y"}]}, context={"ip": "\0"})
    assert result.user_id == "u\ufffd"
    assert result.name == "A\ufffd"
    assert result.properties == {"a\ufffd": ["\ufffd", {"b": "x\ufffdy"}]}
    assert result.context == {"ip": "\ufffd"}
    assert result.warnings == ["nul_replaced"]


def test_leaves_a_written_escape_of_nul_alone():
    result = message(properties={"a": "\\u0000"})
    assert result.properties == {"a": "\\u0000"}
    assert result.warnings == []


@pytest.mark.parametrize("value", [None, ""])
def test_makes_a_message_id_where_none_was_sent(value):
    assert message(messageId=value).message_id == "made-1"


def test_makes_a_message_id_for_an_unusable_one():
    result = message(messageId={"a": 1})
    assert result.message_id == "made-1"
    assert result.warnings == ["invalid_message_id"]


def test_reads_numbers_as_ids():
    result = message("group", userId=12, anonymousId=9007199254740993, groupId=7, messageId=5)
    assert (result.user_id, result.anonymous_id, result.group_id, result.message_id) == (
        "12",
        "9007199254740993",
        "7",
        "5",
    )


def test_lays_own_traits_over_those_of_the_context():
    result = message("identify", traits={"plan": "pro"}, context={"traits": {"plan": "free", "age": 3}})
    assert result.traits == {"plan": "pro", "age": 3}


def test_takes_traits_of_a_track_for_a_snapshot():
    result = message(context={"traits": {"plan": "free"}})
    assert result.traits is None
    assert result.context == {"traits": {"plan": "free"}}


def test_keeps_the_nulls_of_an_identify():
    assert message("identify", traits={"plan": None}).traits == {"plan": None}


def test_takes_the_type_from_the_path_only_where_it_is_missing():
    assert message("track").type == "track"
    assert message("t", type="").type == "track"
    assert message("track", type="page").type == "page"


@pytest.mark.parametrize("letter", ["t", "i", "p", "s", "g", "a"])
def test_knows_the_one_letter_paths(letter):
    assert message(letter, groupId="g", previousId="p").type[0] == letter


def test_reads_name_and_category_of_a_page():
    result = message("page", name="Home", category="Docs", properties={"url": "/"})
    assert result.name == "Home"
    assert result.properties == {"url": "/", "name": "Home", "category": "Docs"}
    assert message("page", properties={"name": "Deep"}).name == "Deep"
    assert message("page", name=5).name == ""


def test_cuts_an_event_name_that_no_index_holds():
    result = message(event="é" * 513)
    assert result.name == "é" * 512
    assert result.warnings == ["name_truncated"]


def test_fills_the_senders_address_into_a_context_without_one():
    from ingestion.spec.item import read_item
    from ingestion.spec.split import split_items
    from tests.ingestion.spec.reading import RULES

    body = (
        b'{"batch":[{"type":"page","userId":"u"},'
        b'{"type":"page","userId":"u","context":{"ip":"own","userAgent":"own"}}]}'
    )
    batch = split_items(body, "batch", ip="192.0.2.1", user_agent="Browser")
    contexts = [
        read_item(item, batch=batch, received_at=NOW, max_event_bytes=999, rules=RULES, new_id=lambda: "x").context
        for item in batch.items
    ]
    assert contexts == [{"ip": "192.0.2.1", "userAgent": "Browser"}, {"ip": "own", "userAgent": "own"}]


def test_reads_the_link_call():
    result = message(
        "merge",
        mergeProperties=[{"type": "email", "value": "Alex@Example.com"}, {"type": "user_id", "value": "alex"}],
    )
    assert result.type == "merge"
    assert [identifier[:2] for identifier in result.identifiers] == [
        ("user_id", "alex"),
        ("email", "alex@example.com"),
    ]


ALEX = {"type": "user_id", "value": "alex"}


@pytest.mark.parametrize(
    "pair",
    [
        None,
        {},
        [],
        [ALEX],
        [ALEX, ALEX],
        [ALEX, {"type": "user_id", "value": "b"}, {"type": "user_id", "value": "c"}],
        [ALEX, {"type": "user_id", "value": ""}],
        [ALEX, {"type": "user_id", "value": None}],
        [ALEX, {"type": "user_id", "value": "  "}],
        [ALEX, {"type": "user_id", "value": "null"}],
        [ALEX, {"type": "user_id", "value": {}}],
        [ALEX, {"type": "user_id"}],
        [ALEX, {"type": "shoe_size", "value": "43"}],
        [ALEX, {"type": "record_id", "value": "crm/1"}],
        [ALEX, {"type": ["user_id"], "value": "b"}],
        [ALEX, {"type": "email", "value": "nobody"}],
        [ALEX, "b"],
    ],
)
def test_refuses_a_link_call_without_exactly_two_typed_ids(pair):
    assert fault("merge", mergeProperties=pair) == "invalid_link"


def test_refuses_a_link_call_with_an_id_over_the_limit():
    assert fault("merge", mergeProperties=[ALEX, {"type": "user_id", "value": "b" * 513}]) == "id_too_long"
