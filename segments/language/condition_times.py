"""When a condition changes its answer by time alone."""

from datetime import datetime
from typing import Any

from segments.language.condition_reference import Clock, moment_of
from segments.language.conditions import RELATIVE, Condition
from segments.language.windows import earliest
from segments.language.zones import TICK, next_midnight, shift, steady_until


def next_change(condition: Condition, found: list[Any], clock: Clock) -> datetime | None:
    """Return the next instant after `now` at which the condition could change by itself, between its runs."""
    if condition.cast == "date" and condition.operator not in RELATIVE:
        return None
    moments = [moment_of(value, condition.cast, clock.tz) for value in found] if moves(condition) else []
    changes: list[datetime] = []
    for moment in moments:
        if moment is not None:
            changes += _edges(condition, moment, clock)
    return earliest(changes)


def _edges(condition: Condition, moment: datetime, clock: Clock) -> list[datetime]:
    now = clock.now
    if condition.operator in RELATIVE:
        assert condition.duration is not None
        sign = 1 if condition.operator == "in_next" else -1
        distance = now - shift(now, condition.duration, clock.tz, sign)
        if sign == 1:
            edges = [moment + TICK if moment < now - distance else moment + distance + TICK]
        else:
            edges = [moment + TICK if moment >= now else moment + distance + TICK]
        return [edge for edge in edges if edge > now]
    edges = []
    for ago in condition.agos:
        edge = moment + (now - shift(now, ago, clock.tz, -1))
        edges += [edge] if edge > now else [edge + TICK] if edge + TICK > now else []
    return edges


def moves(condition: Condition) -> bool:
    """Tell whether single values cross an edge as time passes."""
    return bool(condition.agos) or condition.operator in RELATIVE


def runs_at(condition: Condition, clock: Clock) -> datetime | None:
    """Return when everyone has to be looked at again: midnights for dates, changes of the zone's offset."""
    if condition.operator == "anniversary" or (condition.cast == "date" and condition.agos):
        return next_midnight(clock.now, clock.tz)
    sign = 1 if condition.operator == "in_next" else -1
    durations = [*condition.agos, *([condition.duration] if condition.duration else [])]
    return earliest(steady_until(clock.now, duration, clock.tz, sign) for duration in durations)
