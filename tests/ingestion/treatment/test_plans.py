"""Plans: rules, policies, the allow-list, Segment's JSON, and a first plan from what was seen."""

import copy

import pytest

from ingestion.errors import InvalidTreatment
from ingestion.treatment.inference import infer_plan
from ingestion.treatment.plans import compile_plan
from ingestion.treatment.segment_plan import export_plan, import_plan

ORDER = {
    "type": "object",
    "required": ["order_id"],
    "properties": {
        "order_id": {"type": "string"},
        "total": {"type": "number", "minimum": 0},
        "products": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "number"}}}},
    },
}
RULES = [{"type": "track", "event": "Order Completed", "schema": ORDER}]


def judge(properties, kind="track", name="Order Completed", traits=None, context=None, **plan):
    """Return the action, the findings and the properties as the plan leaves them."""
    kept, context = copy.deepcopy(properties), {} if context is None else context
    verdict = compile_plan({"rules": RULES, **plan}).judge(kind, name, kept, traits, context)
    if verdict is None:
        return "allow", [], kept
    return verdict.action, [(one.path, one.rule, one.action) for one in verdict.findings], kept


def test_finds_nothing_in_what_is_planned():
    assert judge({"order_id": "1", "total": 2, "products": [{"price": 1}]})[:2] == ("allow", [])


def test_allows_and_tells():
    assert judge({"total": "2", "products": [{"price": 1}, {"price": "x"}]})[:2] == (
        "allow",
        [
            ("properties.order_id", "required", "allow"),
            ("properties.total", "type", "allow"),
            ("properties.products[].price", "type", "allow"),
        ],
    )


def test_drops_the_property_but_not_what_is_missing():
    action, found, kept = judge({"total": -1, "products": [{"price": "x", "sku": "a"}]}, policies={"violation": "drop"})
    assert action == "allow"
    assert ("properties.order_id", "required", "allow") in found
    assert kept == {"products": [{"sku": "a"}]}


def test_drops_the_list_around_an_element_that_is_wrong():
    assert judge({"order_id": "1", "products": ["x"]}, policies={"violation": "drop"})[2] == {"order_id": "1"}


def test_quarantines():
    assert judge({}, policies={"violation": "quarantine"})[0] == "quarantine"


@pytest.mark.parametrize("policy", ["allow", "drop", "quarantine"])
def test_knows_events_that_are_not_planned(policy):
    action, found, _ = judge({}, name="Other", policies={"unplanned_event": policy})
    assert (action, found) == (policy, [("", "unplanned_event", policy)])
    # Other types have no events, and a plan without tracks says nothing about them.
    assert judge({}, kind="page", name="Other", policies={"unplanned_event": policy})[1] == []
    assert judge({}, name="Other", rules=[{"type": "identify"}], policies={"unplanned_event": policy})[1] == []


def test_knows_properties_that_are_not_planned():
    given = {"order_id": "1", "extra": 1, "dana@x.example": 2}
    assert judge(given)[1] == []
    action, found, kept = judge(given, policies={"unplanned_property": "drop"})
    # A name that looks like a value is not told.
    assert found == [
        ("properties.extra", "unplanned_property", "drop"),
        ("properties.*", "unplanned_property", "drop"),
    ]
    assert (action, kept) == ("allow", {"order_id": "1"})
    assert judge(given, policies={"unplanned_property": "quarantine"})[0] == "quarantine"


def test_minimises_to_an_allow_list_and_what_is_planned():
    context = {"ip": "10.0.0.1", "page": {"url": "u", "title": "t"}, "consent": {"a": 1}, "traits": {"ssn": 1, "x": 2}}
    allow = {"properties": ["coupon", "box.size"], "context": ["page.url", "traits"], "traits": ["x"]}
    given = {"order_id": "1", "coupon": "c", "secret": 1, "box": {"size": 1, "label": 2}}
    action, found, kept = judge(given, context=context, allow=allow)
    assert action == "allow"
    assert kept == {"order_id": "1", "coupon": "c", "box": {"size": 1}}
    assert context == {"page": {"url": "u"}, "consent": {"a": 1}, "traits": {"x": 2}}
    assert {path for path, rule, action in found if (rule, action) == ("not_allowed", "drop")} == {
        *("properties.secret", "properties.box.label"),
        *("context.ip", "context.page.title", "context.traits.ssn"),
    }


def test_takes_dropped_traits_out_of_their_copy_in_the_context():
    rules = [{"type": "identify", "schema": {"properties": {"age": {"type": "integer"}}}}]
    traits, context = {"age": "x", "plan": "pro"}, {"traits": {"age": "x", "plan": "pro"}}
    judge({}, kind="identify", traits=traits, context=context, rules=rules, policies={"violation": "drop"})
    assert (traits, context["traits"]) == ({"plan": "pro"}, {"plan": "pro"})


def test_holds_the_common_rule_against_every_type():
    rules = [{"type": "common", "context": {"required": ["app"]}, "schema": {"required": ["brand"]}}]
    assert judge({}, kind="page", rules=rules)[1] == [
        ("properties.brand", "required", "allow"),
        ("context.app", "required", "allow"),
    ]
    assert judge({}, kind="alias", rules=rules)[1] == [("context.app", "required", "allow")]


@pytest.mark.parametrize(
    ("plan", "path"),
    [
        ([], ""),
        ({"rules": [{"type": "trak"}]}, "rules[0].type"),
        ({"rules": [{"type": "track"}]}, "rules[0].event"),
        ({"rules": [{"type": "identify", "event": "x"}]}, "rules[0].event"),
        ({"rules": [*RULES, *RULES]}, "rules[1]"),
        ({"rules": [{"type": "common"}, {"type": "common"}]}, "rules[1]"),
        ({"rules": [{"type": "page", "schema": {"tipe": 1}}]}, "rules[0].schema.tipe"),
        ({"rules": [], "policies": {"violation": "explode"}}, "policies.violation"),
        ({"rules": [], "policies": {"other": "allow"}}, "policies.other"),
        ({"rules": [], "allow": {"traits": [1]}}, "allow.traits[0]"),
        ({"rules": [], "allow": {"event": []}}, "allow.event"),
    ],
)
def test_names_the_place_of_a_fault(plan, path):
    with pytest.raises(InvalidTreatment) as caught:
        compile_plan(plan)
    assert path in [fault.path for fault in caught.value.errors]


SEGMENT_SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"context": {}, "traits": {}, "properties": ORDER},
    "required": ["properties"],
}


def test_takes_segments_rules_and_gives_them_back():
    rules = [
        {"type": "TRACK", "key": "Order Completed", "version": 2, "jsonSchema": SEGMENT_SCHEMA},
        {"type": "IDENTIFY", "jsonSchema": {"type": "object", "properties": {"traits": {"required": ["email"]}}}},
        {"type": "COMMON", "jsonSchema": {"type": "object", "properties": {"context": {"required": ["app"]}}}},
    ]
    plan = import_plan({"data": {"rules": rules}})
    assert plan["rules"] == [
        {"type": "track", "event": "Order Completed", "version": 2, "schema": ORDER},
        {"type": "identify", "schema": {"required": ["email"]}},
        {"type": "common", "context": {"required": ["app"]}},
    ]
    compile_plan(plan)
    exported = export_plan(plan)
    assert exported["rules"][0]["jsonSchema"]["properties"]["properties"] == ORDER
    again = import_plan(exported)["rules"]
    assert [{**rule, "version": 0} for rule in again] == [
        {"schema": {}, **{**rule, "version": 0}} if "schema" in rule else {**rule, "version": 0}
        for rule in plan["rules"]
    ]


def test_takes_the_older_document_and_its_draft():
    schema = {
        "type": "object",
        "properties": {
            "properties": {
                "type": "object",
                "properties": {"pair": {"items": [{"type": "string"}, {"type": "number"}], "additionalItems": False}},
                "dependencies": {"pair": ["unit"]},
            }
        },
    }
    events = [{"name": "Seen", "description": "d", "version": 1, "rules": schema}]
    plan = import_plan({"display_name": "Shop", "rules": {"events": events, "identify": {}, "global": {}}})
    assert plan["name"] == "Shop"
    (rule,) = plan["rules"]
    assert (rule["event"], rule["description"]) == ("Seen", "d")
    assert rule["schema"]["dependentRequired"] == {"pair": ["unit"]}
    assert rule["schema"]["properties"]["pair"] == {
        "prefixItems": [{"type": "string"}, {"type": "number"}],
        "items": False,
    }
    compile_plan(plan)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"rules": 1},
        {"rules": [{"type": "ALIAS"}]},
        {"rules": [{"type": "TRACK"}]},
        {"rules": [1]},
        {"rules": {"events": [{"rules": {}}]}},
        {"rules": {"events": {}}},
        {"rules": [{"type": "TRACK", "key": "x", "jsonSchema": {"anyOf": []}}]},
        {"rules": [{"type": "TRACK", "key": "x", "jsonSchema": {"properties": {"traits": {"required": ["a"]}}}}]},
    ],
)
def test_leaves_nothing_of_segments_plan_out_in_silence(document):
    with pytest.raises(InvalidTreatment):
        import_plan(document)


def test_proposes_a_plan_that_what_was_seen_keeps():
    seen = [
        {
            "type": "track",
            "event": "Seen",
            "properties": {"n": number, "x": None if number % 2 else 1.5, "t": [{"k": "v"}]},
        }
        for number in range(10)
    ] + [{"type": "identify", "traits": {"email": "dana@x.example", "dana@x.example": 1}}]
    plan = infer_plan(seen)
    track, identify = plan["rules"]
    assert track["schema"] == {
        "type": "object",
        "properties": {
            "n": {"type": "integer"},
            "t": {
                "type": "array",
                "items": {"type": "object", "properties": {"k": {"type": "string"}}, "required": ["k"]},
            },
            "x": {"type": ["null", "number"]},
        },
        "required": ["n", "t", "x"],
    }
    assert identify["schema"]["properties"] == {"email": {"type": "string"}}
    assert "dana" not in str(plan)
    compiled = compile_plan(plan)
    assert all(
        compiled.judge(one["type"], one.get("event", ""), one.get("properties", {}), one.get("traits"), {}) is None
        for one in seen
    )
