"""SQL and the reference compute the same: random computed traits over random histories, on a real PostgreSQL.

`SEGMENT_EXAMPLES` sets how many are tried (a quarter of it here; default 300 in all).
"""

import json
import os
import random
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection, transaction

from segments.errors import InvalidDefinition
from segments.language.compile_traits import compile_trait
from segments.language.computations import TraitDefinition
from segments.language.parse_traits import parse_trait
from segments.language.person import Moment
from segments.language.plan import Setting
from segments.language.rfm import score_people
from segments.language.scoring import as_json
from segments.language.summaries import FUNCTIONS, WITH_PROPERTY
from segments.language.values import canonical
from tests.segments.histories import INSTALLATION_ZONE, NOWS, ZONES, names, node, optional_where, person, pick, window
from tests.segments.storing import store

EXAMPLES = int(os.environ.get("SEGMENT_EXAMPLES", "300")) // 4
PEOPLE = 12
PROPERTIES = ("revenue", "category", "tags", "products.price", "context.page.url", "duration_seconds")


def summary(draw: random.Random) -> dict[str, Any]:
    """Draw a summary."""
    function = pick(draw, FUNCTIONS)
    found: dict[str, Any] = {"type": "summary", "fn": function, "name": names(draw), **optional_where(draw)}
    if function in WITH_PROPERTY:
        found["property"] = pick(draw, PROPERTIES)
    return {**found, "window": window(draw)} if draw.random() < 0.7 else found


def computation(draw: random.Random) -> dict[str, Any]:
    """Draw a computation."""
    kind = draw.random()
    if kind < 0.75:
        return summary(draw)
    if kind < 0.8:
        return {"type": "rfm"}
    criteria = [
        {"when": node(draw, depth=1), "weight": pick(draw, (1, 2.5, -3, 10))} for _ in range(draw.randint(1, 4))
    ]
    thresholds = [{"from": 0, "class": "some"}, {"from": 3, "class": "many"}] if draw.random() < 0.6 else None
    return {"type": "weighted_score", "criteria": criteria, **({"thresholds": thresholds} if thresholds else {})}


def draw_trait(draw: random.Random) -> tuple[Any, TraitDefinition]:
    """Draw until a definition is valid."""
    while True:
        zone = pick(draw, ZONES) if draw.random() < 0.6 else "UTC"
        drawn = {"version": 1, "timezone": zone, "compute": computation(draw)}
        try:
            return drawn, parse_trait(drawn)
        except InvalidDefinition:
            continue


def one_example(seed: int) -> None:
    draw = random.Random(seed)
    drawn, definition = draw_trait(draw)
    now = pick(draw, NOWS)
    people = store([person(draw, now, number) for number in range(PEOPLE)], now)
    scores = score_people(people.values(), now)
    people = {n: replace(each, scores=scores.get(each.uuid)) for n, each in people.items()}
    zone = definition.timezone
    at = Moment(now, timezone=zone, installation_zone=INSTALLATION_ZONE)
    default = canonical(as_json(definition.compute.default))
    found = {n: as_json(definition.compute.compute(each, at)) for n, each in people.items()}
    wanted = {n: canonical(value) for n, value in found.items() if value is not None}
    wanted = {n: value for n, value in wanted.items() if value != default}
    for some in (False, True):
        compiled = compile_trait(definition, now=now, setting=Setting(INSTALLATION_ZONE), some=some)
        with connection.cursor() as cursor:
            parameters = {**compiled.parameters, **({"profile_ids": sorted(people)} if some else {})}
            cursor.execute(f"select profile_id, value::text from ({compiled.sql}) v", parameters)
            computed = {n: canonical(json.loads(value)) for n, value in cursor.fetchall() if value and n in people}
        wrong = {n: (computed.get(n), wanted.get(n)) for n in people if computed.get(n) != wanted.get(n)}
        assert not wrong, f"seed {seed} at {now}\n{json.dumps(drawn, ensure_ascii=False)}\n{compiled.sql}\n{wrong}"


@pytest.mark.django_db
def test_sql_and_reference_compute_the_same() -> None:
    first = int(os.environ.get("SEGMENT_SEED", "0"))
    for seed in range(first, first + EXAMPLES):
        with transaction.atomic():
            one_example(seed)
            transaction.set_rollback(True)
