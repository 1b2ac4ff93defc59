"""Compiled schemas say what `jsonschema` says, and name the same places."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ingestion.errors import InvalidTreatment
from ingestion.treatment.faults import Faults
from ingestion.treatment.schema import compile_schema

NAMES = st.sampled_from(["a", "b", "c", "ab"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, 1.5, -2.5]), st.text("ab1", max_size=3)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
# Patterns that Python's engine and ours read alike on these texts.
PATTERNS = st.sampled_from(["^a", "b", "^[ab]+$", "1|aa", "^.{2}$"])


def keyword(name, values):
    return values.map(lambda value: {name: value})


LEAVES = st.one_of(
    st.just({}),
    st.booleans(),
    keyword("type", st.one_of(TYPES, st.lists(TYPES, min_size=1, max_size=2, unique=True))),
    keyword("enum", st.lists(VALUES, min_size=1, max_size=3)),
    keyword("const", VALUES),
    keyword("minimum", st.integers(-2, 2)),
    keyword("exclusiveMaximum", st.integers(-2, 2)),
    keyword("multipleOf", st.sampled_from([1, 2, 0.5, 1.5])),
    keyword("minLength", st.integers(0, 2)),
    keyword("maxLength", st.integers(0, 2)),
    keyword("pattern", PATTERNS),
    keyword("minItems", st.integers(0, 2)),
    keyword("maxProperties", st.integers(0, 2)),
    keyword("uniqueItems", st.booleans()),
    keyword("required", st.lists(NAMES, max_size=2, unique=True)),
    keyword("dependentRequired", st.dictionaries(NAMES, st.lists(NAMES, max_size=2, unique=True), max_size=2)),
)


def deeper(inner):
    return st.one_of(
        keyword("properties", st.dictionaries(NAMES, inner, max_size=3)),
        keyword("additionalProperties", inner),
        keyword("patternProperties", st.dictionaries(PATTERNS, inner, max_size=2)),
        keyword("propertyNames", inner),
        keyword("items", inner),
        keyword("prefixItems", st.lists(inner, min_size=1, max_size=2)),
        keyword("contains", inner),
        keyword("dependentSchemas", st.dictionaries(NAMES, inner, max_size=2)),
        keyword("allOf", st.lists(inner, min_size=1, max_size=2)),
        keyword("anyOf", st.lists(inner, min_size=1, max_size=2)),
        keyword("oneOf", st.lists(inner, min_size=1, max_size=2)),
        keyword("not", inner),
        st.tuples(inner, inner, inner).map(lambda three: {"if": three[0], "then": three[1], "else": three[2]}),
        st.tuples(inner, inner).map(lambda two: {**as_object(two[0]), **as_object(two[1])}),
    )


def as_object(schema):
    return schema if isinstance(schema, dict) else {}


SCHEMAS = st.recursive(LEAVES, deeper, max_leaves=6).filter(lambda schema: isinstance(schema, dict))
# Named by the object or by the member: a matter of taste, in which ours is the finer one.
ELSEWHERE = {"required", "dependentRequired", "additionalProperties", "propertyNames", "false", "None"}


def compiled(schema):
    faults = Faults("x")
    made = compile_schema(schema, "schema", faults)
    faults.end()
    return made


@settings(max_examples=150, deadline=None)
@given(SCHEMAS, VALUES)
def test_agrees_with_the_library(schema, value):
    ours = compiled(schema)
    library = Draft202012Validator(schema)
    assert ours.holds(value) is library.is_valid(value)
    found = list(ours.find(value, ()))
    assert bool(found) is not ours.holds(value)
    expected = {(tuple(error.absolute_path), str(error.validator)) for error in library.iter_errors(value)}
    if "propertyNames" not in str(schema) and "False" not in str(schema):
        assert {(one.where, one.rule) for one in found if one.rule not in ELSEWHERE} == {
            pair for pair in expected if pair[1] not in ELSEWHERE
        }


def test_names_the_place_and_the_keyword():
    schema = compiled(
        {
            "type": "object",
            "required": ["order_id"],
            "additionalProperties": False,
            "properties": {
                "order_id": {"type": "string"},
                "products": {"type": "array", "items": {"properties": {"price": {"type": "number", "minimum": 0}}}},
            },
        }
    )
    value = {"products": [{"price": 1}, {"price": -1}, {"price": "1"}], "x": 1}
    assert not schema.holds(value)
    assert [(one.where, one.rule) for one in schema.find(value, ())] == [
        (("order_id",), "required"),
        (("x",), "additionalProperties"),
        (("products", 1, "price"), "minimum"),
        (("products", 2, "price"), "type"),
    ]


def test_follows_references_within_the_schema():
    schema = compiled({"properties": {"a": {"$ref": "#/$defs/price"}}, "$defs": {"price": {"type": "number"}}})
    assert schema.holds({"a": 1})
    assert not schema.holds({"a": "1"})


def test_leaves_unevaluated_members_to_the_library():
    schema = compiled({"properties": {"a": {}}, "unevaluatedProperties": False})
    assert schema.holds({"a": 1})
    assert [one.rule for one in schema.find({"b": 1}, ())] == ["unevaluatedProperties"]


def test_takes_time_in_proportion_to_a_text():
    schema = compiled({"pattern": "^(a+)+$"})
    assert not schema.holds("a" * 4000 + "!")
    assert schema.holds("a" * 4000)


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ([], "schema"),
        ({"type": "text"}, "schema.type"),
        ({"requried": ["a"]}, "schema.requried"),
        ({"properties": {"a": {"tipe": 1}}}, "schema.properties.a.tipe"),
        ({"pattern": "(?=a)"}, "schema.pattern"),
        ({"items": [{}]}, "schema.items"),
        ({"dependencies": {}}, "schema.dependencies"),
        ({"$dynamicRef": "#x"}, "schema.$dynamicRef"),
        ({"$ref": "https://example.org/schema"}, "schema.$ref"),
        ({"$ref": "#/nowhere"}, "schema.$ref"),
        ({"$ref": "#"}, "schema.$ref.$ref"),
        ({"$ref": "#/properties", "properties": {"type": {"type": "string"}}}, "schema.$ref"),
        ({"unevaluatedProperties": False, "pattern": "a"}, "schema"),
    ],
)
def test_names_what_it_does_not_take(schema, path):
    with pytest.raises(InvalidTreatment) as caught:
        compiled(schema)
    assert path in [fault.path for fault in caught.value.errors]


def test_refuses_a_schema_without_end():
    deep = {}
    for _ in range(60):
        deep = {"properties": {"a": deep}, "type": "object"}
    with pytest.raises(InvalidTreatment):
        compiled(deep)
