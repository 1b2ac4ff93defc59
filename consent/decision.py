"""What a person decided, and what follows from it: pure rules, no clock, no database.

A history is a set of decisions. Each decision names the latest ones that its profile held when it was
recorded (`follows`), so a history is a graph like that of a version control system: a merge of profiles is
the union of two graphs, and the next decision follows the tips of both. Everything here is a function of that
set, which is why the order in which profiles were merged cannot matter and why taking a merge apart gives
both sides back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from consent.errors import UnknownState

GRANTED = "granted"
DENIED = "denied"
WITHDRAWN = "withdrawn"
OBJECTED = "objected"
PENDING = "pending"
EXPIRED = "expired"
UNKNOWN = "unknown"

RECORDABLE = (GRANTED, DENIED, WITHDRAWN, OBJECTED, PENDING)
STATES = (*RECORDABLE, EXPIRED, UNKNOWN)
REFUSALS = frozenset({DENIED, WITHDRAWN, OBJECTED})

SUBJECT = "subject"
ACTORS = (SUBJECT, "agent", "import")

CONSENT = "consent"
CONTRACT = "contract"
LEGAL_OBLIGATION = "legal_obligation"
VITAL_INTERESTS = "vital_interests"
PUBLIC_TASK = "public_task"
LEGITIMATE_INTERESTS = "legitimate_interests"
LEGAL_BASES = (CONSENT, CONTRACT, LEGAL_OBLIGATION, VITAL_INTERESTS, PUBLIC_TASK, LEGITIMATE_INTERESTS)

_RESTRICTIVENESS = {GRANTED: 0, PENDING: 1, DENIED: 2, WITHDRAWN: 3, OBJECTED: 4}
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Draft:
    """A decision as it arrives, before the history it enters has had its say.

    `subject` is the public id of the profile it is recorded for, `channel` None means all channels.
    """

    subject: str
    purpose: str
    channel: str | None
    state: str
    occurred_at: datetime
    recorded_at: datetime
    expires_at: datetime | None = None
    actor: str = SUBJECT


@dataclass(frozen=True, slots=True)
class Decision:
    """One entry of the ledger, never changed once written.

    `follows` holds the ids of the latest decisions of the same purpose that the profile had when this one was
    recorded. `conflict` tells that, when recorded, it was a grant by another than the subject against a
    standing withdrawal or objection; `cleared` that an officer has attached evidence to it since. `elsewhere`
    marks a decision that went to another profile by a split: it weighs nothing and only tells who followed
    whom.
    """

    id: int
    subject: str
    purpose: str
    channel: str | None
    state: str
    occurred_at: datetime
    recorded_at: datetime
    effective_at: datetime
    expires_at: datetime | None = None
    actor: str = SUBJECT
    follows: tuple[int, ...] = ()
    conflict: bool = False
    cleared: bool = False
    elsewhere: bool = False

    @property
    def order(self) -> tuple[datetime, datetime, int]:
        """The place among decisions: the greatest one is current."""
        return (self.effective_at, self.recorded_at, self.id)

    @property
    def speaks_for_subject(self) -> bool:
        """Whether it may lift a refusal: made by the subject, or proven by evidence."""
        return self.actor == SUBJECT or self.cleared


@dataclass(frozen=True, slots=True)
class Standing:
    """What a history comes to for one purpose and channel.

    `decided_by` is the decision whose state stands, None for no decision at all. `conflict` means that the
    history gives no answer and the restrictive state stands for an officer to settle. `objected` means that
    some objection has not been lifted, whatever was said after it.
    """

    decided_by: Decision | None
    conflict: bool = False
    objected: bool = False

    def state_at(self, now: datetime) -> str:
        """Return the state read at `now`; expiry is decided here and nowhere else."""
        return read_state(decision=self.decided_by, now=now)


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of current consent: what stands, and where it sorts among the rows of its purpose.

    A reader takes the greatest of the asked channel's row and the row of all channels by
    (`effective_at`, `recorded_at`, decision id). Where a refusal stands against a later grant, its row sorts
    after that grant, so that the reader needs to know nothing of merges.
    """

    standing: Standing
    effective_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of the gate: `reason` is a state, or ``conflict``, ``restricted`` or ``legal_basis``."""

    allowed: bool
    state: str
    reason: str
    decided_by: int | None


def read_state(*, decision: Decision | None, now: datetime) -> str:
    """Return the state of one decision at `now`: a grant whose end has come reads ``expired``.

    Parameters
    ----------
    decision : Decision or None
        None stands for no decision, which reads ``unknown``.
    now : datetime
        Aware instant; a grant is expired from `expires_at` on, that instant included.
    """
    if decision is None:
        return UNKNOWN
    if decision.state == GRANTED and decision.expires_at is not None and decision.expires_at <= now:
        return EXPIRED
    return decision.state


def recorded_state(*, state: str, current: str) -> str:
    """Return the state that is written down: a denial while the cell is granted is a withdrawal.

    Raises
    ------
    UnknownState
        If `state` is none that can be recorded.

    References
    ----------
    GDPR Art. 7(3).
    """
    if state not in RECORDABLE:
        raise UnknownState(state, allowed=RECORDABLE)
    if state == DENIED and current == GRANTED:
        return WITHDRAWN
    return state


def effective_at(*, state: str, occurred_at: datetime, recorded_at: datetime) -> datetime:
    """Return the instant from which a recorded state counts.

    A withdrawal or objection counts from its record, so that a slow clock cannot date it before a grant;
    anything else never counts later than its record, so that a fast clock cannot keep a grant ahead of a
    withdrawal.

    Parameters
    ----------
    state : str
        The state as recorded, after `recorded_state`.
    occurred_at : datetime
        When the person acted, as claimed.
    recorded_at : datetime
        When this installation received it.
    """
    if state in (WITHDRAWN, OBJECTED):
        return recorded_at
    return min(occurred_at, recorded_at)


def merge(*histories: Iterable[Decision]) -> tuple[Decision, ...]:
    """Return the union of several histories, each decision once, in their order.

    Associative, commutative and idempotent because it is a union of sets; `stand` reads the result.
    """
    by_id = {decision.id: decision for history in histories for decision in history}
    return tuple(sorted(by_id.values(), key=lambda decision: decision.order))


def stand(
    history: Iterable[Decision],
    *,
    purpose: str,
    channel: str | None,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
) -> Standing:
    """Return what a history comes to for one purpose and channel.

    Parameters
    ----------
    history : iterable of Decision
        Any decisions of one profile; those of other purposes and channels are ignored.
    channel : str or None
        A channel weighs its own decisions and those for all channels; None weighs only the latter.
    as_of : datetime, optional
        Only decisions effective by then count.
    known_at : datetime, optional
        Only decisions recorded by then count.

    Notes
    -----
    Within one history the greatest decision by (effective_at, recorded_at, id) stands, except that a grant by
    an agent or an import never lifts a withdrawal or an objection. Between histories joined by a merge: the
    later effective time stands, a grant lifts a refusal of another side only if the subject gave it, and an
    objection is lifted only by a grant recorded for a profile that already held it. Equal times leave the
    most restrictive state with a conflict. Of several grants that stand on different sides the one that lasts
    longest is taken.
    """
    own = [decision for decision in merge(history) if decision.purpose == purpose]
    relevant = [
        decision
        for decision in own
        if not decision.elsewhere
        and (decision.channel is None or decision.channel == channel)
        and (as_of is None or decision.effective_at <= as_of)
        and (known_at is None or decision.recorded_at <= known_at)
    ]
    return _weigh(relevant, _Lineage(own)) if relevant else Standing(None)


def cells(history: Iterable[Decision]) -> dict[tuple[str, str | None], Cell]:
    """Return the rows of current consent: one per purpose and channel that any decision names.

    The greatest of a channel's row and the row of all channels is always what `stand` says for that channel.
    """
    merged = merge(history)
    rows: dict[tuple[str, str | None], Cell] = {}
    for purpose in sorted({decision.purpose for decision in merged}):
        own = [decision for decision in merged if decision.purpose == purpose]
        everywhere = _cell(own, purpose=purpose, channel=None, ticks=1)
        if everywhere is not None:
            rows[purpose, None] = everywhere
        named = {d.channel for d in own if d.channel is not None and not d.elsewhere}
        for channel in sorted(named):
            row = _cell(own, purpose=purpose, channel=channel, ticks=1)
            if row is None:
                continue
            if everywhere is not None and row.standing != everywhere.standing and _place(row) <= _place(everywhere):
                row = _cell(own, purpose=purpose, channel=channel, ticks=2)
                assert row is not None
            rows[purpose, channel] = row
    return rows


def enter(history: Sequence[Decision], draft: Draft, *, decision_id: int) -> Decision:
    """Return the decision that `draft` becomes when it enters `history`.

    Parameters
    ----------
    history : sequence of Decision
        All decisions of the profile (other purposes are ignored).
    draft : Draft
        What arrived.
    decision_id : int
        The ledger's next id, greater than every id of `history`.

    Raises
    ------
    UnknownState
        If the draft's state is none that can be recorded.
    """
    own = [decision for decision in history if decision.purpose == draft.purpose]
    before = stand(own, purpose=draft.purpose, channel=draft.channel)
    state = recorded_state(state=draft.state, current=before.state_at(draft.recorded_at))
    followed = {ancestor for decision in own for ancestor in decision.follows}
    decision = Decision(
        id=decision_id,
        subject=draft.subject,
        purpose=draft.purpose,
        channel=draft.channel,
        state=state,
        occurred_at=draft.occurred_at,
        recorded_at=draft.recorded_at,
        effective_at=effective_at(state=state, occurred_at=draft.occurred_at, recorded_at=draft.recorded_at),
        expires_at=draft.expires_at if state == GRANTED else None,
        actor=draft.actor,
        follows=tuple(sorted(d.id for d in own if d.id not in followed and not d.elsewhere)),
    )
    if state == GRANTED and draft.actor != SUBJECT:
        after = stand([*own, decision], purpose=draft.purpose, channel=draft.channel)
        cleared = stand([*own, replace(decision, cleared=True)], purpose=draft.purpose, channel=draft.channel)
        if after.conflict and not cleared.conflict:
            return replace(decision, conflict=True)
    return decision


def may_process(*, standing: Standing, legal_basis: str, restricted: bool, now: datetime) -> Verdict:
    """Decide whether personal data may be processed for a purpose and channel.

    Parameters
    ----------
    standing : Standing
        What the person's history comes to.
    legal_basis : str
        One of `LEGAL_BASES`; an unknown one is treated like consent and so needs a grant.
    restricted : bool
        Whether processing of this person is restricted (Art. 18); blocks every basis.
    now : datetime
        The instant asked about.

    Notes
    -----
    Consent needs a grant that stands; unknown, pending, expired and conflict block. Another basis needs none,
    but any objection that was not lifted blocks it. For legitimate interests and a public task a denial or
    withdrawal is read as an objection too: the person said no, and only these bases weigh that against an
    interest.

    References
    ----------
    GDPR Art. 6(1), 7, 18, 21.
    """
    state = standing.state_at(now)
    decided_by = standing.decided_by.id if standing.decided_by is not None else None
    if restricted:
        return Verdict(False, state, "restricted", decided_by)
    if standing.conflict:
        return Verdict(False, state, "conflict", decided_by)
    if legal_basis in LEGAL_BASES and legal_basis != CONSENT:
        weighs_refusals = legal_basis in (LEGITIMATE_INTERESTS, PUBLIC_TASK)
        if standing.objected or state == OBJECTED:
            return Verdict(False, state, OBJECTED, decided_by)
        if weighs_refusals and state in REFUSALS:
            return Verdict(False, state, state, decided_by)
        return Verdict(True, state, "legal_basis", decided_by)
    return Verdict(state == GRANTED, state, state, decided_by)


class _Lineage:
    """Which decisions the profile held when another one was recorded (ancestors in the graph of
    `follows`)."""

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self._index = {decision.id: place for place, decision in enumerate(sorted(decisions, key=lambda d: d.id))}
        self._ancestors: dict[int, int] = {}
        # Ids grow with time of record, so that ancestors are complete before their descendants ask for them.
        for decision in sorted(decisions, key=lambda d: d.id):
            mask = 0
            for parent in decision.follows:
                if parent in self._index:
                    mask |= (1 << self._index[parent]) | self._ancestors.get(parent, 0)
            self._ancestors[decision.id] = mask

    def held(self, earlier: Decision, later: Decision) -> bool:
        """Whether the profile that `later` was recorded for held `earlier` then."""
        return bool(self._ancestors[later.id] >> self._index[earlier.id] & 1)

    def related(self, one: Decision, other: Decision) -> bool:
        """Whether both belong to one history, so that their full order decides."""
        return self.held(one, other) or self.held(other, one)


def _weigh(ordered: Sequence[Decision], lineage: _Lineage) -> Standing:
    """Walk the decisions in their order, keeping those that nothing has superseded."""
    standing: list[Decision] = []
    withdrawal: Decision | None = None  # the latest one that no grant of the subject has lifted
    barred: list[Decision] = []  # grants by others against a refusal
    for decision in ordered:
        grants = decision.state == GRANTED
        if grants and not decision.speaks_for_subject:
            bars = withdrawal is not None or any(
                earlier.state == OBJECTED or (earlier.state == DENIED and not lineage.related(earlier, decision))
                for earlier in standing
            )
            if bars:
                barred.append(decision)
                continue
        standing = [earlier for earlier in standing if not _supersedes(decision, earlier, lineage)]
        standing.append(decision)
        if decision.state == WITHDRAWN:
            withdrawal = decision
        elif grants and withdrawal is not None and not _tied(decision, withdrawal, lineage):
            withdrawal = None
    objections = [decision for decision in standing if decision.state == OBJECTED]
    winner = _winner(standing, objections, lineage)
    conflict = any(_tied(winner, other, lineage) for other in standing) or any(
        grant.order > winner.order for grant in barred
    )
    return Standing(decided_by=winner, conflict=conflict, objected=bool(objections))


def _winner(standing: Sequence[Decision], objections: Sequence[Decision], lineage: _Lineage) -> Decision:
    last = standing[-1]
    if (
        objections
        and last.state != GRANTED
        and all(last is objection or lineage.held(objection, last) for objection in objections)
    ):
        return last
    return max(
        standing,
        key=lambda d: (
            _RESTRICTIVENESS[d.state],
            d.expires_at is None,
            d.expires_at or d.recorded_at,
            d.order,
        ),
    )


def _tied(one: Decision, other: Decision, lineage: _Lineage) -> bool:
    """Whether two sides of a merge said different things at the same instant."""
    return one.state != other.state and one.effective_at == other.effective_at and not lineage.related(one, other)


def _supersedes(later: Decision, earlier: Decision, lineage: _Lineage) -> bool:
    """Whether `later`, which takes effect, ends the standing of `earlier`."""
    if _tied(later, earlier, lineage):
        return False
    if earlier.state == OBJECTED:
        return later.state in (GRANTED, OBJECTED) and lineage.held(earlier, later)
    if earlier.state == GRANTED and later.state == GRANTED and not lineage.related(earlier, later):
        return later.expires_at is None or (earlier.expires_at is not None and earlier.expires_at <= later.expires_at)
    return True


def _cell(own: Sequence[Decision], *, purpose: str, channel: str | None, ticks: int) -> Cell | None:
    standing = stand(own, purpose=purpose, channel=channel)
    winner = standing.decided_by
    if winner is None:
        return None
    last = max(
        (d for d in own if not d.elsewhere and (d.channel is None or d.channel == channel)),
        key=lambda decision: decision.order,
    )
    if last is winner and ticks == 1:
        return Cell(standing, winner.effective_at, winner.recorded_at)
    return Cell(standing, last.effective_at, last.recorded_at + ticks * _TICK)


def _place(row: Cell) -> tuple[datetime, datetime, int]:
    assert row.standing.decided_by is not None
    return (row.effective_at, row.recorded_at, row.standing.decided_by.id)
