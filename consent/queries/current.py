"""What stands now, and what stood at an earlier time."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consent import decision as rules
from consent.models import Current, Decision, Purpose
from consent.queries.ledger import histories
from profiles.models import Profile


@dataclass(frozen=True, slots=True)
class Held:
    """The current state of one cell: the decision behind it, its state at the time of reading, and the flags."""

    decision: Decision
    state: str
    conflict: bool


def current_consents(*, profile_ids: Sequence[int], now: datetime) -> dict[int, list[Held]]:
    """Return the current cells of profiles, by purpose and channel (two statements).

    Parameters
    ----------
    profile_ids : sequence of int
        Internal ids.
    now : datetime
        Grants whose end has come read ``expired``.
    """
    rows = (
        Current.objects.filter(profile_id__in=list(profile_ids))
        .select_related("purpose")
        .order_by("profile_id", "purpose__key", "channel")
    )
    cells = list(rows)
    wanted = {row.decision_id for row in cells}
    decisions = Decision.objects.select_related("purpose", "notice").in_bulk(wanted)
    found: dict[int, list[Held]] = defaultdict(list)
    for row in cells:
        decision = decisions[row.decision_id]
        decision.channel = row.channel
        found[row.profile_id].append(Held(decision, _read(row, now), row.conflict))
    return dict(found)


def standings(
    *, profile_ids: Sequence[int], purpose: Purpose, channel: str | None
) -> dict[int, tuple[rules.Standing, bool]]:
    """Return what stands for one purpose and channel, and whether the person is restricted (two statements).

    Profiles that do not exist are left out.

    Notes
    -----
    A channel's row already weighs the decisions for all channels, so it is taken where there is one.
    """
    restricted = dict(Profile.objects.filter(id__in=list(profile_ids)).values_list("id", "restricted"))
    rows = Current.objects.filter(
        profile_id__in=list(restricted), purpose=purpose, channel__in=["", channel or ""]
    ).order_by("channel")
    cells = {row.profile_id: row for row in rows}
    return {
        profile_id: (_standing(cells.get(profile_id), purpose.key), is_restricted)
        for profile_id, is_restricted in restricted.items()
    }


def standing_at(
    *,
    profile_id: int,
    purpose: Purpose,
    channel: str | None,
    as_of: datetime | None,
    known_at: datetime | None,
) -> rules.Standing:
    """Return what stood at another time, from the ledger.

    Parameters
    ----------
    as_of : datetime, optional
        By effective time; None means the present.
    known_at : datetime, optional
        By time of record: what this installation knew then; None means all that it knows.
    """
    known = histories(profile_ids=[profile_id], purpose_ids=[purpose.id], known_at=known_at)
    history: Sequence[Any] = known.get((profile_id, purpose.id), ())
    return rules.stand(history, purpose=purpose.key, channel=channel, as_of=as_of, known_at=known_at)


def _standing(row: Current | None, purpose: str) -> rules.Standing:
    """Return a current row as the value that the gate judges; what the ledger alone knows is left blank."""
    if row is None:
        return rules.Standing(None)
    winner = rules.Decision(
        id=row.decision_id,
        subject="",
        purpose=purpose,
        channel=row.channel or None,
        state=row.state,
        occurred_at=row.effective_at,
        recorded_at=row.recorded_at,
        effective_at=row.effective_at,
        expires_at=row.expires_at,
    )
    return rules.Standing(winner, conflict=row.conflict, objected=row.objected)


def _read(row: Current, now: datetime) -> str:
    if row.state == rules.GRANTED and row.expires_at is not None and row.expires_at <= now:
        return rules.EXPIRED
    return row.state
