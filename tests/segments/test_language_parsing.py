"""Reading definitions: what is refused, where, and why."""

from typing import Any

import pytest

from segments.errors import CircularReference, InvalidDefinition, UnknownReference
from segments.language.check import Catalogue, check, references
from segments.language.parse import parse

TRAIT = {"type": "trait", "path": "plan", "op": "eq", "value": "pro"}


def whole(match: Any, **more: Any) -> dict[str, Any]:
    return {"version": 1, "timezone": "UTC", "match": match, **more}


def faults_of(definition: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidDefinition) as caught:
        parse(definition)
    return [(error.path, error.code) for error in caught.value.errors]


@pytest.mark.parametrize(
    ("definition", "path", "code"),
    [
        (None, "", "wrong_type"),
        ([], "", "wrong_type"),
        ({"version": 1}, "match", "missing_key"),
        ({"version": 2, "match": TRAIT}, "version", "not_allowed"),
        ({"version": True, "match": TRAIT}, "version", "not_allowed"),
        (whole(TRAIT, timezone="Mars/Base"), "timezone", "not_allowed"),
        (whole(TRAIT, timezone=["UTC"]), "timezone", "not_allowed"),
        (whole(TRAIT, extra=1), "extra", "unknown_key"),
        (whole(None), "match", "wrong_type"),
        (whole({"op": "eq"}), "match.type", "missing_key"),
        (whole({"type": "wizard"}), "match.type", "not_allowed"),
        (whole({"type": ["all"]}), "match.type", "not_allowed"),
        (whole({"type": "score"}), "match.type", "not_available"),
        (whole({"type": "related"}), "match.type", "not_available"),
        (whole({"type": "all", "of": []}), "match.of", "invalid_value"),
        (whole({"type": "all", "of": TRAIT}), "match.of", "wrong_type"),
        (whole({"type": "not", "of": [TRAIT]}), "match.of", "wrong_type"),
        (whole({"type": "everyone", "of": []}), "match.of", "unknown_key"),
        (whole({**TRAIT, "op": "like"}), "match.op", "not_allowed"),
        (whole({**TRAIT, "op": None}), "match.op", "not_allowed"),
        (whole({**TRAIT, "colour": "red"}), "match.colour", "unknown_key"),
        (whole({**TRAIT, "path": "a..b"}), "match.path", "invalid_value"),
        (whole({**TRAIT, "path": ""}), "match.path", "invalid_value"),
        (whole({**TRAIT, "value": None}), "match.value", "missing_key"),
        (whole({**TRAIT, "op": "exists"}), "match.value", "not_allowed"),
        (whole({**TRAIT, "op": "gt"}), "match.op", "not_allowed"),
        (whole({**TRAIT, "cast": "number"}), "match.value", "wrong_type"),
        (whole({**TRAIT, "cast": "money"}), "match.cast", "not_allowed"),
        (whole({**TRAIT, "op": "in"}), "match.value", "wrong_type"),
        (whole({**TRAIT, "op": "in", "value": ["a", 1]}), "match.value", "wrong_type"),
        (whole({**TRAIT, "op": "in", "value": []}), "match.value", "invalid_value"),
        (whole({**TRAIT, "op": "between", "value": [2, 1]}), "match.value", "invalid_value"),
        (whole({**TRAIT, "op": "contains", "value": ""}), "match.value", "invalid_value"),
        (whole({**TRAIT, "op": "matches", "value": "(a)\\1"}), "match.value", "invalid_pattern"),
        (whole({**TRAIT, "op": "matches", "value": "(?=a)"}), "match.value", "invalid_pattern"),
        (whole({**TRAIT, "op": "matches", "value": "((a{99}){99}){99}"}), "match.value", "invalid_pattern"),
        (whole({**TRAIT, "op": "before", "value": "soon"}), "match.value", "invalid_time"),
        (whole({**TRAIT, "op": "before", "value": "2026-02-30"}), "match.value", "invalid_time"),
        (whole({**TRAIT, "op": "before", "value": {"ago": "30 days"}}), "match.value.ago", "invalid_duration"),
        (whole({**TRAIT, "op": "in_last", "value": "P0D"}), "match.value", "invalid_duration"),
        (whole({**TRAIT, "value": {"ref": "event:x"}}), "match.value.ref", "not_allowed"),
        (whole({**TRAIT, "value": {"ref": "step:0.a"}}), "match.value.ref", "unknown_reference"),
        (whole({**TRAIT, "value": "a\0b"}), "match.value", "invalid_value"),
        (whole({**TRAIT, "value": "\ud800"}), "match.value", "invalid_value"),
        (whole({**TRAIT, "op": "gt", "value": float("nan")}), "match.value", "invalid_value"),
        (whole({"type": "event", "name": ""}), "match.name", "invalid_value"),
        (whole({"type": "event", "name": ["A", "*"]}), "match.name", "invalid_value"),
        (whole({"type": "event", "name": "A", "op": "like", "value": 1}), "match.op", "not_allowed"),
        (whole({"type": "event", "name": "A", "op": "gte", "value": -1}), "match.value", "invalid_value"),
        (whole({"type": "event", "name": "A", "op": "gte", "value": 1.5}), "match.value", "wrong_type"),
        (whole({"type": "event", "name": "A", "op": "gte", "value": "many"}), "match.value", "wrong_type"),
        (whole({"type": "event", "name": "A", "measure": {"fn": "sum"}}), "match.measure.property", "invalid_value"),
        (
            whole({"type": "event", "name": "A", "measure": {"fn": "sum", "property": "x"}, "op": "gt", "value": "5"}),
            "match.value",
            "wrong_type",
        ),
        (
            whole({"type": "event", "name": "A", "where": {"property": "x", "op": "odd"}}),
            "match.where.op",
            "not_allowed",
        ),
        (whole({"type": "event", "name": "A", "window": {}}), "match.window", "invalid_window"),
        (whole({"type": "event", "name": "A", "window": {"last": "P731D"}}), "match.window.last", "limit"),
        (whole({"type": "event", "name": "A", "window": {"last": "P30"}}), "match.window.last", "invalid_duration"),
        (
            whole({"type": "event", "name": "A", "window": {"between": ["P1D", "P30D"]}}),
            "match.window.between",
            "invalid_window",
        ),
        (
            whole({"type": "event", "name": "A", "window": {"last": "P1D", "calendar": "today"}}),
            "match.window",
            "invalid_window",
        ),
        (
            whole({"type": "event", "name": "A", "window": {"from": "2026-02-01", "to": "2026-01-01"}}),
            "match.window",
            "invalid_window",
        ),
        (whole({"type": "sequence", "steps": [{"name": "A"}]}), "match.steps", "invalid_value"),
        (
            whole({"type": "sequence", "steps": [{"name": "A", "occurs": False}, {"name": "B"}]}),
            "match.steps[0]",
            "invalid_value",
        ),
        (
            whole(
                {
                    "type": "sequence",
                    "steps": [
                        {"name": "A"},
                        {"name": "B", "where": {"property": "x", "op": "eq", "value": {"ref": "step:1.x"}}},
                    ],
                }
            ),
            "match.steps[1].where.value.ref",
            "unknown_reference",
        ),
        (whole({"type": "segment", "key": "a", "op": "entered"}), "match.window", "missing_key"),
        (whole({"type": "segment", "key": "a", "op": "in", "for": "P1D"}), "match.for", "not_allowed"),
        (whole({"type": "consent", "purpose": "p", "status": ["maybe"]}), "match.status[0]", "not_allowed"),
        (whole({"type": "consent", "purpose": "p", "status": "granted"}), "match.status", "wrong_type"),
        (whole({"type": "sample", "percent": 60, "offset": 50, "salt": "s"}), "match", "invalid_value"),
        (
            whole({"type": "lifecycle", "name": "A", "state": "regular", "period": "P7D", "at_least": 5, "of_last": 3}),
            "match.at_least",
            "invalid_value",
        ),
    ],
)
def test_refuses_and_names_the_place(definition: Any, path: str, code: str) -> None:
    assert (path, code) in faults_of(definition)


def test_reports_the_faults_of_all_conditions_together() -> None:
    bad = {"type": "trait", "path": "plan", "op": "like"}
    assert [path for path, _ in faults_of(whole({"type": "all", "of": [bad, TRAIT, bad]}))] == [
        "match.of[0].op",
        "match.of[2].op",
    ]


def test_names_the_value_and_what_is_allowed() -> None:
    with pytest.raises(InvalidDefinition, match=r'match.op: "like" is not allowed here; allowed: eq, ne, in'):
        parse(whole({**TRAIT, "op": "like"}))


def test_accepts_a_hundred_conditions_and_refuses_more() -> None:
    parse(whole({"type": "all", "of": [TRAIT] * 100}))
    groups = [{"type": "any", "of": [TRAIT] * 51}, {"type": "any", "of": [TRAIT] * 50}]
    assert faults_of(whole({"type": "all", "of": groups})) == [("match", "limit")]


def test_accepts_ten_levels_and_refuses_more() -> None:
    def nested(levels: int) -> Any:
        return TRAIT if levels == 1 else {"type": "not", "of": nested(levels - 1)}

    parse(whole(nested(10)))
    assert faults_of(whole(nested(11)))[0][1] == "limit"


def test_accepts_ten_steps_and_refuses_more() -> None:
    parse(whole({"type": "sequence", "steps": [{"name": "A"}] * 10}))
    assert faults_of(whole({"type": "sequence", "steps": [{"name": "A"}] * 11})) == [("match.steps", "limit")]


def test_survives_absurd_nesting() -> None:
    deep: Any = TRAIT
    for _ in range(400):
        deep = {"type": "not", "of": deep}
    assert faults_of(whole(deep))[0][1] == "limit"


def test_reads_numeric_strings_for_counts_and_days_only() -> None:
    parse(whole({"type": "event", "name": "A", "op": "gte", "value": "2"}))
    parse(whole({"type": "event", "name": "A", "measure": {"fn": "days"}, "op": "gte", "value": "2"}))


def test_limits_durations_but_not_dates_of_windows() -> None:
    for window in ({"last": "P730D"}, {"last": "P24M"}, {"from": "2001-01-01", "to": "2026-01-01"}, {"all_time": True}):
        parse(whole({"type": "event", "name": "A", "window": window}))


CATALOGUE = Catalogue(
    segments={"vip": frozenset(), "outer": frozenset({"vip"})},
    purposes={"marketing": frozenset({"email"})},
    lists=frozenset({"staff"}),
    identifier_types=frozenset({"email"}),
)


@pytest.mark.parametrize(
    ("node", "path"),
    [
        ({"type": "segment", "key": "nobody"}, "match.key"),
        ({"type": "list", "key": "nobody"}, "match.key"),
        ({"type": "consent", "purpose": "fun", "status": ["granted"]}, "match.purpose"),
        ({"type": "consent", "purpose": "marketing", "channel": "fax", "status": ["granted"]}, "match.channel"),
        ({"type": "identity", "namespace": "shoe", "op": "exists"}, "match.namespace"),
    ],
)
def test_refuses_what_does_not_exist(node: Any, path: str) -> None:
    with pytest.raises(UnknownReference) as caught:
        check(parse(whole(node)), CATALOGUE)
    assert [error.path for error in caught.value.errors] == [path]


def test_accepts_traits_and_events_that_nobody_has_yet() -> None:
    check(parse(whole({"type": "all", "of": [TRAIT, {"type": "event", "name": "Never Seen"}]})), CATALOGUE)


@pytest.mark.parametrize(("key", "inner"), [("vip", "vip"), ("vip", "outer")])
def test_refuses_a_segment_that_leads_back_to_itself(key: str, inner: str) -> None:
    with pytest.raises(CircularReference):
        check(parse(whole({"type": "segment", "key": inner})), CATALOGUE, key=key)


def test_refuses_a_chain_of_more_than_ten_references() -> None:
    chain = {f"s{n}": frozenset({f"s{n + 1}"}) for n in range(10)} | {"s10": frozenset()}
    check(parse(whole({"type": "segment", "key": "s1"})), Catalogue(segments=chain), key="new")
    with pytest.raises(CircularReference):
        check(parse(whole({"type": "segment", "key": "s0"})), Catalogue(segments=chain), key="new")


def test_lists_the_segments_it_refers_to() -> None:
    of = [{"type": "segment", "key": "vip"}, {"type": "not", "of": {"type": "segment", "key": "outer", "op": "not_in"}}]
    assert references(parse(whole({"type": "all", "of": of}))) == {"vip", "outer"}
