"""The account: of every message that was answered 200, what became of it."""

import time
from dataclasses import dataclass
from typing import Any

from tests.faults.ground import Ground
from tests.journeys.calling import call

SETTLE_SECONDS = 180.0
EVENTS = """
SELECT e.message_id, count(*) FROM profiles_event e JOIN ingestion_source s ON s.id = e.source_id
WHERE s.key = %s GROUP BY 1
"""
SET_ASIDE = """
SELECT count(*) FROM ingestion_quarantined q JOIN ingestion_source s ON s.id = q.source_id WHERE s.key = %s
"""
LONGEST = """
SELECT coalesce(extract(epoch FROM max(m.processed_at - m.received_at)), 0)::float FROM ingestion_message m
JOIN ingestion_source s ON s.id = m.source_id WHERE s.key = %s AND m.outcome = 1
"""
PEOPLE = """
SELECT count(DISTINCT e.profile_id) FROM profiles_event e JOIN ingestion_source s ON s.id = e.source_id
WHERE s.key = %s AND e.name = 'Seen'
"""
MEMBERS = """
SELECT count(*) FROM segments_membership m JOIN segments_segment g ON g.id = m.segment_id WHERE g.key = %s
"""


@dataclass(frozen=True, slots=True)
class Account:
    """Counted in messages.

    Attributes
    ----------
    sent, sent_again : int
        Messages, and how often one was sent again because the answer was a refusal or got lost.
    accepted : int
        Answered 200, once or more.
    accounted : int
        Of those, how many are an event or lie in the quarantine.
    lost, doubled : int
        Accepted and nowhere; stored more than once.
    unsound : list of str
        Whatever else does not add up.
    longest_seconds : float
        The longest time from receipt to the event.
    """

    sent: int
    sent_again: int
    accepted: int
    accounted: int
    lost: int
    doubled: int
    set_aside: int
    longest_seconds: float
    unsound: list[str]


def settle(ground: Ground, key: str) -> dict[str, Any]:
    """Wait until nothing waits any more; return the status."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            status = call(ground.product, "GET", "/api/v1/ingestion/status", key=key)
        except OSError:
            status = {"inbox_pending": -1, "changes_pending": -1, "overdue_checks": -1}
        if not any(status[name] for name in ("inbox_pending", "changes_pending", "overdue_checks")):
            return status
        assert time.monotonic() < until, f"It does not come to rest: {status}\n{ground.product.output[-4000:]}"
        time.sleep(0.1)


def make_account(ground: Ground, *, source: str, segment: str, key: str, people: int) -> Account:
    """Count, once nothing waits any more.

    Parameters
    ----------
    segment : str
        Key of a live segment of everybody who was seen.
    people : int
        How many people the messages are.
    """
    status = settle(ground, key)
    stored = dict(ground.ask(EVENTS, source))
    accepted = ground.load.accepted
    missing = accepted - stored.keys()
    (aside,) = ground.ask(SET_ASIDE, source)[0]
    counts = next(row for row in status["per_source"] if row["source"] == source)
    rest = sum(counts[name] for name in counts if name not in {"source", "received"})
    unsound = []
    if counts["received"] != rest:
        unsound.append(f"received {counts['received']}, outcomes {rest}")
    if counts["accepted"] != sum(stored.values()):
        unsound.append(f"counted {counts['accepted']} accepted, stored {sum(stored.values())}")
    if stored.keys() - accepted:
        unsound.append(f"{len(stored.keys() - accepted)} events of messages that nobody was promised")
    (found,) = ground.ask(PEOPLE, source)[0]
    if found != people:
        unsound.append(f"{found} profiles of {people} people")
    (members,) = ground.ask(MEMBERS, segment)[0]
    if members != people:
        unsound.append(f"{members} members of {people} people")
    return Account(
        sent=ground.load.sent,
        sent_again=ground.load.sent_again,
        accepted=len(accepted),
        accounted=len(accepted) - max(0, len(missing) - aside),
        lost=max(0, len(missing) - aside),
        doubled=sum(count - 1 for count in stored.values()),
        set_aside=aside,
        longest_seconds=ground.ask(LONGEST, source)[0][0],
        unsound=unsound,
    )
