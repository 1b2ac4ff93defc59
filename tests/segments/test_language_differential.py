"""SQL and the reference are the same function: random definitions over random histories, on a real PostgreSQL.

`SEGMENT_EXAMPLES` sets how many definitions are tried (default 300).
"""

import json
import os
import random
from dataclasses import replace
from typing import Any

import pytest
from django.db import transaction

from segments.errors import InvalidDefinition
from segments.language.compile import compile_membership, compile_segment
from segments.language.evaluate import evaluate, next_change, runs_at
from segments.language.parse import parse
from segments.language.person import Moment, Segment
from segments.language.plan import Setting
from segments.language.rfm import score_people
from segments.language.variations import compile_variations
from tests.segments.histories import INSTALLATION_ZONE, NOWS, definition, person, pick
from tests.segments.storing import rows, store

EXAMPLES = int(os.environ.get("SEGMENT_EXAMPLES", "300"))
PEOPLE = 12
SETTING = Setting(INSTALLATION_ZONE)


def draw_segment(draw: random.Random) -> tuple[Any, Segment]:
    """Draw until a definition is valid: some random combinations of operator and value are not."""
    while True:
        drawn = definition(draw)
        try:
            return drawn, parse(drawn)
        except InvalidDefinition:
            continue


def one_example(seed: int) -> None:
    draw = random.Random(seed)
    drawn, segment = draw_segment(draw)
    now = pick(draw, NOWS)
    people = store([person(draw, now, number) for number in range(PEOPLE)], now)
    scores = score_people(people.values(), now)
    people = {n: replace(each, scores=scores.get(each.uuid)) for n, each in people.items()}
    at = Moment(now, installation_zone=INSTALLATION_ZONE)
    shown = json.dumps(drawn, ensure_ascii=False)

    compiled = compile_segment(segment, now=now, setting=SETTING)
    expected = {n for n, each in people.items() if evaluate(segment, each, at)}
    found = rows(compiled)
    assert len(found) == len({row[0] for row in found}), f"seed {seed}: a profile came twice\n{shown}\n{compiled.sql}"
    wrong = {n: people[n] for n in {row[0] for row in found} ^ expected if n in people}
    assert {row[0] for row in found} == expected, f"seed {seed} at {now}\n{shown}\n{compiled.sql}\n{wrong}"

    counted = compile_variations(segment, now=now, setting=SETTING)
    counts = rows(counted.compiled)[0]
    assert counts[0] == len(expected), f"seed {seed}\n{shown}\n{counted.compiled.sql}"
    nodes = {node.path: node for node in segment.match.walk()}
    alone = [sum(nodes[row.path].holds(each, at.of(segment)) for each in people.values()) for row in counted.rows]
    assert [counts[row.alone] for row in counted.rows] == alone, f"seed {seed}\n{shown}\n{counted.compiled.sql}"

    some = sorted(people)[::2]
    few = compile_membership(segment, now=now, setting=SETTING, some=True)
    known = {row[0]: row[1:] for row in rows(few, profile_ids=some)}
    for n in some:
        member, next_at = known.get(n, (False, None))
        assert member is (n in expected), f"seed {seed}: member of {n}\n{shown}\n{few.sql}"
        due = next_change(segment, people[n], at)
        limit = runs_at(segment, at)
        relevant = due if due and (limit is None or due < limit) else None
        stored = next_at if next_at and (limit is None or next_at < limit) else None
        assert stored == relevant, f"seed {seed}: next change of {n} at {now}\n{shown}\n{few.sql}\n{people[n]}"
    assert few.runs_at == runs_at(segment, at)


@pytest.mark.django_db
@pytest.mark.parametrize("block", range(10))
def test_sql_and_reference_agree(block: int) -> None:
    share = EXAMPLES // 10
    first = int(os.environ.get("SEGMENT_SEED", "0")) + block * share
    for seed in range(first, first + share):
        with transaction.atomic():
            one_example(seed)
            transaction.set_rollback(True)


# Where longer runs once found the two to differ: an event later than `now`, and a list of decomposed text.
@pytest.mark.django_db
@pytest.mark.parametrize("seed", [352, 582])
def test_agrees_where_a_longer_run_found_a_difference(seed: int) -> None:
    one_example(seed)
