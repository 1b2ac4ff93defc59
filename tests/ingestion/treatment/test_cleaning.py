"""Normal forms of values, and the steps that make them."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.errors import InvalidTreatment
from ingestion.treatment.cleaning import RAW, compile_cleaning
from ingestion.treatment.faults import Faults
from ingestion.treatment.normalisers import INVALID, NORMALISERS, make_normaliser, matching_form

OPTIONS = {
    "case": {"to": "lower"},
    "unit": {"from": "g", "to": "kg"},
    "map": {"values": {"shoes": "Footwear"}},
    "phone": {"region": "DE"},
    "date": {"order": "dmy", "epoch": True},
}


def normal(name, value, **options):
    faults = Faults("x")
    made = make_normaliser(name, options, "s", faults)
    faults.end()
    return made(value)


@pytest.mark.parametrize(
    ("name", "value", "options", "expected"),
    [
        ("whitespace", "  a \u00a0 b\n", {}, "a b"),
        ("case", "ÄB", {"to": "lower"}, "äb"),
        ("case", "ab", {"to": "upper"}, "AB"),
        ("email", " Dana+Shop@Gmail.com ", {}, "dana+shop@gmail.com"),
        ("email", "D.a.na+Shop@gmail.com", {"drop_plus_tag": True, "drop_dots": True}, "dana@gmail.com"),
        ("email", "d.a+x@corp.example", {"drop_plus_tag": True, "drop_dots": True}, "d.a+x@corp.example"),
        ("email", "d+x@corp.example", {"drop_plus_tag": True, "providers": ["corp.example"]}, "d@corp.example"),
        ("email", "nobody", {}, INVALID),
        ("phone", "0151 / 123 456 78", {"region": "DE"}, "+4915112345678"),
        ("phone", "0151 12345678", {}, INVALID),
        ("phone", 4915112345678, {"region": "DE"}, "+494915112345678"),
        ("date", "2026-03-14", {}, "2026-03-14"),
        ("date", "14.03.2026", {"order": "dmy"}, "2026-03-14"),
        ("date", "03/14/2026", {"order": "mdy"}, "2026-03-14"),
        ("date", "03/14/2026", {"order": "dmy"}, INVALID),
        ("date", "14/03/2026", {}, INVALID),
        ("date", "2026/3/4", {}, "2026-03-04"),
        ("date", "14 March 2026", {}, "2026-03-14"),
        ("date", "Mar 14, 2026", {}, "2026-03-14"),
        ("date", "14.03.26", {"order": "dmy"}, INVALID),
        ("date", "2026-03-14T15:09:26+01:00", {}, "2026-03-14T14:09:26Z"),
        ("date", "2026-03-14 15:09", {"time_zone": "Europe/Berlin"}, "2026-03-14T14:09:00Z"),
        ("date", "2026-03-14T23:30:00Z", {"only_date": True}, "2026-03-14"),
        ("date", 1773500966, {"epoch": True}, "2026-03-14T15:09:26Z"),
        ("date", 1773500966535, {"epoch": True}, "2026-03-14T15:09:26.535000Z"),
        ("date", 1773500966, {}, INVALID),
        ("number", "1,234.50", {}, 1234.5),
        ("number", "1.234,50 €", {"decimal": ","}, 1234.5),
        ("number", "12", {}, 12),
        ("number", "twelve", {}, INVALID),
        ("boolean", " Yes", {}, True),
        ("boolean", 0, {}, False),
        ("boolean", "ja", {"true": ["ja"]}, True),
        ("boolean", "maybe", {}, INVALID),
        ("country", "germany", {}, "DE"),
        ("country", "DEU", {}, "DE"),
        ("country", "Côte d'Ivoire", {"form": "alpha_3"}, "CIV"),
        ("country", "Deutschland", {"aliases": {"Deutschland": "DE"}}, "DE"),
        ("country", "Atlantis", {}, INVALID),
        ("currency", "eur", {}, "EUR"),
        ("currency", "€", {}, "EUR"),
        ("currency", "$", {}, INVALID),
        ("currency", "$", {"aliases": {"$": "USD"}}, "USD"),
        ("language", "German", {}, "de"),
        ("language", "de_AT", {}, "de"),
        ("language", "de_AT", {"keep_region": True}, "de-AT"),
        ("language", "xx-yy", {}, INVALID),
        ("name", "DANA  O'NEIL-DALE", {}, "Dana O'Neil-Dale"),
        ("name", "Dana van Dale", {}, "Dana van Dale"),
        ("address", "lange str. 1", {}, "Lange Str. 1"),
        ("unit", "1,500 g", {"from": "g", "to": "kg"}, 1.5),
        ("unit", 2, {"from": "lb", "to": "kg"}, 0.907185),
        ("unit", 250, {"from": "cent", "to": "unit"}, 2.5),
        ("unit", "3 km", {"from": "g", "to": "kg"}, INVALID),
        ("map", " SHOES ", {"values": {"shoes": "Footwear"}}, "Footwear"),
        ("map", "Hats", {"values": {"shoes": "Footwear"}}, "Hats"),
        ("map", "Hats", {"values": {"shoes": "Footwear"}, "strict": True}, INVALID),
        ("transliterate", "Ünal Čapek", {}, "unal capek"),
    ],
)
def test_normalises(name, value, options, expected):
    outcome = normal(name, value, **options)
    assert outcome == expected
    assert type(outcome) is type(expected)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)
WRITTEN = st.one_of(
    JSON, st.from_regex(r"[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}"), st.sampled_from(["Germany", "1,5 kg", "de-AT"])
)


@pytest.mark.parametrize("name", NORMALISERS)
@settings(max_examples=25, deadline=None)
@given(value=WRITTEN)
def test_never_fails_and_leaves_a_normal_form_as_it_is(name, value):
    once = normal(name, value, **OPTIONS.get(name, {}))
    if once is not INVALID and name != "unit":
        assert normal(name, once, **OPTIONS.get(name, {})) == once


def test_matches_names_whatever_their_script():
    assert matching_form("Ægir  SVEINSSON") == matching_form("aegir sveinsson")


def run(*steps, **message):
    given = {"event": "", "properties": {}, "traits": {}, "context": {}, **copy.deepcopy(message)}
    findings = compile_cleaning({"steps": list(steps)}).run(given, "identify")
    return given, [(one.path, one.rule, one.action) for one in findings]


def test_keeps_what_was_sent_in_the_context():
    steps = [
        {"field": "traits.email", "normaliser": "email"},
        {"field": "properties.products[].price", "normaliser": "number"},
        {"field": "traits.plan", "normaliser": "whitespace"},
    ]
    message, found = run(
        *steps,
        traits={"email": "Dana@X.example", "plan": "pro"},
        properties={"products": [{"price": 1}, {"price": "2.5"}]},
    )
    assert found == []
    assert message["traits"] == {"email": "dana@x.example", "plan": "pro"}
    assert message["properties"]["products"] == [{"price": 1}, {"price": 2.5}]
    assert message["context"] == {RAW: {"traits.email": "Dana@X.example", "properties.products[1].price": "2.5"}}


def test_tells_what_has_no_normal_form_and_drops_it_if_told_to():
    step = {"field": "traits.phone", "normaliser": "phone"}
    message, found = run(step, traits={"phone": "call me"})
    assert (message["traits"], found) == ({"phone": "call me"}, [("traits.phone", "clean_phone", "allow")])
    message, found = run({**step, "on_invalid": "drop"}, traits={"phone": "call me"})
    assert (message["traits"], found) == ({}, [("traits.phone", "clean_phone", "drop")])
    assert message["context"][RAW] == {"traits.phone": "call me"}


def test_writes_elsewhere_and_in_order_and_where_it_applies():
    steps = [
        {"field": "traits.name", "normaliser": "name"},
        {"field": "traits.name", "normaliser": "transliterate", "to": "traits.name_matching"},
        {"field": "traits.name", "normaliser": "case", "options": {"to": "upper"}, "when": {"type": "track"}},
    ]
    message, _ = run(*steps, traits={"name": "ÜNAL"})
    assert message["traits"] == {"name": "Ünal", "name_matching": "unal"}


def test_runs_the_tests_beside_the_steps():
    tests = [
        {"input": "0151 12345678", "output": "+4915112345678"},
        {"input": "x", "invalid": True},
        {"input": "0151 12345678", "output": "+49"},
        {"input": "0151 12345678", "invalid": True},
    ]
    step = {"field": "traits.phone", "normaliser": "phone", "options": {"region": "DE"}, "tests": tests}
    assert [one.path for one in compile_cleaning({"steps": [step]}).failures()] == [
        "steps[0].tests[2]",
        "steps[0].tests[3]",
    ]


@pytest.mark.parametrize(
    ("step", "path"),
    [
        ({}, "steps[0].field"),
        ({"field": "event", "normaliser": "email"}, "steps[0].field"),
        ({"field": "traits", "normaliser": "email"}, "steps[0].field"),
        ({"field": "context.cdp_raw.x", "normaliser": "email"}, "steps[0].field"),
        ({"field": "traits.x", "normaliser": "magic"}, "steps[0].normaliser"),
        ({"field": "traits.x", "normaliser": "email", "options": {"dots": True}}, "steps[0].options.dots"),
        ({"field": "traits.x", "normaliser": "phone", "options": {"region": "de"}}, "steps[0].options.region"),
        ({"field": "traits.x", "normaliser": "date", "options": {"order": "x"}}, "steps[0].options.order"),
        ({"field": "traits.x", "normaliser": "date", "options": {"time_zone": "Mars"}}, "steps[0].options.time_zone"),
        ({"field": "traits.x", "normaliser": "case"}, "steps[0].options.to"),
        ({"field": "traits.x", "normaliser": "unit", "options": {"from": "g", "to": "m"}}, "steps[0].options.to"),
        ({"field": "traits.x", "normaliser": "map"}, "steps[0].options.values"),
        (
            {"field": "traits.x", "normaliser": "country", "options": {"aliases": {"x": "QQ"}}},
            "steps[0].options.aliases.x",
        ),
        ({"field": "traits.x", "normaliser": "transliterate"}, "steps[0].to"),
        ({"field": "traits.x", "normaliser": "email", "to": "traits.y[]"}, "steps[0].to"),
        ({"field": "traits.x", "normaliser": "email", "on_invalid": "no"}, "steps[0].on_invalid"),
        ({"field": "traits.x", "normaliser": "email", "tests": [{"input": 1}]}, "steps[0].tests[0]"),
    ],
)
def test_names_the_place_of_a_fault(step, path):
    with pytest.raises(InvalidTreatment) as caught:
        compile_cleaning({"steps": [step]})
    assert path in [fault.path for fault in caught.value.errors]
