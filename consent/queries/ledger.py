"""Histories read from the ledger, as the values that `consent.decision` judges."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from django.db.models import QuerySet

from consent import decision as rules
from consent.models import Decision

Cell = tuple[int, int]
"""A profile's internal id and a purpose's id."""

Histories = dict[Cell, list[rules.Decision]]


def read_decision(row: Decision, *, known_at: datetime | None = None) -> rules.Decision:
    """Return a ledger row as the value that the rules judge (`row.purpose` loaded).

    Parameters
    ----------
    known_at : datetime, optional
        Evidence attached later than this does not count.
    """
    return rules.Decision(
        id=row.id,
        subject=str(row.recorded_for),
        purpose=row.purpose.key,
        channel=row.channel or None,
        state=row.state,
        occurred_at=row.occurred_at,
        recorded_at=row.recorded_at,
        effective_at=row.effective_at,
        expires_at=row.expires_at,
        actor=row.actor,
        follows=tuple(row.follows),
        conflict=row.conflict,
        cleared=row.cleared_at is not None and (known_at is None or row.cleared_at <= known_at),
    )


def histories(
    *, profile_ids: Iterable[int], purpose_ids: Iterable[int] | None = None, known_at: datetime | None = None
) -> Histories:
    """Return the history of each profile and purpose that has any decision.

    Parameters
    ----------
    profile_ids : iterable of int
        Internal ids.
    purpose_ids : iterable of int, optional
        None means all purposes.

    Notes
    -----
    One statement, and one more for each time that a split has taken a link of some history elsewhere.
    """
    rows = Decision.objects.filter(profile_id__in=list(profile_ids)).select_related("purpose")
    if purpose_ids is not None:
        rows = rows.filter(purpose_id__in=list(purpose_ids))
    found: Histories = defaultdict(list)
    for row in rows.order_by("id"):
        found[row.profile_id, row.purpose_id].append(read_decision(row, known_at=known_at))
    _add_missing_links(found)
    return dict(found)


def _add_missing_links(found: Histories) -> None:
    """Add the decisions that some history follows but another profile holds, marked as such."""
    seen = {cell: {decision.id for decision in history} for cell, history in found.items()}
    edge = {
        cell: {link for decision in history for link in decision.follows} - seen[cell]
        for cell, history in found.items()
    }
    while wanted := {link for links in edge.values() for link in links}:
        rows = Decision.objects.filter(id__in=wanted).select_related("purpose")
        there = {row.id: replace(read_decision(row), elsewhere=True) for row in rows}
        for cell, links in edge.items():
            found[cell].extend(there[link] for link in links if link in there)
            seen[cell] |= links
            edge[cell] = {earlier for link in links if link in there for earlier in there[link].follows} - seen[cell]


def list_decisions(
    *, profile_ids: Sequence[int] | None = None, purpose: str | None = None, channel: str | None = None
) -> QuerySet[Decision]:
    """Return ledger rows, narrowed; the caller orders them (by id is by time of record).

    Parameters
    ----------
    profile_ids : sequence of int, optional
        None means everybody.
    channel : str, optional
        Only this channel's; ``""`` means those for all channels.
    """
    rows = Decision.objects.select_related("purpose", "notice")
    if profile_ids is not None:
        rows = rows.filter(profile_id__in=list(profile_ids))
    if purpose is not None:
        rows = rows.filter(purpose__key=purpose)
    if channel is not None:
        rows = rows.filter(channel=channel)
    return rows
