"""Consent follows the person when profiles are merged or split (`cdp.core.registries.MergeParticipant`)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from cdp.core.registries import MergePair, SplitPair
from consent import decision as rules
from consent.models import Purpose
from consent.queries.ledger import Histories, histories
from consent.services.ledger import add_work, write_current
from consent.services.restrictions import divide_restrictions

MOVE_ALL = """
UPDATE consent_decision d SET profile_id = m.kept
FROM unnest(%s::bigint[], %s::bigint[]) AS m(dropped, kept) WHERE d.profile_id = m.dropped
RETURNING m.kept, d.purpose_id
"""
FORGET_CURRENT = "DELETE FROM consent_current WHERE profile_id = ANY(%s::bigint[])"
MOVE_SOME = """
UPDATE consent_decision d SET profile_id = m.new
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS m(old, new, identifier_id)
WHERE d.profile_id = m.old AND d.identifier_id = m.identifier_id
RETURNING m.old, m.new, d.purpose_id
"""


class ConsentMerging:
    """Moves decisions with the profiles and computes current consent anew; a constant number of statements."""

    name = "consent"

    def on_merge(self, *, pairs: Sequence[MergePair], now: datetime) -> None:
        """Give the kept profiles the decisions of the dropped ones."""
        with connection.cursor() as cursor:
            cursor.execute(MOVE_ALL, [[pair.dropped_id for pair in pairs], [pair.kept_id for pair in pairs]])
            moved = set(cursor.fetchall())
            if not moved:
                return
            cursor.execute(FORGET_CURRENT, [[pair.dropped_id for pair in pairs]])
        _recompute(moved, now=now)

    def on_split(self, *, pairs: Sequence[SplitPair], now: datetime) -> None:
        """Give the decisions, and a restriction, back to the side that holds the identifier they came with."""
        divide_restrictions(pairs=pairs)
        rows = [(pair.from_id, pair.to_id, identifier) for pair in pairs for identifier in pair.identifier_ids]
        with connection.cursor() as cursor:
            cursor.execute(MOVE_SOME, [[row[place] for row in rows] for place in range(3)])
            moved = set(cursor.fetchall())
        if moved:
            cells = {(profile_id, purpose_id) for old, new, purpose_id in moved for profile_id in (old, new)}
            _recompute(cells, now=now)

    def preview(self, *, pair: tuple[int, int], now: datetime) -> list[dict[str, Any]]:
        """Return what a merge would make of the consents of two profiles, cell by cell."""
        return preview_merge(pair=pair, now=now)


def preview_merge(*, pair: tuple[int, int], now: datetime) -> list[dict[str, Any]]:
    """Return, per purpose and channel, the state on both sides and the one that a merge leads to.

    Parameters
    ----------
    pair : tuple of int
        Internal ids.
    now : datetime
        Expiry is read at this instant.

    Returns
    -------
    list of dict
        ``purpose``, ``channel``, ``left``, ``right``, ``merged`` (states) and ``conflict``.
    """
    known = histories(profile_ids=pair)
    left, right = ([d for cell, history in known.items() if cell[0] == side for d in history] for side in pair)
    both = rules.merge(left, right)
    named = sorted({(d.purpose, d.channel or "") for d in both if not d.elsewhere})
    rows = []
    for purpose, channel in named:
        one, other, merged = (
            rules.stand(history, purpose=purpose, channel=channel or None) for history in (left, right, both)
        )
        rows.append(
            {
                "purpose": purpose,
                "channel": channel or None,
                "left": one.state_at(now),
                "right": other.state_at(now),
                "merged": merged.state_at(now),
                "conflict": merged.conflict,
            }
        )
    return rows


def _recompute(cells: Iterable[tuple[int, int]], *, now: datetime) -> None:
    wanted = set(cells)
    purposes: Mapping[str, int] = dict(Purpose.objects.values_list("key", "id"))
    found = histories(
        profile_ids={profile_id for profile_id, _ in wanted}, purpose_ids={purpose_id for _, purpose_id in wanted}
    )
    known: Histories = {cell: found.get(cell, []) for cell in wanted}
    write_current(known, purpose_ids=purposes)
    keys = {purpose_id: key for key, purpose_id in purposes.items()}
    names: dict[int, list[str]] = {}
    for profile_id, purpose_id in sorted(wanted):
        names.setdefault(profile_id, []).append(f"consent:{keys[purpose_id]}")
    add_work(names=names, now=now, message_ids={})
