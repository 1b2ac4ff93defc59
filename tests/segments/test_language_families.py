"""No kind of condition lacks a part: JSON, English, reference, SQL, a label for forms."""

import ast
from pathlib import Path
from typing import Any

import pytest

from segments.language import families
from segments.language.compile import compile_segment
from segments.language.evaluate import depends, explain, sentence
from segments.language.families import FAMILIES, LEAF_READERS, NOT_YET, ROW_LABELS
from segments.language.nodes import Node
from segments.language.parse import parse
from segments.language.person import Event, Moment, Person
from tests.segments.histories import NOWS

CONTRACT = {
    *("all", "any", "not", "everyone", "trait", "trait_held", "event", "event_pick", "sequence", "lifecycle"),
    *("segment", "list", "consent", "identity", "score", "rfm", "sample", "geo", "related"),
}
TRAIT = {"type": "trait", "path": "plan", "op": "eq", "value": "pro"}
ONE_OF_EACH: list[tuple[dict[str, Any], str, set[str]]] = [
    ({"type": "all", "of": [TRAIT, TRAIT]}, "plan is “pro” and plan is “pro”", {"trait:plan"}),
    ({"type": "any", "of": [TRAIT, TRAIT]}, "plan is “pro” or plan is “pro”", {"trait:plan"}),
    ({"type": "not", "of": TRAIT}, "not (plan is “pro”)", {"trait:plan"}),
    ({"type": "everyone"}, "is anyone", set()),
    (
        {"type": "trait", "path": "a.b", "op": "gt", "value": {"ref": "trait:c.d"}},
        "a.b is more than the value of trait:c.d",
        {"trait:a", "trait:c"},
    ),
    (
        {
            "type": "event",
            "name": "Order Completed",
            "window": {"last": "P90D"},
            "where": {"property": "total", "op": "gt", "value": 50},
            "op": "gte",
            "value": 3,
        },
        "did “Order Completed” at least 3 times in the last 90 days where total is more than 50",
        {"event:Order Completed"},
    ),
    (
        {"type": "event_pick", "pick": "last", "name": "*", "has": {"property": "x", "op": "exists"}},
        "has a last anything ever, of which x is known",
        {"event:*"},
    ),
    (
        {
            "type": "sequence",
            "window": {"last": "P8D"},
            "steps": [{"name": "A"}, {"name": "B", "occurs": False, "within": "PT24H"}],
        },
        "did “A”, then not “B” within 24 hours, in the last 8 days",
        {"event:A", "event:B"},
    ),
    (
        {"type": "lifecycle", "name": "A", "state": "dormant", "period": "P7D"},
        "did “A” in the 7 days before the last 7 days, but not since",
        {"event:A"},
    ),
    (
        {"type": "trait_held", "path": "plan", "op": "eq", "value": "pro", "for": "P30D"},
        "plan is “pro”, for 30 days now",
        {"trait:plan", "event:"},
    ),
    (
        {"type": "rfm", "r": [4, 5], "m": [5]},
        "scores recency 4 or 5, revenue 5 of 5 among all who ordered",
        {"event:$order", "identifier:user_id", "ranked:orders"},
    ),
    ({"type": "segment", "key": "vip", "op": "not_in"}, "is not in segment “vip”", {"segment:vip"}),
    ({"type": "list", "key": "staff"}, "is on list “staff”", {"list:staff"}),
    (
        {"type": "consent", "purpose": "marketing", "channel": "email", "status": ["granted"]},
        "consent to “marketing” by email is granted",
        {"consent:marketing"},
    ),
    ({"type": "identity", "namespace": "email", "op": "missing"}, "has no identifier “email”", {"identifier:email"}),
    ({"type": "sample", "percent": 10, "salt": "s"}, "is in the random 10 % of “s”", set()),
    (
        {"type": "geo", "path": "place", "near": [52.5, 13.4], "km": 25},
        "place is within 25 km of 52.5, 13.4",
        {"trait:place"},
    ),
]


def test_every_type_of_the_contract_is_there_or_refused_by_name() -> None:
    assert {family.type for family in FAMILIES} | set(NOT_YET) == CONTRACT
    assert set(LEAF_READERS) | {"all", "any", "not", "everyone"} == {family.type for family in FAMILIES}


def test_every_kind_in_the_package_is_registered() -> None:
    package = Path(families.__file__).parent
    classes = {
        node.name
        for file in package.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "Node" for base in node.bases)
    }
    assert classes == {family.__name__ for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
def test_no_kind_lacks_a_part(family: type[Node]) -> None:
    assert not family.__abstractmethods__
    assert ROW_LABELS[family.type]
    assert any(example["type"] == family.type for example, _, _ in ONE_OF_EACH)


@pytest.mark.parametrize(("example", "english", "tokens"), ONE_OF_EACH)
def test_says_compiles_explains_and_depends(example: Any, english: str, tokens: set[str]) -> None:
    segment = parse({"version": 1, "timezone": "UTC", "match": example})
    assert sentence(segment) == f"People for whom: {english}."
    assert depends(segment) == tokens
    compiled = compile_segment(segment, now=NOWS[0])
    assert compiled.sql.count("%(") >= len(compiled.parameters) > 0 or example["type"] in {"everyone"}
    lines = explain(segment, Person(uuid="x"), Moment(NOWS[0]))
    assert lines[0].path == "match"
    assert all(line.sentence for line in lines)


def test_puts_no_value_into_the_text_of_the_statement() -> None:
    hostile = "'; drop table profiles_profile; --%s"
    match = {
        "type": "all",
        "of": [
            {"type": "trait", "path": hostile, "op": "eq", "value": hostile},
            {"type": "event", "name": hostile, "where": {"property": hostile, "op": "contains", "value": hostile}},
            {"type": "segment", "key": hostile},
            {"type": "consent", "purpose": hostile, "channel": hostile, "status": ["granted"]},
            {"type": "identity", "namespace": hostile, "op": "exists"},
            {"type": "sequence", "steps": [{"name": hostile}, {"name": hostile, "same": [hostile]}]},
        ],
    }
    sql = compile_segment(parse({"version": 1, "match": match}), now=NOWS[0]).sql
    assert "'; drop" not in sql
    assert "--" not in sql


def test_explains_with_what_it_found() -> None:
    match = {"type": "all", "of": [TRAIT, {"type": "event", "name": "A", "op": "gte", "value": 2}]}
    someone = Person(uuid="x", traits={"plan": "free"}, events=(Event(1, "A", NOWS[0].replace(year=2025)),))
    lines = explain(parse({"version": 1, "match": match}), someone, Moment(NOWS[0]))
    assert [(line.path, line.result, line.observed) for line in lines] == [
        ("match", False, {"true": 0, "of": 2}),
        ("match.of[0]", False, "free"),
        ("match.of[1]", False, 1),
    ]


def test_depends_on_the_time_zone_of_the_profile_where_it_counts_in_it() -> None:
    segment = parse({"version": 1, "timezone": "profile", "match": TRAIT})
    assert depends(segment) == {"trait:plan", "trait:timezone"}
