"""What keeping a definition current would cost, estimated by the database's planner before anything is computed."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from segments.errors import TooExpensive
from segments.language.compile import compile_membership
from segments.language.parse import parse
from segments.language.person import Segment as Definition
from segments.queries.preview import ask
from segments.queries.segments import read_setting

LIGHT, MODERATE, HEAVY = "light", "moderate", "heavy"
# Upper bounds in the planner's units, of which a core does some 300 000 to 1 000 000 a second.
LEVELS = ((300_000, LIGHT), (5_000_000, MODERATE))


@dataclass(frozen=True, slots=True)
class Cost:
    """An estimate: in the planner's units, and in a word."""

    estimate: int
    level: str


def estimate_cost(*, definition: Definition, now: datetime) -> Cost:
    """Return what looking at everyone by a definition costs, without doing it."""
    compiled = compile_membership(definition, now=now, setting=read_setting())
    [(plans,)] = ask(f"EXPLAIN (FORMAT JSON) {compiled.sql}", compiled.parameters)
    total = math.ceil(plans[0]["Plan"]["Total Cost"])
    return Cost(total, next((level for bound, level in LEVELS if total < bound), HEAVY))


def check_cost(*, definition: Any, now: datetime) -> None:
    """Refuse a definition that would take the machine from everybody else.

    Raises
    ------
    TooExpensive
        If the estimate is over `CDP_SEGMENT_COST_LIMIT`.
    """
    limit: int = settings.CDP_SEGMENT_COST_LIMIT
    if limit:
        cost = estimate_cost(definition=parse(definition), now=now)
        if cost.estimate > limit:
            raise TooExpensive(cost.estimate, limit)
