"""Keeping a trait current by one statement at a time, from its value and its provenance alone.

The provenance of a trait is a list of whole numbers: source, when it was said, when it was received; then, where the
rule needs them, whether it was verified, and when the trait was last unset (said, received). What cannot be known from
that is UNDECIDED: then `deciding` has to look at all statements.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

from profiles.survivorship.deciding import Statement, Verdict, canonical, standing_key
from profiles.survivorship.rules import FIRST_STAYS, FLOORED, MOST_FREQUENT, SET_ONCE, STANDING, VERIFIED_FIRST, Rule

Traits = dict[str, Any]
Meta = dict[str, list[int]]
State = tuple[Any, list[int] | None]
"""A trait's value (None: empty) and provenance (None: nothing was ever said)."""

# The moment at which a correction by hand was said: later than everything, so that it stands above every message
# wherever moments are compared. The moment of the correction itself is kept as the one it was received at.
BY_HAND = 1 << 62
BASE = 3
VERIFIED = 3
WITH_FLOOR = 6


class _Undecided:
    """The answer when a trait cannot be told without all its statements."""

    def __repr__(self) -> str:
        return "UNDECIDED"


UNDECIDED = _Undecided()


def by_hand(meta: list[int] | None) -> bool:
    """Tell whether a provenance is that of a correction."""
    return meta is not None and meta[1] == BY_HAND


def correction_state(value: Any, created: int) -> State:
    """Return the trait that a correction by hand makes; None keeps it empty."""
    return value, [0, BY_HAND, created]


def provenance(statement: Statement, rule: Rule, floor: tuple[int, int] | None = None) -> list[int]:
    """Return the provenance of a trait that a statement gave."""
    found = [statement.source_id, statement.occurred, statement.received]
    verified = rule.kind == VERIFIED_FIRST and statement.verified
    if floor is not None:
        return [*found, int(verified), *floor]
    return [*found, 1] if verified else found


def state_of(verdict: Verdict, statements: list[Statement], rule: Rule) -> State:
    """Return the trait that a verdict makes."""
    unset = None if verdict.floor is None else statements[verdict.floor]
    if verdict.winner is None:
        return None, None if unset is None else provenance(unset, rule)
    floor = None if unset is None or rule.kind == SET_ONCE else (unset.occurred, unset.received)
    return statements[verdict.winner].value, provenance(statements[verdict.winner], rule, floor)


def fold(
    rule: Rule, ranks: Mapping[int, int], state: State, value: Any, stamp: list[int], verified: bool
) -> State | _Undecided | None:
    """Return the trait after one more statement, which is the last one stored; None if it stays as it is.

    Parameters
    ----------
    stamp : list of int
        Source id, when it was said, when it was received.
    """
    known_value, known = state
    kind = rule.kind
    if known is not None and known[1] == BY_HAND:
        return None
    if kind in STANDING:
        if known is not None and _key(rule, ranks, known_value, known) > _key_of(rule, ranks, value, stamp, verified):
            return None
        return value, [*stamp, 1] if verified and kind == VERIFIED_FIRST else stamp
    if kind == SET_ONCE:
        if known is None or (
            known_value is None and (value is not None or (known[1], known[2]) <= (stamp[1], stamp[2]))
        ):
            return value, stamp
        if value is None or known_value is None:
            return None
        new = _key_of(rule, ranks, value, stamp, verified)
        return (value, stamp) if new > _key(rule, ranks, known_value, known) else None
    if known is None:
        return value, stamp
    return _fold_floored(rule, ranks, (known_value, known), value, stamp)


def _fold_floored(
    rule: Rule, ranks: Mapping[int, int], state: tuple[Any, list[int]], value: Any, stamp: list[int]
) -> State | _Undecided | None:
    known_value, known = state
    said = (stamp[1], stamp[2])
    floor = _floor(known_value, known)
    if floor is not None and said < floor:
        return None
    if known_value is None:
        return value, stamp if value is None else _with_floor(stamp, floor)
    if value is None:
        # What is believed was said later and stays; else something else that was said later may come forth.
        if (known[1], known[2]) > said and rule.kind != MOST_FREQUENT:
            return known_value, _with_floor(known, said)
        return UNDECIDED
    if rule.kind == MOST_FREQUENT:
        if canonical(value) != canonical(known_value):
            return UNDECIDED
        newer = _recency(stamp, ranks) >= _recency(known, ranks)
        return (value, _with_floor(stamp, floor)) if newer else None
    new, old = _key_of(rule, ranks, value, stamp, False), _key(rule, ranks, known_value, known)
    wins = new > old if rule.kind in FIRST_STAYS else new >= old
    return (value, _with_floor(stamp, floor)) if wins else None


def join(rule: Rule, ranks: Mapping[int, int], one: State, other: State) -> State | _Undecided:
    """Return the trait of two profiles that become one."""
    if one[1] is None or other[1] is None:
        return other if one[1] is None else one
    if one == other:
        return one if rule.kind != MOST_FREQUENT else UNDECIDED
    if by_hand(one[1]) or by_hand(other[1]):
        # The last correction stands; two of one moment are told apart by their rows.
        a, b = (one[1][1], one[1][2]), (other[1][1], other[1][2])
        return UNDECIDED if a == b else max(one, other, key=_said)
    if rule.kind == MOST_FREQUENT:
        return UNDECIDED
    if rule.kind == SET_ONCE and (one[0] is None or other[0] is None):
        return other if one[0] is None else one
    if rule.kind in FLOORED:
        return _join_floored(rule, ranks, one, other)
    return _greater(rule, ranks, one, other)


def _join_floored(rule: Rule, ranks: Mapping[int, int], one: State, other: State) -> State | _Undecided:
    floor = max((found for found in (_floor(*one), _floor(*other)) if found is not None), default=None)
    held = [state for state in (one, other) if state[0] is not None]
    if floor is not None and any(_said(state) <= floor for state in held):
        return UNDECIDED
    if not held:
        return UNDECIDED if _said(one) == _said(other) else max(one, other, key=_said)
    found = held[0] if len(held) == 1 else _greater(rule, ranks, *held)
    if isinstance(found, _Undecided) or found[1] is None:
        return found
    return found[0], _with_floor(found[1], floor)


def _greater(rule: Rule, ranks: Mapping[int, int], one: State, other: State) -> State | _Undecided:
    a, b = _key(rule, ranks, *one), _key(rule, ranks, *other)
    if a == b:
        return UNDECIDED
    return one if a > b else other


def apply(  # noqa: PLR0913 - called once per ruled trait on the hot path
    rule: Rule,
    ranks: Mapping[int, int],
    traits: Traits,
    meta: Meta,
    stated: Mapping[str, Any],
    name: str,
    stamp: list[int],
) -> bool | None:
    """Let one message's statement change a ruled trait in place; True if its value changed, None if undecided."""
    verified = rule.kind == VERIFIED_FIRST and is_verified(rule, stated, stamp[0])
    found = fold(rule, ranks, (traits.get(name), meta.get(name)), stated[name], stamp, verified)
    if found is None:
        return False
    if isinstance(found, _Undecided):
        return None
    return put(traits, meta, name, found)


def is_verified(rule: Rule, stated: Mapping[str, Any], source_id: int) -> bool:
    """Tell whether a message's statement counts as verified."""
    return source_id in rule.verified_sources or (bool(rule.verified_by) and stated.get(rule.verified_by) is True)


def put(traits: MutableMapping[str, Any], meta: MutableMapping[str, list[int]], name: str, state: State) -> bool:
    """Give a trait a value and provenance in place; True if the value changed."""
    value, known = state
    if known is None:
        meta.pop(name, None)
    else:
        meta[name] = known
    if value is None:
        return traits.pop(name, None) is not None
    before = traits.get(name)
    traits[name] = value
    return bool(before != value or type(before) is not type(value))


def _floor(value: Any, known: list[int] | None) -> tuple[int, int] | None:
    if known is None:
        return None
    if value is None:
        return known[1], known[2]
    return (known[4], known[5]) if len(known) == WITH_FLOOR else None


def _with_floor(stamp: list[int], floor: tuple[int, int] | None) -> list[int]:
    return stamp if floor is None else [*stamp[:BASE], 0, *floor]


def _said(state: State) -> tuple[int, int]:
    assert state[1] is not None
    return state[1][1], state[1][2]


def _recency(stamp: list[int], ranks: Mapping[int, int]) -> tuple[int, int, int]:
    return stamp[1], ranks.get(stamp[0], 0), stamp[2]


def _key(rule: Rule, ranks: Mapping[int, int], value: Any, known: list[int] | None) -> tuple[Any, ...]:
    assert known is not None
    return _key_of(rule, ranks, value, known, len(known) > VERIFIED and bool(known[VERIFIED]))


def _key_of(rule: Rule, ranks: Mapping[int, int], value: Any, stamp: list[int], verified: bool) -> tuple[Any, ...]:
    return standing_key(rule, ranks, value, stamp[0], stamp[1], stamp[2], verified)
