"""Time alone never changes an answer before `next_change` or `runs_at` says so."""

import json
import random
from datetime import datetime, timedelta

import pytest

from segments.errors import InvalidDefinition
from segments.language.evaluate import evaluate, next_change, runs_at
from segments.language.parse import parse
from segments.language.person import Moment, Person, Segment
from tests.segments.histories import INSTALLATION_ZONE, NOWS, definition, person, pick

TICK = timedelta(microseconds=1)
EXAMPLES = 40


def draw_segment(draw: random.Random) -> Segment:
    while True:
        drawn = definition(draw)
        # The time zone of each profile is covered by the others: it only chooses among them, at 600 times the cost.
        drawn["timezone"] = pick(draw, ("UTC", "Europe/Berlin", "America/New_York"))
        try:
            return parse(drawn)
        except InvalidDefinition:
            continue


def probes(draw: random.Random, now: datetime, limit: datetime, someone: Person) -> list[datetime]:
    """Return instants between `now` and the limit: random ones, and those at which something stored crosses an edge."""
    span = limit - now
    found = [now + span * draw.random() for _ in range(6)] + [now + TICK, limit - TICK]
    times = [event.occurred_at for event in someone.events]
    for each in times[:4]:
        for length in (
            timedelta(hours=1),
            timedelta(days=1),
            timedelta(days=7),
            timedelta(days=30),
            timedelta(hours=36),
        ):
            found += [each + length + shift for shift in (timedelta(), TICK)]
    return [moment for moment in found if now < moment < limit]


@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_never_changes_earlier_than_it_says(seed: int) -> None:
    draw = random.Random(seed * 7919)
    segment = draw_segment(draw)
    now = pick(draw, NOWS)
    for number in range(6):
        someone = person(draw, now, number)
        at = Moment(now, installation_zone=INSTALLATION_ZONE)
        before = evaluate(segment, someone, at)
        due, run = next_change(segment, someone, at), runs_at(segment, at)
        limit = min(moment for moment in (due, run, now + timedelta(days=40)) if moment is not None)
        assert limit > now
        for probe in probes(draw, now, limit, someone):
            after = evaluate(segment, someone, Moment(probe, installation_zone=INSTALLATION_ZONE))
            assert after is before, (seed, number, now, probe, due, run, segment, json.dumps(dict(someone.traits)))
