"""Writing the ledger and what follows from it: the one place where decisions are stored."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from consent import decision as rules
from consent.models import Current, Decision
from consent.queries.ledger import Cell, Histories, histories
from consent.services.webhooks import announce_decisions
from profiles.models import ChangeKind, Work
from profiles.services.merging import write_changes


@dataclass(frozen=True, slots=True)
class Entry:
    """A decision to be recorded.

    `identifier_id` is the identifier that the decision came with: a split sends the decision where it goes.
    """

    profile_id: int
    identifier_id: int | None
    purpose_id: int
    draft: rules.Draft
    source: str = ""
    notice_id: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    message_id: str = ""


Choose = Callable[[Entry, Sequence[rules.Decision]], bool]


def append_decisions(
    entries: Sequence[Entry], *, now: datetime, wanted: Choose | None = None
) -> list[tuple[Entry, rules.Decision]]:
    """Record decisions in their order, and bring current consent, work and history of the profiles up to date.

    The caller holds the rows of all profiles and owns the transaction.

    Parameters
    ----------
    entries : sequence of Entry
        Of any profiles and purposes.
    now : datetime
        The instant of the profile's history and of `since` in its work.
    wanted : callable, optional
        Asked before each entry with the history as it stands then; False leaves the entry out.

    Returns
    -------
    list of (Entry, Decision)
        What was recorded. The number of statements does not depend on the number of entries.
    """
    if not entries:
        return []
    known = histories(
        profile_ids={entry.profile_id for entry in entries},
        purpose_ids={entry.purpose_id for entry in entries},
    )
    ids = _next_ids(len(entries))
    recorded: list[tuple[Entry, rules.Decision]] = []
    for entry, decision_id in zip(entries, ids, strict=True):
        history = known.setdefault((entry.profile_id, entry.purpose_id), [])
        if wanted is not None and not wanted(entry, history):
            continue
        decision = rules.enter(history, entry.draft, decision_id=decision_id)
        history.append(decision)
        recorded.append((entry, decision))
    Decision.objects.bulk_create([_row(entry, decision) for entry, decision in recorded])
    touched = {(entry.profile_id, entry.purpose_id) for entry, _ in recorded}
    write_current({cell: known[cell] for cell in touched}, purpose_ids=_purpose_ids(recorded))
    _tell_followers(recorded, now=now)
    announce_decisions([(decision.purpose, decision.id) for _, decision in recorded], now=now)
    return recorded


def write_current(
    known: Histories | Mapping[Cell, Sequence[rules.Decision]], *, purpose_ids: Mapping[str, int]
) -> None:
    """Bring the rows of current consent to what the histories come to (two statements).

    Parameters
    ----------
    known : mapping
        Histories by (profile id, purpose id); an empty one clears the cell's rows.
    purpose_ids : mapping of str to int
        Ids of the purposes by key.
    """
    rows = []
    for (profile_id, _), history in known.items():
        for (purpose, channel), cell in rules.cells(history).items():
            winner = cell.standing.decided_by
            if winner is None:
                continue
            rows.append(
                Current(
                    profile_id=profile_id,
                    purpose_id=purpose_ids[purpose],
                    channel=channel or "",
                    state=winner.state,
                    effective_at=cell.effective_at,
                    recorded_at=cell.recorded_at,
                    expires_at=winner.expires_at,
                    decision_id=winner.id,
                    conflict=cell.standing.conflict,
                    objected=cell.standing.objected,
                )
            )
    _delete_other_rows(list(known), rows)
    Current.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["profile_id", "purpose", "channel"],
        update_fields=[
            "state",
            "effective_at",
            "recorded_at",
            "expires_at",
            "decision",
            "conflict",
            "objected",
        ],
    )


DELETE_OTHERS = """
DELETE FROM consent_current c
USING unnest(%s::bigint[], %s::int[]) AS cell(profile_id, purpose_id)
WHERE c.profile_id = cell.profile_id AND c.purpose_id = cell.purpose_id
  AND NOT EXISTS (SELECT 1 FROM unnest(%s::bigint[], %s::int[], %s::text[]) AS kept(profile_id, purpose_id, channel)
                  WHERE kept.profile_id = c.profile_id AND kept.purpose_id = c.purpose_id AND kept.channel = c.channel)
"""


def _delete_other_rows(cells: Sequence[Cell], rows: Sequence[Current]) -> None:
    """Delete the rows of these cells that no decision stands behind any more."""
    with connection.cursor() as cursor:
        cursor.execute(
            DELETE_OTHERS,
            [
                [profile_id for profile_id, _ in cells],
                [purpose_id for _, purpose_id in cells],
                [row.profile_id for row in rows],
                [row.purpose_id for row in rows],
                [row.channel for row in rows],
            ],
        )


def add_work(*, names: Mapping[int, Iterable[str]], now: datetime, message_ids: Mapping[int, str]) -> None:
    """Tell the followers of profiles what changed (one statement)."""
    Work.objects.bulk_create(
        [
            Work(
                profile_id=profile_id, names=sorted(set(tokens)), since=now, message_id=message_ids.get(profile_id, "")
            )
            for profile_id, tokens in names.items()
        ]
    )


def _tell_followers(recorded: Sequence[tuple[Entry, rules.Decision]], *, now: datetime) -> None:
    names: dict[int, list[str]] = {}
    messages: dict[int, str] = {}
    changes = []
    for entry, decision in recorded:
        names.setdefault(entry.profile_id, []).append(f"consent:{decision.purpose}")
        messages[entry.profile_id] = entry.message_id
        detail = {
            "purpose": decision.purpose,
            "channel": decision.channel,
            "state": decision.state,
            "consent": decision.id,
        }
        changes.append((entry.profile_id, ChangeKind.CONSENT, detail))
    add_work(names=names, now=now, message_ids=messages)
    with connection.cursor() as cursor:
        write_changes(cursor, changes, now)


def _purpose_ids(recorded: Sequence[tuple[Entry, rules.Decision]]) -> dict[str, int]:
    return {decision.purpose: entry.purpose_id for entry, decision in recorded}


def _next_ids(count: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('consent_decision', 'id')) FROM generate_series(1, %s)", [count]
        )
        return sorted(row[0] for row in cursor.fetchall())


def _row(entry: Entry, decision: rules.Decision) -> Decision:
    return Decision(
        id=decision.id,
        profile_id=entry.profile_id,
        identifier_id=entry.identifier_id,
        recorded_for=decision.subject,
        purpose_id=entry.purpose_id,
        channel=decision.channel or "",
        state=decision.state,
        occurred_at=decision.occurred_at,
        recorded_at=decision.recorded_at,
        effective_at=decision.effective_at,
        expires_at=decision.expires_at,
        source=entry.source,
        actor=decision.actor,
        notice_id=entry.notice_id,
        evidence=dict(entry.evidence),
        follows=list(decision.follows),
        conflict=decision.conflict,
    )
