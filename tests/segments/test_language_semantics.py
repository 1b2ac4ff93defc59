"""What definitions mean, rule by rule: each row is evaluated by the reference and by SQL, bare and doubly negated."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from segments.language.compile import compile_segment
from segments.language.evaluate import evaluate
from segments.language.parse import parse
from segments.language.person import Consent, Entry, Event, HeldIdentifier, Moment, Person
from tests.segments.storing import rows, store

NOW = datetime(2026, 3, 14, 15, 0, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)

# The profile of Unomi's ConditionEvaluatorIT, as traits.
UNOMI = Person(
    uuid="11111111-1111-4111-8111-111111111111",
    traits={
        "gender": "female",
        "age": 30,
        "last_visit": "2015-02-01T20:30:00Z",
        "random_stats": 0.15,
        "interests": [{"cars": 50}, {"football": 15}],
        "segments": ["s1", "s2", "s3"],
    },
    segments=dict.fromkeys(("vip",), NOW - 10 * DAY),
)
EMPTY = Person(uuid="22222222-2222-4222-8222-222222222222")

Check = Callable[[Any, Person], bool]


@pytest.fixture
def holds(db: None) -> Check:
    """Evaluate a node for a person by all engines, and require that they agree."""

    def check(node: Any, person: Person) -> bool:
        answers = set()
        for match in (node, {"type": "not", "of": {"type": "not", "of": node}}):
            segment = parse({"version": 1, "timezone": "UTC", "match": match})
            answers.add(evaluate(segment, person, Moment(NOW)))
            answers.add(1 in {row[0] for row in rows(compile_segment(segment, now=NOW))})
        assert len(answers) == 1, node
        return answers.pop()

    def with_person(node: Any, person: Person) -> bool:
        with transaction.atomic():
            store([person], NOW)
            answer = check(node, person)
            transaction.set_rollback(True)
        return answer

    return with_person


def trait(path: str, op: str, value: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "trait", "path": path, "op": op, **({} if value is None else {"value": value}), **more}


def both(*of: Any) -> dict[str, Any]:
    return {"type": "all", "of": list(of)}


TRUE = [
    both(trait("gender", "eq", "female"), trait("age", "eq", 30)),
    {"type": "any", "of": [trait("gender", "eq", "male"), trait("age", "eq", 30)]},
    {"type": "not", "of": trait("gender", "eq", "male")},
    trait("gender", "starts_with", "fe"),
    trait("gender", "starts_with", "FE"),
    trait("gender", "ends_with", "le"),
    trait("gender", "contains", "fem"),
    trait("gender", "matches", ".*ale"),
    trait("gender", "in", ["male", "female"]),
    trait("gender", "not_in", ["one", "two"]),
    trait("age", "gte", 30),
    trait("age", "gt", 20),
    trait("age", "lt", 40),
    trait("age", "in", [31, 30]),
    trait("age", "not_in", [25, 26]),
    trait("age", "between", [30, 31]),
    trait("age", "eq", "30"),
    trait("random_stats", "eq", 0.15),
    trait("last_visit", "after", "2015-02-01T20:29:50Z"),
    trait("last_visit", "before", "2015-02-01T20:30:10Z"),
    trait("last_visit", "eq", "2015-02-01", cast="date"),
    trait("last_visit", "ne", "2015-02-02", cast="date"),
    trait("gender", "exists"),
    trait("unknown", "missing"),
    trait("unknown", "not_in", [25, 30]),
    trait("unknown", "ne", 1),
    trait("unknown", "empty"),
    trait("unknown", "not_contains", "x"),
    trait("unknown", "none_of", ["x"]),
    trait("segments", "any_of", ["s10", "s20", "s2"]),
    trait("segments", "none_of", ["s10", "s20", "s30"]),
    trait("segments", "all_of", ["s1", "s2"]),
    trait("segments", "eq", ["s1", "s2", "s3"]),
    trait("segments", "contains", "S2"),
    trait("segments", "ne", "s1"),
    trait("interests.cars", "gt", 45),
    trait("interests.cars", "lt", 60),
    trait("interests.football", "eq", 15),
    trait("interests.football", "ne", 50),
    trait("age", "gt", {"ref": "trait:random_stats"}, cast="number"),
    {"type": "segment", "key": "vip"},
    {"type": "segment", "key": "lost", "op": "not_in"},
    {"type": "everyone"},
]
FALSE = [
    {"type": "not", "of": trait("gender", "eq", "female")},
    trait("gender", "eq", "Female"),
    trait("age", "gte", 31),
    trait("age", "not_in", [25, 30]),
    trait("gender", "contains", "mu"),
    trait("gender", "all_of", ["male", "female"]),
    trait("segments", "all_of", ["s1", "s5"]),
    trait("segments", "eq", ["s2", "s1", "s3"]),
    trait("segments", "eq", "s1"),
    trait("interests.cars", "gt", 60),
    trait("interests.cars", "lt", 15),
    trait("interests.football", "ne", 15),
    trait("gender", "gt", 5),
    trait("unknown", "eq", ""),
    trait("unknown", "exists"),
    trait("interests.boats", "lt", 60),
]
NEGATIVE = [
    trait("interests.boats", "ne", 1),
    trait("interests.boats", "not_in", [1]),
    trait("interests.boats", "none_of", [1]),
]


@pytest.mark.parametrize("node", TRUE)
def test_is_true_of_the_person_of_the_operator_table(node: Any, holds: Check) -> None:
    assert holds(node, UNOMI)


@pytest.mark.parametrize("node", FALSE)
def test_is_false_of_the_person_of_the_operator_table(node: Any, holds: Check) -> None:
    assert not holds(node, UNOMI)


@pytest.mark.parametrize("node", NEGATIVE)
def test_negative_operators_are_true_of_someone_without_traits(node: Any, holds: Check) -> None:
    assert holds(node, EMPTY)


@pytest.mark.parametrize(
    ("stored", "node", "expected"),
    [
        ("", trait("x", "empty"), True),
        ("", trait("x", "missing"), False),
        ("", trait("x", "exists"), True),
        ([], trait("x", "empty"), True),
        (None, trait("x", "missing"), True),
        (0, trait("x", "empty"), False),
        ("9", trait("x", "gt", 10), False),
        ("1e3", trait("x", "eq", 1000), True),
        ("0x10", trait("x", "exists", cast="number"), False),
        ("1.50", trait("x", "eq", 1.5), True),
        (1.50, trait("x", "eq", "1.5"), True),
        (True, trait("x", "eq", "true"), True),
        ("true", trait("x", "eq", True), True),
        ("yes", trait("x", "ne", True), True),
        ("Köln", trait("x", "contains", "KÖL"), True),
        ("Köln", trait("x", "eq", "Ko\u0308ln"), True),
        (["Köln", 5], trait("x", "eq", ["Ko\u0308ln", 5]), True),
        ("ΣΊΣΥΦΟΣ", trait("x", "starts_with", "σίσ"), True),
        ("2026-02-30", trait("x", "exists", cast="date"), False),
        ("2026-03-14T14:59:59.9999999Z", trait("x", "in_last", "PT1S"), True),
        ("2026-03-14T15:00:00Z", trait("x", "in_last", "P1D"), False),
        ("2026-03-14T15:00:00Z", trait("x", "in_next", "P1D"), True),
        ("2025-12-14T15:00:00Z", trait("x", "before", {"ago": "P90D"}), False),
        ("2025-12-14T14:59:59Z", trait("x", "before", {"ago": "P90D"}), True),
        ("1990-03-14", trait("x", "anniversary"), True),
        ("1990-03-15", trait("x", "anniversary"), False),
        ("1990-03-15", trait("x", "anniversary", "P7D"), True),
        ([1, "1", True], trait("x", "any_of", [1]), True),
        ("solo", trait("x", "any_of", ["solo"]), True),
        ([["a"]], trait("x", "any_of", ["a"]), False),
        ({"lat": 52.52, "lon": 13.405}, {"type": "geo", "path": "x", "near": [48.8566, 2.3522], "km": 878}, True),
        ({"lat": 52.52, "lon": 13.405}, {"type": "geo", "path": "x", "near": [48.8566, 2.3522], "km": 877}, False),
        ({"lat": 152, "lon": 13}, {"type": "geo", "path": "x", "near": [52, 13], "km": 20000}, False),
    ],
)
def test_reads_values_by_their_cast(stored: Any, node: Any, expected: bool, holds: Check) -> None:
    assert holds(node, replace(EMPTY, traits={"x": stored})) is expected


def test_anniversary_of_29_february_falls_on_the_28th_in_common_years(db: None) -> None:
    born = replace(EMPTY, traits={"x": "2000-02-29"})
    segment = parse({"version": 1, "timezone": "UTC", "match": trait("x", "anniversary")})
    days = [(datetime(year, 2, day, 12, tzinfo=UTC)) for year, day in ((2026, 28), (2024, 28), (2024, 29))]
    assert [evaluate(segment, born, Moment(day)) for day in days] == [True, False, True]


def did(*ago: timedelta, name: str = "A", **properties: Any) -> tuple[Event, ...]:
    return tuple(Event(number, name, NOW - each, properties) for number, each in enumerate(ago, 1))


def event(**more: Any) -> dict[str, Any]:
    return {"type": "event", "name": "A", **more}


@pytest.mark.parametrize(
    ("events", "node", "expected"),
    [
        ((), event(), False),
        (did(DAY), event(), True),
        (did(7 * DAY), event(window={"last": "P7D"}), True),
        (did(7 * DAY + TICK), event(window={"last": "P7D"}), False),
        (did(timedelta()), event(), False),
        (did(-TICK), event(name="*"), False),
        (did(TICK), event(name="*"), True),
        ((), event(op="lte", value=0), True),
        ((), event(op="eq", value=0, window={"last": "P7D"}), True),
        (did(3 * DAY), event(op="eq", value=0, window={"last": "P7D"}), False),
        ((), event(op="lt", value=2), True),
        (did(DAY), event(op="lt", value=2), True),
        (did(DAY, 2 * DAY), event(op="lt", value=2), False),
        (did(DAY, 2 * DAY), event(op="gte", value="2"), True),
        ((), event(op="ne", value=1), True),
        ((), event(op="not_in", value=[0]), False),
        ((), event(measure={"fn": "sum", "property": "x"}, op="lt", value=1), True),
        ((), event(measure={"fn": "min", "property": "x"}, op="lt", value=1), False),
        ((), event(measure={"fn": "avg", "property": "x"}, op="ne", value=1), False),
        (did(DAY, 2 * DAY, x=0.1), event(measure={"fn": "sum", "property": "x"}, op="eq", value=0.2), True),
        (did(DAY, x="abc"), event(measure={"fn": "sum", "property": "x"}, op="eq", value=0), True),
        (did(DAY, x="2.5"), event(measure={"fn": "avg", "property": "x"}, op="eq", value=2.5), True),
        (did(DAY, DAY, 2 * DAY), event(measure={"fn": "days"}, op="eq", value=2), True),
        (did(DAY, 2 * DAY, x="a"), event(measure={"fn": "distinct", "property": "x"}, op="eq", value=1), True),
        (did(DAY, p=[{"x": 1}, {"x": 2}]), event(measure={"fn": "sum", "property": "p.x"}, op="eq", value=3), True),
        (did(DAY, x="a"), event(where={"property": "x", "op": "eq", "value": "a"}), True),
        (did(DAY, x="a"), event(where={"property": "x", "op": "ne", "value": "a"}), False),
        (did(DAY), event(where={"property": "x", "op": "ne", "value": "a"}), True),
        (did(DAY), event(name=["B", "A"]), True),
        (did(DAY, name=""), event(name="*"), True),
        (did(DAY, name=""), event(), False),
    ],
)
def test_counts_and_measures_events(events: tuple[Event, ...], node: Any, expected: bool, holds: Check) -> None:
    assert holds(node, replace(EMPTY, events=events)) is expected


def test_averages_are_compared_exactly(holds: Check) -> None:
    # 1/3 has no finite decimal form: a divided average would be rounded before it is compared.
    events = tuple(Event(n, "A", NOW - n * DAY, {"x": x}) for n, x in ((1, 1), (2, 0), (3, 0)))
    for value, expected in ((0.3333333333333333, True), (0.3333333333333334, False)):
        node = event(measure={"fn": "avg", "property": "x"}, op="gt", value=value)
        assert holds(node, replace(EMPTY, events=events)) is expected


PICK = {"type": "event_pick", "pick": "last", "name": "A", "has": {"property": "x", "op": "eq", "value": 1}}


def test_picks_the_last_of_the_candidates_and_then_asks(holds: Check) -> None:
    events = (Event(1, "A", NOW - 2 * DAY, {"x": 1}), Event(2, "A", NOW - DAY, {"x": 2}))
    assert not holds(PICK, replace(EMPTY, events=events))
    assert holds({**PICK, "pick": "first"}, replace(EMPTY, events=events))
    assert holds({**PICK, "where": {"property": "x", "op": "lt", "value": 2}}, replace(EMPTY, events=events))
    assert not holds(PICK, EMPTY)


def test_orders_ties_by_id(holds: Check) -> None:
    tied = (Event(2, "A", NOW - DAY, {"x": 1}), Event(1, "A", NOW - DAY, {"x": 2}))
    assert holds(PICK, replace(EMPTY, events=tied))


CART = {"name": "Cart"}


def sequence(*steps: Any, **more: Any) -> dict[str, Any]:
    return {"type": "sequence", "steps": [CART, *steps], **more}


def history(*found: tuple[str, timedelta], **properties: Any) -> Person:
    return replace(EMPTY, events=tuple(Event(n, name, NOW - ago, properties) for n, (name, ago) in enumerate(found, 1)))


H = timedelta(hours=1)
NO_ORDER = sequence({"name": "Order", "occurs": False, "within": "PT24H"})


@pytest.mark.parametrize(
    ("person", "node", "expected"),
    [
        (history(("Cart", 3 * H)), NO_ORDER, False),
        (history(("Cart", 24 * H)), NO_ORDER, True),
        (history(("Cart", 30 * H), ("Order", 10 * H)), NO_ORDER, False),
        (history(("Cart", 30 * H), ("Order", 5 * H)), NO_ORDER, True),
        (history(("Cart", 60 * H), ("Order", 59 * H), ("Cart", 30 * H)), NO_ORDER, True),
        (history(("Cart", 2 * H), ("Order", H)), sequence({"name": "Order"}), True),
        (history(("Order", 2 * H), ("Cart", H)), sequence({"name": "Order"}), False),
        (history(("Cart", H), ("Order", H)), sequence({"name": "Order"}), True),
        (history(("Order", H), ("Cart", H)), sequence({"name": "Order"}), False),
        (history(("Cart", 30 * H), ("Order", H)), sequence({"name": "Order", "within": "PT24H"}), False),
        (
            history(("Cart", 5 * H), ("Pay", 4 * H), ("Order", 3 * H)),
            sequence({"name": "Pay", "occurs": False}, {"name": "Order"}),
            False,
        ),
        (
            history(("Cart", 5 * H), ("Order", 3 * H), ("Pay", 2 * H)),
            sequence({"name": "Pay", "occurs": False}, {"name": "Order"}),
            True,
        ),
        (history(("Cart", 5 * H), ("Order", 3 * H), sku="a"), sequence({"name": "Order", "same": ["sku"]}), True),
        (history(("Cart", 5 * H), ("Order", 3 * H)), sequence({"name": "Order", "same": ["sku"]}), False),
        (
            history(("Cart", 5 * H), ("Order", 3 * H), sku="a"),
            sequence({"name": "Order", "where": {"property": "sku", "op": "eq", "value": {"ref": "step:0.sku"}}}),
            True,
        ),
    ],
)
def test_follows_sequences(person: Person, node: Any, expected: bool, holds: Check) -> None:
    assert holds(node, person) is expected


def lifecycle(state: str, period: str = "P7D", **more: Any) -> dict[str, Any]:
    return {"type": "lifecycle", "name": "A", "state": state, "period": period, **more}


@pytest.mark.parametrize(
    ("ago", "node", "expected"),
    [
        # Stopped: did it in the last two weeks, not in the last one (PostHog test_cohort_query).
        ((10,), lifecycle("dormant"), True),
        ((3,), lifecycle("dormant"), False),
        # First time in a week.
        ((20, 4), lifecycle("new"), False),
        ((4,), lifecycle("new"), True),
        ((20, 1), lifecycle("resurrected"), True),
        ((20, 10, 1), lifecycle("resurrected"), False),
        ((1,), lifecycle("resurrected"), False),
        ((10, 1), lifecycle("returning"), True),
        ((20, 10, 1), lifecycle("regular", at_least=3, of_last=3), True),
        ((20, 1), lifecycle("regular", at_least=3, of_last=3), False),
    ],
)
def test_knows_stages_of_life(ago: tuple[int, ...], node: Any, expected: bool, holds: Check) -> None:
    assert holds(node, replace(EMPTY, events=did(*(n * DAY for n in ago)))) is expected


def consent(state: str, channel: str = "", *, after: int = 0, expires: datetime | None = None) -> Consent:
    moment = NOW - 10 * DAY + after * DAY
    return Consent("marketing", channel, state, moment, moment, 1 + after, expires)


def asks(*status: str, **more: Any) -> dict[str, Any]:
    return {"type": "consent", "purpose": "marketing", "status": list(status), **more}


EMAIL = {"channel": "email"}


@pytest.mark.parametrize(
    ("consents", "node", "expected"),
    [
        ((), asks("granted"), False),
        ((), asks("unknown"), True),
        ((consent("granted"),), asks("granted"), True),
        ((consent("granted", "email"),), asks("granted"), False),
        ((consent("granted", "email"),), asks("granted", **EMAIL), True),
        ((consent("granted"), consent("withdrawn", "email", after=1)), asks("granted", **EMAIL), False),
        ((consent("withdrawn", after=1), consent("granted", "email")), asks("granted", **EMAIL), False),
        ((consent("granted", expires=NOW),), asks("granted"), False),
        ((consent("granted", expires=NOW),), asks("expired"), True),
        ((consent("granted", expires=NOW + TICK),), asks("granted"), True),
        ((consent("objected", "sms"),), asks("unknown", **EMAIL), True),
    ],
)
def test_reads_consent(consents: tuple[Consent, ...], node: Any, expected: bool, holds: Check) -> None:
    assert holds(node, replace(EMPTY, consents=consents)) is expected


@pytest.mark.parametrize(
    ("person", "node", "expected"),
    [
        (replace(EMPTY, lists=frozenset({"staff"})), {"type": "list", "key": "staff"}, True),
        (EMPTY, {"type": "list", "key": "staff"}, False),
        (UNOMI, {"type": "segment", "key": "vip", "op": "held", "for": "P10D"}, True),
        (UNOMI, {"type": "segment", "key": "vip", "op": "held", "for": "P11D"}, False),
        (
            replace(EMPTY, entries=(Entry("vip", True, NOW - DAY),)),
            {"type": "segment", "key": "vip", "op": "entered", "window": {"last": "P1D"}},
            True,
        ),
        (
            replace(EMPTY, entries=(Entry("vip", False, NOW - DAY),)),
            {"type": "segment", "key": "vip", "op": "entered", "window": {"last": "P1D"}},
            False,
        ),
        (
            replace(EMPTY, identifiers=(HeldIdentifier("email", "a@b.example"),)),
            {"type": "identity", "namespace": "email", "op": "verified"},
            False,
        ),
        (EMPTY, {"type": "identity", "namespace": "email", "op": "missing"}, True),
    ],
)
def test_refers_to_other_parts(person: Person, node: Any, expected: bool, holds: Check) -> None:
    assert holds(node, person) is expected


def test_samples_by_the_hash_of_salt_and_id(holds: Check) -> None:
    import hashlib

    digest = hashlib.sha256(f"spring{EMPTY.uuid}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64 * 100
    inside = {"type": "sample", "salt": "spring", "percent": 1, "offset": int(share)}
    assert holds(inside, EMPTY)
    assert not holds({**inside, "offset": (int(share) + 1) % 99}, EMPTY)


def test_restricted_profiles_match_nothing(db: None) -> None:
    store([], NOW)
    everyone = parse({"version": 1, "match": {"type": "everyone"}})
    nobody = parse({"version": 1, "match": {"type": "not", "of": trait("x", "eq", "y")}})
    assert rows(compile_segment(everyone, now=NOW)) == rows(compile_segment(nobody, now=NOW)) == []


def test_evaluates_inner_definitions_in_place_where_asked(db: None) -> None:
    store([EMPTY], NOW)
    outer = parse({"version": 1, "match": {"type": "segment", "key": "vip"}})
    inner = {"vip": parse({"version": 1, "match": {"type": "everyone"}})}
    assert rows(compile_segment(outer, now=NOW)) == []
    assert rows(compile_segment(outer, now=NOW, inline=inner)) == [(1,)]
    assert evaluate(outer, EMPTY, Moment(NOW, inline=inner))
