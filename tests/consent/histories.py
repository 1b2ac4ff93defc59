"""Builds consent histories for the tests of the pure rules."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from consent.decision import Decision, Draft, enter

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def minute(count: float) -> datetime:
    """Return the instant that many minutes after the start."""
    return START + timedelta(minutes=count)


@dataclass
class Person:
    """A profile's history, with the ledger's ids handed out in order of record."""

    name: str
    ledger: "Ledger"
    history: list[Decision] = field(default_factory=list)

    def says(self, state, at, *, occurred=None, channel=None, actor="subject", until=None, purpose="marketing"):
        """Record a decision and return it."""
        draft = Draft(
            subject=self.name,
            purpose=purpose,
            channel=channel,
            state=state,
            occurred_at=minute(at if occurred is None else occurred),
            recorded_at=minute(at),
            expires_at=None if until is None else minute(until),
            actor=actor,
        )
        decision = enter(self.history, draft, decision_id=self.ledger.next_id())
        self.history.append(decision)
        return decision


@dataclass
class Ledger:
    """Hands out ids."""

    last: int = 0

    def next_id(self) -> int:
        """Return the next id."""
        self.last += 1
        return self.last

    def person(self, name: str) -> Person:
        """Return a person without history."""
        return Person(name, self)

    def merged(self, *people: Person) -> Person:
        """Return the person that a merge makes of several."""
        together = {decision.id: decision for person in people for decision in person.history}
        return Person(people[0].name, self, sorted(together.values(), key=lambda decision: decision.id))
