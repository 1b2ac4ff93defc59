"""weighted_score: criteria with weights, added up and named by thresholds; rfm: ranks with the name of their group."""

# ruff: noqa: ARG002 - every kind of computation has the same signature

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from segments.language.compile import expression
from segments.language.computations import Column, Computation
from segments.language.nodes import Node, Reading
from segments.language.person import Moment, Person
from segments.language.plan import PROFILES_PARAMETER, Frame, Leaf, Test
from segments.language.reading import fault, join, read_list, read_number, read_object, read_text
from segments.language.rfm import SCORES, Rfm, read_scores, scores_sql
from segments.language.values import number_text
from segments.language.windows import earliest

MAX_CRITERIA = 50
MAX_CLASSES = 20


@dataclass(frozen=True, slots=True)
class Criterion:
    """A condition and what it is worth."""

    when: Node
    weight: Decimal


@dataclass(frozen=True, slots=True)
class WeightedScore(Computation):
    """The sum of the weights of all criteria that hold, and the name of the highest threshold that it reaches.

    Without thresholds the value is the number itself; with them it is `{"score", "class"}`.
    """

    criteria: tuple[Criterion, ...]
    thresholds: tuple[tuple[Decimal, str], ...]
    type = "weighted_score"
    label = "Weighted score"

    @property
    def default(self) -> Any:
        return self._value(Decimal(0))

    @property
    def conditions(self) -> Iterator[Node]:
        return (node for criterion in self.criteria for node in criterion.when.walk())

    def sentence(self) -> str:
        parts = [f"{number_text(each.weight)} if {each.when.sentence()}" for each in self.criteria]
        named = [f"“{name}” from {number_text(least)}" for least, name in self.thresholds]
        return f"score of {'; '.join(parts)}" + (f", named {', '.join(named)}" if named else "")

    def tokens(self) -> set[str]:
        return {token for each in self.criteria for token in each.when.tokens()}

    def _value(self, score: Decimal) -> Any:
        if not self.thresholds:
            return score
        named = [name for least, name in self.thresholds if score >= least]
        return {"score": score, "class": named[-1] if named else None}

    def compute(self, person: Person, at: Moment) -> Any:
        weights = [each.weight for each in self.criteria if each.when.holds(person, at)]
        return self._value(sum(weights, Decimal(0)))

    def column(self, frame: Frame) -> Column:
        bind = frame.plan.bind
        tests = [each.when.compile(frame) for each in self.criteria]
        parts = [
            f"case when {expression(test, strict=False)} then {bind(each.weight, 'weight')} else 0 end"
            for test, each in zip(tests, self.criteria, strict=True)
        ]
        score = f"({' + '.join(parts)})::numeric"
        nexts = [each for test in tests for each in _nexts(test)]
        next_at = None if not nexts else nexts[0] if len(nexts) == 1 else f"least({', '.join(nexts)})"
        if not self.thresholds:
            return Column(f"to_jsonb(trim_scale({score}))", next_at)
        cases = " ".join(
            f"when s.score >= {bind(least, 'threshold')} then {bind(name, 'class')}"
            for least, name in reversed(self.thresholds)
        )
        built = f"jsonb_build_object('score', trim_scale(s.score), 'class', case {cases} end)"
        return Column(f"(select {built} from (select {score} as score) s)", next_at)

    def runs_at(self, frame: Frame) -> datetime | None:
        return earliest(each.when.runs_at(frame) for each in self.criteria)


def _nexts(test: Test) -> Iterator[str]:
    if isinstance(test, Leaf):
        if test.next_at:
            yield test.next_at
        return
    for child in test.children:
        yield from _nexts(child)


@dataclass(frozen=True, slots=True)
class RfmGroup:
    """A name for some scores; None allows every score."""

    name: str
    r: tuple[int, ...] | None = None
    f: tuple[int, ...] | None = None
    m: tuple[int, ...] | None = None


# The names that are in use for these groups, by recency and frequency; the first that fits counts.
GROUPS = (
    RfmGroup("champions", r=(5,), f=(4, 5)),
    RfmGroup("loyal", r=(3, 4), f=(4, 5)),
    RfmGroup("potential_loyalists", r=(4, 5), f=(2, 3)),
    RfmGroup("new_customers", r=(5,), f=(1,)),
    RfmGroup("promising", r=(4,), f=(1,)),
    RfmGroup("need_attention", r=(3,), f=(3,)),
    RfmGroup("about_to_sleep", r=(3,), f=(1, 2)),
    RfmGroup("cannot_lose", r=(1, 2), f=(5,)),
    RfmGroup("at_risk", r=(1, 2), f=(3, 4)),
    RfmGroup("hibernating", r=(2,), f=(1, 2)),
    RfmGroup("lost", r=(1,), f=(1, 2)),
)


@dataclass(frozen=True, slots=True)
class RfmTrait(Computation):
    """`{"r", "f", "m", "score": "543", "segment": NAME}` of everybody who ordered (`rfm`)."""

    groups: tuple[RfmGroup, ...]
    type = "rfm"
    label = "RFM scores and groups"

    def sentence(self) -> str:
        return f"RFM scores among all who ordered, named {', '.join(group.name for group in self.groups)}"

    def tokens(self) -> set[str]:
        return Rfm(self.path, (1,), None, None).tokens()

    def compute(self, person: Person, at: Moment) -> Any:
        scores = person.scores
        if scores is None:
            return None
        told = {name: getattr(scores, name) for name in SCORES}
        fits: Callable[[RfmGroup], bool] = lambda group: all(  # noqa: E731
            told[name] in wanted for name in SCORES if (wanted := getattr(group, name)) is not None
        )
        named = next((group.name for group in self.groups if fits(group)), None)
        return {**told, "score": "".join(str(told[name]) for name in SCORES), "segment": named}

    def column(self, frame: Frame) -> Column:
        plan = frame.plan
        only = f"%({PROFILES_PARAMETER})s" if plan.some else ""
        s = plan.source(("rfm",), "scores", lambda: scores_sql(plan.now_sql(), only=only))
        cases = []
        for group in self.groups:
            tests = [
                f"{s}.{name} = any({plan.bind(list(wanted), 'scores')})"
                for name in SCORES
                if (wanted := getattr(group, name)) is not None
            ]
            cases.append(f"when {' and '.join(tests) or 'true'} then {plan.bind(group.name, 'group')}")
        built = ", ".join(f"'{name}', {s}.{name}" for name in SCORES)
        score = " || ".join(f"{s}.{name}::text" for name in SCORES)
        value = f"jsonb_build_object({built}, 'score', {score}, 'segment', case {' '.join(cases)} end)"
        return Column(f"case when {s}.r is not null then {value} end")


def read_weighted_score(
    data: Mapping[str, Any], reading: Reading, read: Callable[[Any, Reading], Node]
) -> WeightedScore:
    """Read a weighted score.

    Parameters
    ----------
    read : callable
        Reads a node (`parse.read_node`).
    """
    data = read_object(data, reading.path, required=("type", "criteria"), optional=("thresholds",))

    def criterion(item: Any, path: str) -> Criterion:
        row = read_object(item, path, required=("when", "weight"))
        return Criterion(
            read(row["when"], Reading(join(path, "when"))), read_number(row["weight"], join(path, "weight"))
        )

    def threshold(item: Any, path: str) -> tuple[Decimal, str]:
        row = read_object(item, path, required=("from", "class"))
        return read_number(row["from"], join(path, "from")), read_text(row["class"], join(path, "class"))

    criteria = read_list(data["criteria"], join(reading.path, "criteria"), criterion, most=MAX_CRITERIA)
    at = join(reading.path, "thresholds")
    thresholds = (
        () if data.get("thresholds") is None else read_list(data["thresholds"], at, threshold, most=MAX_CLASSES)
    )
    ordered = sorted(thresholds)
    if len({least for least, _ in ordered}) < len(ordered):
        raise fault(at, "invalid_value", "two classes begin at the same score")
    return WeightedScore(reading.path, criteria, tuple(ordered))


def read_rfm_trait(data: Mapping[str, Any], reading: Reading) -> RfmTrait:
    """Read RFM scores with the names of their groups; without `groups` the usual ones."""
    data = read_object(data, reading.path, required=("type",), optional=("groups",))
    if data.get("groups") is None:
        return RfmTrait(reading.path, GROUPS)

    def group(item: Any, path: str) -> RfmGroup:
        row = read_object(item, path, required=("name",), optional=SCORES)
        found = [read_scores(row.get(name), join(path, name)) for name in SCORES]
        return RfmGroup(read_text(row["name"], join(path, "name")), *found)

    return RfmTrait(reading.path, read_list(data["groups"], join(reading.path, "groups"), group, most=MAX_CLASSES))


def as_json(value: Any) -> Any:
    """Return a computed value as JSON: exact numbers as the database writes them."""
    if isinstance(value, Decimal):
        return json.loads(number_text(value))
    return {key: as_json(item) for key, item in value.items()} if isinstance(value, dict) else value
