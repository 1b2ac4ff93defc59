"""Transformations: each operation, conditions, tests beside the steps, faults in definitions."""

import copy

import pytest

from ingestion.errors import InvalidTreatment
from ingestion.treatment.transformations import compile_transformations

ORDER = {
    "type": "track",
    "event": "order_completed",
    "userId": "dana-1",
    "properties": {
        "orderId": "1001",
        "country": " Germany ",
        "customer": "Dana, Dale",
        "street": "Lane 1",
        "city": "Bonn",
        "products": [{"id": "a", "price": 1}, {"id": "b"}],
    },
}


def run(*steps, message=ORDER):
    """Return what steps make of a message; None if it is filtered out."""
    given = copy.deepcopy(message)
    return given if compile_transformations({"steps": list(steps)}).run(given, "") else None


def properties(*steps):
    return run(*steps)["properties"]


def test_renames_a_member_and_leaves_one_that_is_there():
    step = {"op": "rename", "path": "properties.orderId", "to": "properties.order_id"}
    assert properties(step)["order_id"] == "1001"
    assert "orderId" not in properties(step)
    onto = {"op": "rename", "path": "properties.orderId", "to": "properties.city"}
    assert properties(onto)["city"] == "Bonn"
    assert properties({**onto, "overwrite": True})["city"] == "1001"


def test_renames_within_the_elements_of_a_list():
    step = {"op": "rename", "path": "properties.products[].id", "to": "properties.products[].product_id"}
    assert properties(step)["products"] == [{"price": 1, "product_id": "a"}, {"product_id": "b"}]


def test_moves_between_objects():
    step = {"op": "rename", "path": "properties.city", "to": "context.location.city"}
    assert run(step)["context"] == {"location": {"city": "Bonn"}}


def test_keeps_a_value_that_has_no_way_to_its_new_place():
    assert run({"op": "rename", "path": "properties.city", "to": "event.city"}) == ORDER


def test_drops_members_at_any_depth():
    step = {"op": "drop", "paths": ["properties.street", "properties.products[].price", "nowhere.at.all"]}
    assert "street" not in properties(step)
    assert properties(step)["products"] == [{"id": "a"}, {"id": "b"}]


def test_sets_a_value_always_or_only_where_it_is_missing():
    assert properties({"op": "set", "path": "properties.city", "value": "Berlin"})["city"] == "Berlin"
    missing = {"op": "set", "only_if_missing": True, "path": "properties.city", "value": "Berlin"}
    assert properties(missing)["city"] == "Bonn"
    assert properties({**missing, "path": "properties.shop.id", "value": [1]})["shop"] == {"id": [1]}


def test_maps_values_however_they_are_written():
    step = {"op": "map", "path": "properties.country", "values": {"germany": "DE"}}
    assert properties(step)["country"] == "DE"
    assert properties({**step, "exact": True})["country"] == " Germany "
    other = {**step, "values": {"france": "FR"}}
    assert properties(other)["country"] == " Germany "
    assert "country" not in properties({**other, "otherwise": "drop"})
    assert properties({**other, "otherwise": "set", "default": None})["country"] is None


def test_renames_an_event_by_a_table():
    assert run({"op": "map", "path": "event", "values": {"order_completed": "Order Completed"}})["event"] == (
        "Order Completed"
    )


def test_splits_a_text_into_members_or_a_list_and_joins_members():
    split = {
        "op": "split",
        "path": "properties.customer",
        "separator": ",",
        "to": ["traits.firstName", "traits.lastName"],
    }
    assert run(split)["traits"] == {"firstName": "Dana", "lastName": "Dale"}
    assert properties({**split, "to": "properties.names"})["names"] == ["Dana", "Dale"]
    join = {"op": "join", "paths": ["properties.street", "properties.zip", "properties.city"], "separator": ", "}
    assert properties({**join, "to": "properties.address"})["address"] == "Lane 1, Bonn"


def test_filters_by_type_event_and_value():
    assert run({"op": "filter", "when": {"event": "order_completed"}}) is None
    assert run({"op": "filter", "when": {"event": "other"}}) == ORDER
    assert run({"op": "filter", "keep": True, "when": {"event": "other"}}) is None
    cheap = {"if": [{"path": "properties.products[].price", "op": "in", "value": [1, 2]}]}
    assert run({"op": "filter", "when": cheap}) is None


@pytest.mark.parametrize(
    ("operator", "value", "holds"),
    [
        ("eq", "Bonn", True),
        ("ne", "Bonn", False),
        ("not_in", ["Bonn"], False),
        ("contains", "on", True),
        ("not_contains", "on", False),
        ("starts_with", "Bo", True),
        ("matches", "^B.nn$", True),
        ("matches", "^b", False),
        ("exists", ..., True),
        ("missing", ..., False),
    ],
)
def test_compares(operator, value, holds):
    test = {"path": "properties.city", "op": operator} | ({} if value is ... else {"value": value})
    step = {"op": "drop", "path": "properties.street", "when": {"type": ["track"], "if": [test]}}
    assert ("street" not in properties(step)) is holds


def test_takes_the_type_from_the_address_where_the_message_has_none():
    compiled = compile_transformations(
        {"steps": [{"op": "set", "path": "properties.x", "value": 1, "when": {"type": "page"}}]}
    )
    message = {"properties": {}}
    compiled.run(message, "page")
    assert message["properties"] == {"x": 1}


def test_does_not_count_true_as_one():
    step = {"op": "filter", "when": {"if": [{"path": "properties.flag", "op": "eq", "value": 1}]}}
    assert run(step, message={"properties": {"flag": True}}) is not None
    assert run(step, message={"properties": {"flag": 1.0}}) is None


def test_names_the_test_that_fails_and_where():
    good = {"name": "ok", "input": {"event": "a"}, "output": {"event": "b"}}
    bad = {"name": "wrong", "input": {"event": "x", "properties": {"p": [1]}}, "output": None}
    step = {"op": "map", "path": "event", "values": {"a": "b"}, "tests": [good, bad]}
    whole = {"input": {"event": "a", "n": {"m": 1}}, "output": {"event": "b", "n": {"m": True}}}
    failures = compile_transformations({"steps": [step], "tests": [whole]}).failures()
    assert [(one.path, one.differs_at) for one in failures] == [
        ("steps[0].tests[1]", "the whole message"),
        ("tests[0]", "n.m"),
    ]


@pytest.mark.parametrize(
    ("definition", "path"),
    [
        ([], ""),
        ({"stepz": []}, "stepz"),
        ({"steps": {}}, "steps"),
        ({"steps": [1]}, "steps[0].op"),
        ({"steps": [{"op": "explode"}]}, "steps[0].op"),
        ({"steps": [{"op": ["drop"]}]}, "steps[0].op"),
        ({"steps": [{"op": "drop", "path": "a", "pth": "b"}]}, "steps[0].pth"),
        ({"steps": [{"op": "drop"}]}, "steps[0].paths"),
        ({"steps": [{"op": "drop", "path": "messageId"}]}, "steps[0].paths[0]"),
        ({"steps": [{"op": "drop", "path": "a..b"}]}, "steps[0].paths[0]"),
        ({"steps": [{"op": "drop", "path": "a[]"}]}, "steps[0].paths[0]"),
        ({"steps": [{"op": "rename", "path": "a"}]}, "steps[0].to"),
        ({"steps": [{"op": "rename", "path": "a[].b", "to": "c[].b"}]}, "steps[0].to"),
        ({"steps": [{"op": "set", "path": "a"}]}, "steps[0].value"),
        ({"steps": [{"op": "set", "path": "a[].b", "value": 1}]}, "steps[0].path"),
        ({"steps": [{"op": "map", "path": "a", "values": {}}]}, "steps[0].values"),
        ({"steps": [{"op": "map", "path": "a", "values": {"x": 1}, "otherwise": "no"}]}, "steps[0].otherwise"),
        ({"steps": [{"op": "map", "path": "a", "values": {"x": 1}, "default": 1}]}, "steps[0].default"),
        ({"steps": [{"op": "split", "path": "a", "separator": "", "to": ["b", "c"]}]}, "steps[0].separator"),
        ({"steps": [{"op": "split", "path": "a", "separator": ",", "to": ["b"]}]}, "steps[0].to"),
        ({"steps": [{"op": "join", "paths": ["a"], "separator": ",", "to": "b"}]}, "steps[0].paths"),
        ({"steps": [{"op": "filter"}]}, "steps[0].when"),
        ({"steps": [{"op": "filter", "when": {"type": "trak"}}]}, "steps[0].when.type"),
        ({"steps": [{"op": "filter", "when": {"event": []}}]}, "steps[0].when.event"),
        ({"steps": [{"op": "filter", "when": {"if": [{"path": "a", "op": "like"}]}}]}, "steps[0].when.if[0].op"),
        ({"steps": [{"op": "filter", "when": {"if": [{"path": "a", "op": "eq"}]}}]}, "steps[0].when.if[0].value"),
        (
            {"steps": [{"op": "filter", "when": {"if": [{"path": "a", "op": "matches", "value": "(?=a)"}]}}]},
            "steps[0].when.if[0].value",
        ),
        ({"steps": [], "tests": [{"input": {}}]}, "tests[0]"),
        ({"steps": [{"op": "drop", "path": "a"}] * 101}, "steps"),
    ],
)
def test_names_the_place_of_a_fault(definition, path):
    with pytest.raises(InvalidTreatment) as caught:
        compile_transformations(definition)
    assert path in [fault.path for fault in caught.value.errors]
