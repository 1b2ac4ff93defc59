"""A rare condition read from the index alone narrows what the others of its group read, and changes no answer."""

import json
import random

import pytest
from django.db import transaction

from segments.errors import InvalidDefinition
from segments.language.compile import compile_membership, compile_segment
from segments.language.evaluate import evaluate
from segments.language.parse import parse
from segments.language.person import Moment
from tests.segments.asking import definition, did
from tests.segments.histories import NAMES, NOWS, event, person, pick
from tests.segments.storing import rows, store

EXAMPLES = 40
SPENT = did("Order", "P365D", measure={"fn": "sum", "property": "total"}, op="gt", value=200)


def test_only_those_inside_are_read() -> None:
    match = {"type": "all", "of": [SPENT, did("Order", "P30D", op="gte", value=3)]}
    sql = compile_segment(parse(definition(match)), now=NOWS[0]).sql
    assert "e.profile_id in (select did_order.profile_id from did_order where did_order.c1_1 >= " in sql


@pytest.mark.parametrize("least", [{}, {"op": "gte", "value": 1}, {"op": "lte", "value": 3}])
def test_what_is_not_rare_narrows_nothing(least: dict[str, object]) -> None:
    match = {"type": "all", "of": [SPENT, did("Order", "P30D", **least)]}
    assert "of_these" not in compile_segment(parse(definition(match)), now=NOWS[0]).sql


def test_where_time_matters_everybody_is_read() -> None:
    match = {"type": "all", "of": [SPENT, did("Order", "P30D", op="gte", value=3)]}
    assert "of_these" not in compile_membership(parse(definition(match)), now=NOWS[0]).sql


@pytest.mark.django_db
def test_the_answer_is_that_of_the_reference() -> None:
    draw, tried = random.Random(7), 0
    while tried < EXAMPLES:
        rare = did(pick(draw, NAMES), pick(draw, ("P30D", "P7D", "P1D")), op="gte", value=2)
        group = {"type": "all", "of": [event(draw), rare, event(draw)]}
        match = pick(draw, (group, {"type": "not", "of": group}, {"type": "any", "of": [group, event(draw)]}))
        try:
            segment = parse(definition(match))
        except InvalidDefinition:
            continue
        tried += 1
        now = pick(draw, NOWS)
        with transaction.atomic():
            people = store([person(draw, now, number) for number in range(12)], now)
            expected = {n for n, each in people.items() if evaluate(segment, each, Moment(now))}
            compiled = compile_segment(segment, now=now)
            assert {row[0] for row in rows(compiled)} == expected, f"{json.dumps(match)}\n{compiled.sql}"
            transaction.set_rollback(True)
