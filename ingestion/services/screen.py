"""Which items of a batch go on: not duplicates, not suppressed, not held for consent. Under the lock `IDENTITY`."""

from dataclasses import dataclass, field
from typing import Any

from cdp.core.copying import bytea_array, int_array
from cdp.core.digests import LOOKUP_BYTES, identifier_digest
from cdp.core.registries import consent_requirements, suppression_checks
from ingestion.models import Outcome
from ingestion.services.prepare import Item, Rules, fill
from ingestion.spec.message import ENDPOINTS
from ingestion.treatment.treatment import FILTERED, PLAN_VIOLATION, UNPLANNED_EVENT, UNUSABLE
from profiles.services.graphs import fresh_ids

KNOWN = """
SELECT m.id, m.source_id, m.message_hash, m.outcome
FROM unnest(%s::int[], %s::bytea[]) AS t(s, h)
JOIN ingestion_message m ON m.source_id = t.s AND m.message_hash = t.h
"""
GIVES_WAY = {Outcome.REJECTED, Outcome.QUARANTINED, Outcome.HELD}
FAULTS = {Outcome.REJECTED, Outcome.QUARANTINED}
# What the source's own definitions decided, however the message came.
DECIDED = {
    FILTERED: Outcome.REJECTED,
    UNUSABLE: Outcome.QUARANTINED,
    PLAN_VIOLATION: Outcome.QUARANTINED,
    UNPLANNED_EVENT: Outcome.REJECTED,
}
DROPPED = "suppressed_identifier_dropped"
PREVIOUS = ("user_id", "anonymous_id")


@dataclass(slots=True)
class Row:
    """The outcome row of one message id: stored already, or to be written.

    `item` is the item that the row tells of; `more_copies` counts the items beyond the first.
    """

    id: int
    outcome: int
    item: Item | None
    is_new: bool
    is_changed: bool = False
    more_copies: int = 0
    reason: str = ""


@dataclass(slots=True)
class Screened:
    """What was decided: each item's outcome in `outcomes`, in order; the items that go on in `good`."""

    rows: dict[tuple[int, bytes], Row]
    outcomes: list[tuple[Item, int]] = field(default_factory=list)
    good: list[Item] = field(default_factory=list)
    held: list[tuple[Item, Row]] = field(default_factory=list)
    quarantined: list[tuple[Item, Row]] = field(default_factory=list)


def screen(cursor: Any, items: list[Item], rules: Rules) -> Screened:
    """Decide which items go on and what becomes of the others.

    Notes
    -----
    A row whose only copies were rejected, quarantined or held gives way to a good copy: the first was never stored.
    """
    rows = _known_rows(cursor, items)
    ids = fresh_ids(cursor, "ingestion_message_id_seq", block=max(len(items), 1))
    suppressed = find_suppressed(items)
    states = _consent_states(cursor, items)
    screened = Screened(rows)
    for item in items:
        key = (item.request.source.id, item.hash)
        row = rows.get(key)
        outcome, reason = _judge(item, rules, suppressed, states)
        if row is not None:
            row.more_copies += 1
            if row.outcome not in GIVES_WAY or outcome in FAULTS or outcome == row.outcome:
                screened.outcomes.append((item, Outcome.DUPLICATE))
                continue
            row.outcome, row.reason, row.item, row.is_changed = outcome, reason, item, True
        else:
            row = rows[key] = Row(next(ids), outcome, item, True, reason=reason)
        screened.outcomes.append((item, outcome))
        if outcome == Outcome.ACCEPTED and item.incoming is not None:
            item.incoming.event_id = row.id
            screened.good.append(item)
        elif outcome == Outcome.HELD:
            screened.held.append((item, row))
        elif outcome == Outcome.QUARANTINED:
            screened.quarantined.append((item, row))
    return screened


def judge_again(cursor: Any, items: list[Item], rules: Rules) -> list[Outcome]:
    """Return what each item would be now, copies left aside; what is suppressed of a message is dropped from it."""
    suppressed = find_suppressed(items)
    states = _consent_states(cursor, items)
    return [_judge(item, rules, suppressed, states)[0] for item in items]


def _known_rows(cursor: Any, items: list[Item]) -> dict[tuple[int, bytes], Row]:
    cursor.execute(KNOWN, [int_array(i.request.source.id for i in items), bytea_array(i.hash for i in items)])
    return {(row[1], bytes(row[2])): Row(row[0], row[3], None, False) for row in cursor.fetchall()}


def find_suppressed(items: list[Item]) -> set[bytes]:
    """Return the digests of the items that are suppressed, themselves or by a hash."""
    named = {
        (type_key, value, digest)
        for item in items
        if item.message is not None
        for (type_key, value, _), digest in zip(item.message.identifiers, item.digests, strict=False)
    }
    named |= {
        (kind, item.message.previous_id, digest)
        for item in items
        if item.message is not None
        for kind, digest in zip(PREVIOUS, previous_digests(item), strict=False)
    }
    return {digest for check in suppression_checks for digest in check(named)} if named else set()


def previous_digests(item: Item) -> list[bytes]:
    """Return the digests of what an alias names as the former id, which is the one or the other."""
    message = item.message
    if message is None or message.type != "alias" or not message.previous_id:
        return []
    return [identifier_digest(kind, message.previous_id) for kind in PREVIOUS]


def _judge(
    item: Item, rules: Rules, suppressed: set[bytes], states: dict[str, dict[bytes, str]]
) -> tuple[Outcome, str]:
    if item.fault is not None and not item.digests:
        single = bool(ENDPOINTS.get(item.request.endpoint))
        usual = Outcome.REJECTED if single else Outcome.QUARANTINED
        return DECIDED.get(item.fault.code, usual), item.fault.code
    if suppressed and not suppressed.isdisjoint(item.digests):
        if item.digests[0] in suppressed or item.fault is not None:
            return Outcome.SUPPRESSED, "suppressed"
        _drop_suppressed(item, rules, suppressed)
    if suppressed and not suppressed.isdisjoint(previous_digests(item)):
        _drop_previous(item, rules)
    purpose = item.request.source.required_purpose
    if purpose and not item.is_consent_event:
        state = next((s for d in item.digests if (s := states[purpose].get(d[:LOOKUP_BYTES])) is not None), "unknown")
        if state in {"denied", "withdrawn", "objected"}:
            return Outcome.SUPPRESSED, "consent"
        if state != "granted":
            return Outcome.HELD, "consent"
    if item.fault is not None:
        # The plan stops it, and nobody whose data must not be kept is in it.
        return DECIDED[item.fault.code], item.fault.code
    return Outcome.ACCEPTED, ""


def _drop_suppressed(item: Item, rules: Rules, suppressed: set[bytes]) -> None:
    """Drop the weaker identifiers that are suppressed, and every value of the message that equals one of them."""
    message = item.message
    assert message is not None
    gone = {
        (type_key, value)
        for (type_key, value, _), digest in zip(message.identifiers, item.digests, strict=True)
        if digest in suppressed
    }
    given = {original for type_key, value, original in message.identifiers if (type_key, value) in gone}
    given |= {value for _, value in gone}
    folded = {value.strip().lower() for value in given}
    message.identifiers = [one for one in message.identifiers if (one[0], one[1]) not in gone]
    message.properties = _without(message.properties, folded)
    message.context = _without(message.context, folded)
    if message.traits is not None:
        message.traits = _without(message.traits, folded)
    message.warnings.append(DROPPED)
    fill(item, message, rules)


def _drop_previous(item: Item, rules: Rules) -> None:
    """Forget what an alias names as the former id of somebody else: it is suppressed, under whichever type."""
    message = item.message
    assert message is not None
    folded = {message.previous_id.strip().lower()}
    message.previous_id = ""
    message.properties = _without(message.properties, folded)
    message.context = _without(message.context, folded)
    message.warnings.append(DROPPED)
    fill(item, message, rules)


def _without(value: dict[str, Any], folded: set[str]) -> dict[str, Any]:
    """Return the object without every value, at any depth, that equals one of the folded ones."""
    return {key: _clean(inner, folded) for key, inner in value.items() if not _is_one_of(inner, folded)}


def _clean(value: Any, folded: set[str]) -> Any:
    if isinstance(value, dict):
        return _without(value, folded)
    if isinstance(value, list):
        return [_clean(inner, folded) for inner in value if not _is_one_of(inner, folded)]
    return value


def _is_one_of(value: Any, folded: set[str]) -> bool:
    return isinstance(value, str | int) and str(value).strip().lower() in folded


def _consent_states(cursor: Any, items: list[Item]) -> dict[str, dict[bytes, str]]:
    """Return, per required purpose, the consent state of each known identifier's profile."""
    wanted: dict[str, set[bytes]] = {}
    for item in items:
        purpose = item.request.source.required_purpose
        if purpose and item.digests:
            wanted.setdefault(purpose, set()).update(digest[:LOOKUP_BYTES] for digest in item.digests)
    states: dict[str, dict[bytes, str]] = {purpose: {} for purpose in wanted}
    for purpose, lookups in wanted.items():
        cursor.execute(
            "SELECT lookup, profile_id FROM profiles_identifier WHERE lookup = ANY(%s::bytea[])",
            [bytea_array(lookups)],
        )
        profiles = {bytes(row[0]): row[1] for row in cursor.fetchall()}
        for requirement in consent_requirements:
            by_profile = requirement(purpose, set(profiles.values()))
            for lookup, profile_id in profiles.items():
                states[purpose][lookup] = by_profile.get(profile_id, "unknown")
    return states
