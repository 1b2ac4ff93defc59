"""Values that a condition cannot read count as missing; how many there are is told beside the condition."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.segments.asking import definition, did, identify, segment, track, trait
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
OLD = trait("age", "gte", 30)


@pytest.fixture(autouse=True)
def _people() -> None:
    """Give two ages that are numbers, one of them as text, and two that are none; and two totals, of which one is."""
    for user, age in (("ana", 31), ("ben", "44"), ("cy", "old"), ("dana", {"years": 5}), ("eve", None)):
        identify(user, NOW, age=age, born={"at": "1990-02-30" if user == "ana" else "1990-03-01"})
    track("ana", "Order", NOW, total="12 EUR", day=5)
    track("ben", "Order", NOW, total="12.5", day="2026-01-01")


def uncastable(match: Any, *scopes: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return, for each row that could not read something, its path and what."""
    client = api(*(scopes or ("segments:read", "profiles:read")))
    answer = client.post("/api/v1/segments/preview/rows", {"definition": definition(match)}, format="json")
    assert answer.status_code == 200, answer.json()
    return [(row["path"], row["uncastable"]) for row in answer.json()["rows"] if row["uncastable"]]


def found(field: str, cast: str, count: int | None, events: str | None = None) -> dict[str, Any]:
    return {"field": field, "cast": cast, "events": events, "count": count}


def test_counts_traits_that_are_no_numbers() -> None:
    assert uncastable(OLD) == [("match", [found("age", "number", 2)])]
    assert uncastable(trait("age", "exists")) == []
    assert uncastable(trait("plan", "eq", 5)) == []


def test_counts_days_that_do_not_exist() -> None:
    born = {"type": "trait", "path": "born.at", "op": "before", "value": "2000-01-01"}
    # 30 February.
    assert uncastable(born) == [("match", [found("born.at", "datetime", 1)])]


def test_counts_properties_and_measured_ones() -> None:
    spent = did("Order", measure={"fn": "sum", "property": "total"}, op="gte", value=1)
    assert uncastable(spent) == [("match", [found("total", "number", 1, "“Order”")])]
    late = did("Order", where={"property": "day", "op": "in_last", "value": "P900D"})
    both = {"type": "all", "of": [OLD, {"type": "not", "of": late}]}
    assert uncastable(both) == [
        ("match.of[0]", [found("age", "number", 2)]),
        ("match.of[1].of", [found("day", "datetime", 1, "“Order”")]),
    ]
    pick = {"type": "event_pick", "pick": "last", "name": "Order", "has": {"property": "total", "op": "gt", "value": 1}}
    steps = [{"name": "Order", "where": {"property": "total", "op": "gt", "value": 1}}, {"name": "Cart"}]
    for match in (pick, {"type": "sequence", "window": {"last": "P1D"}, "steps": steps}):
        assert uncastable(match) == [("match", [found("total", "number", 1, "“Order”")])]


def test_of_few_people_no_count_is_told_to_whoever_may_not_see_them() -> None:
    assert uncastable(OLD, "segments:read") == [("match", [found("age", "number", None)])]


def test_says_it_in_the_builder_and_on_the_page_of_the_segment() -> None:
    ana = signed_in("ana")
    body = json.dumps({"definition": definition(OLD)})
    rows = ana.post("/segments/new/closer", body, content_type="application/json").json()["rows"]
    assert rows[0]["unread"] == ["age is not a number for 2 people: it counts as missing"]
    segment("old", OLD, now=NOW)
    assert "age is not a number for 2 people" in ana.get("/segments/old/unreadable").content.decode()
    segment("known", trait("age", "exists"), now=NOW)
    assert ana.get("/segments/known/unreadable").content.decode().strip() == ""
