"""Whatever comes in: only declared errors come out, and every message can be stored."""

import gzip
import json
import math
import os

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.errors import IngestionError
from ingestion.spec.consent import read_consent
from ingestion.spec.message import ENDPOINTS, BadItem, Fault, Message
from ingestion.spec.request import find_write_key, read_body
from ingestion.spec.soundness import storable
from ingestion.spec.split import split_items
from tests.ingestion.spec.reading import NOW, RULES, read_all

# More on demand: INPUT_EXAMPLES=10000.
several = settings(max_examples=int(os.environ.get("INPUT_EXAMPLES", "100")))

texts = st.text() | st.text(alphabet=st.characters()) | st.sampled_from(["\0", "\ud800", "a\0", "0", "null", "x" * 600])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
known_fields = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["track", "identify", "page", "screen", "group", "alias"]) | json_values,
        "event": texts | json_values,
        "userId": texts | st.integers() | json_values,
        "anonymousId": texts | json_values,
        "previousId": texts | json_values,
        "groupId": texts | json_values,
        "messageId": texts | json_values,
        "timestamp": st.datetimes().map(lambda moment: moment.isoformat()) | json_values,
        "originalTimestamp": st.datetimes().map(lambda moment: moment.isoformat()) | json_values,
        "sentAt": st.datetimes().map(lambda moment: moment.isoformat()) | json_values,
        "traits": st.dictionaries(st.sampled_from(["email", "phone", "plan"]), json_values) | json_values,
        "properties": json_values,
        "context": st.fixed_dictionaries(
            {},
            optional={
                "traits": json_values,
                "device": st.fixed_dictionaries({"id": json_values, "type": json_values}) | json_values,
                "externalIds": st.lists(st.fixed_dictionaries({"id": json_values, "type": texts})) | json_values,
                "consent": json_values,
            },
        )
        | json_values,
        "integrations": json_values,
        "mergeProperties": st.lists(st.fixed_dictionaries({"type": texts, "value": json_values})) | json_values,
    },
)
endpoints = st.sampled_from(sorted(ENDPOINTS))


def assert_storable(value: object) -> None:
    assert b"\\u0000" not in orjson.dumps(value).replace(b"\\\\", b"")
    if isinstance(value, dict):
        for key, member in value.items():
            assert_storable(key)
            assert_storable(member)
    elif isinstance(value, list):
        for member in value:
            assert_storable(member)
    elif isinstance(value, float):
        assert math.isfinite(value)


def assert_sound(result: Message | Fault) -> None:
    if isinstance(result, Fault):
        assert_storable([result.code, result.message, result.message_id])
        assert result.message
        return
    assert_storable([result.properties, result.traits, result.context, result.integrations, result.warnings])
    assert_storable([result.name, result.user_id, result.anonymous_id, result.previous_id, result.group_id])
    assert_storable([result.message_id, result.original_timestamp])
    assert_storable([list(identifier) for identifier in result.identifiers])
    assert result.identifiers
    assert all(value.strip() for _, value, _ in result.identifiers)
    assert result.occurred_at.year >= 1970
    assert result.occurred_at <= NOW
    priorities = [RULES.priorities[identifier[0]] for identifier in result.identifiers]
    assert priorities == sorted(priorities)
    assert 0 < len(result.message_id) <= 100
    read_consent(result.context)


def read_or_refuse(body: bytes, endpoint: str) -> None:
    try:
        results = read_all(body, endpoint)
    except IngestionError:
        return
    for result in results:
        assert_sound(result)


@several
@given(raw=st.binary(), label=st.none() | st.text(), endpoint=endpoints)
def test_any_bytes(raw, label, endpoint):
    try:
        body = read_body(raw, label)
    except IngestionError:
        return
    read_or_refuse(body, endpoint)


@several
@given(raw=st.binary())
def test_any_gzip(raw):
    assert read_body(gzip.compress(raw)) in (raw, raw[3:])


@several
@given(body=st.text(alphabet='{}[]",:\\u0dN1e-. batch'), endpoint=endpoints)
def test_any_text_of_json_characters(body, endpoint):
    read_or_refuse(body.encode(), endpoint)


@several
@given(item=known_fields, endpoint=endpoints)
def test_any_single_event(item, endpoint):
    read_or_refuse(json.dumps(item).encode(), endpoint)


@several
@given(items=st.lists(known_fields | json_values, max_size=4), shared=known_fields)
def test_any_batch_gives_one_result_per_item(items, shared):
    results = read_all(json.dumps({**shared, "batch": items}).encode())
    assert len(results) == len(items)
    for result in results:
        assert_sound(result)


@several
@given(items=st.lists(known_fields, min_size=1, max_size=3))
def test_reads_an_item_alike_whether_or_not_its_neighbours_are_spoiled(items):
    strict = [json.loads(json.dumps(storable(item))) for item in items]
    alone = read_all(json.dumps({"batch": strict}).encode())
    beside = read_all(b'{"batch": [' + b",".join(json.dumps(item).encode() for item in strict) + b', {"x": NaN}]}')
    assert beside[:-1] == alone


@several
@given(value=json_values)
def test_makes_anything_storable(value):
    assert_storable(storable(value))


@several
@given(authorization=st.text(), header=st.text(), query=st.text())
def test_any_headers(authorization, header, query):
    for scheme in ("", "Basic ", "Bearer "):
        find_write_key(authorization=scheme + authorization, write_key_header=header, query_key=query)


def test_keeps_a_refused_item_small_in_memory():
    body = b'{"batch": [{"a": NaN, "b": ' + b"[" * 200_000 + b"]" * 200_000 + b"}]}"
    (item,) = split_items(body, "batch").items
    assert isinstance(item, BadItem)
    assert len(orjson.dumps(item.item)) < 100
