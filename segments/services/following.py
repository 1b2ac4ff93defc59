"""Keeping membership current: after changes of profiles, and as time passes.

One run evaluates all segments that can be affected, each after those that it refers to, at one `now`. What changes in
one segment is looked at in those that refer to it within the same run, so membership is consistent at each commit.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q

from cdp.core import locks
from profiles.models import Work
from segments.models import NextCheck, Segment, SegmentVersion
from segments.queries.segments import LiveSegment, in_order, live_segment, read_live_segments
from segments.services.evaluation import (
    COUNT_PREFIX,
    Changes,
    Clock,
    Reason,
    evaluate_all,
    evaluate_some,
    note_evaluated,
    prepare_session,
)

WORK_ROWS = 5_000
DUE_CHECKS = 5_000
RUN_SECONDS = 10.0
TICK = timedelta(microseconds=1)
# Work about counts belongs to no profile (`merging.note_counts`).
NOBODY = 0

TAKE = """
DELETE FROM profiles_work WHERE id IN (
    SELECT id FROM profiles_work ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
) RETURNING profile_id, names, since, message_id
"""
TAKE_DUE = "SELECT profile_id, segment_id FROM segments_nextcheck WHERE at <= %s ORDER BY at, profile_id LIMIT %s"

# What a token says about why; a profile that is new, merged or split is looked at in every segment.
REASONS = {
    "merge": "merge",
    "split": "split",
    "created": "event",
    "event": "event",
    "trait": "trait",
    "consent": "consent",
    "identifier": "identifier",
    "list": "list",
    "segment": "segment",
}


@dataclass(slots=True)
class Waiting:
    """What one profile has waiting: tokens and the last message."""

    names: set[str] = field(default_factory=set)
    message_id: str = ""

    @property
    def everywhere(self) -> bool:
        """Whether every segment is concerned."""
        return any(":" not in name for name in self.names)


@dataclass(slots=True)
class Round:
    """What a run has to look at: some profiles of a segment, or everyone; and what else changed its count."""

    some: dict[int, dict[int, Reason]] = field(default_factory=dict)
    everyone: dict[int, str] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)


def follow_changes(*, clock: Clock) -> int:
    """Bring all segments up to date: with what changed on profiles, and with what time alone has moved.

    Several workers may call this at once: one of them does the work, the others find it busy and return.

    Parameters
    ----------
    clock : callable
        Gives the present; read after the work is taken, so that everything taken lies before it.

    Returns
    -------
    int
        How many rows of work, checks and computations were done.
    """
    deadline = time.monotonic() + RUN_SECONDS
    done = 0
    while passed := _pass(clock):
        done += passed
        if time.monotonic() > deadline:
            break
    return done


def count_changes() -> int:
    """Return how many rows of work wait."""
    return Work.objects.count()


def _pass(clock: Clock) -> int:
    """Take a bounded amount of work and evaluate it at one `now`; return how much that was."""
    with transaction.atomic(), connection.cursor() as cursor:
        if not locks.try_take(cursor, locks.SEGMENTS):
            return 0
        prepare_session(cursor)
        cursor.execute(TAKE, [WORK_ROWS])
        rows = cursor.fetchall()
        # Clocks of several machines differ by a little: what has been received must not lie in the future.
        now = max([clock(), *(row[2] + TICK for row in rows if row[0] != NOBODY)])
        cursor.execute(TAKE_DUE, [now, DUE_CHECKS])
        checks = cursor.fetchall()
        due = list(Segment.objects.filter(_due(now)).values_list("id", "live_version", "version"))
        if not rows and not checks and not due:
            return 0
        live = with_latest(read_live_segments(), [id for id, computed, latest in due if computed != latest])
        round = Round(
            some=_concerned(live, _fold(rows)),
            everyone={id: "time" if computed == latest else "definition" for id, computed, latest in due},
            counts=_counts(rows),
        )
        _add_checks(round, checks, known={segment.id for segment in live})
        _run(live, round, now=now)
    return len(rows) + len(checks) + len(due)


def _add_checks(round: Round, checks: Iterable[tuple[int, int]], *, known: set[int]) -> None:
    """Add the profiles whose check is due; a check of a segment that is no longer live is forgotten."""
    orphans = set()
    for profile_id, segment_id in checks:
        if segment_id in known:
            round.some.setdefault(segment_id, {}).setdefault(profile_id, Reason("time"))
        else:
            orphans.add(segment_id)
    if orphans:
        NextCheck.objects.filter(segment_id__in=orphans).delete()


def _fold(rows: Iterable[tuple[Any, ...]]) -> dict[int, Waiting]:
    folded: dict[int, Waiting] = {}
    for profile_id, names, _, message_id in rows:
        waiting = folded.setdefault(profile_id, Waiting())
        waiting.names.update(names)
        waiting.message_id = message_id or waiting.message_id
    return folded


def _counts(rows: Iterable[tuple[Any, ...]]) -> dict[int, int]:
    """Return what merges and erasures did to the number of members, by segment id."""
    counts: dict[int, int] = {}
    for _, names, _, _ in rows:
        for name in names:
            if name.startswith(f"{COUNT_PREFIX}:"):
                _, segment_id, delta = name.split(":")
                counts[int(segment_id)] = counts.get(int(segment_id), 0) + int(delta)
    return counts


def _concerned(live: list[LiveSegment], folded: dict[int, Waiting]) -> dict[int, dict[int, Reason]]:
    """Return, for each segment that some profile's tokens touch, these profiles with the reason."""
    by_token: dict[str, list[LiveSegment]] = {}
    for segment in live:
        for token in segment.tokens:
            by_token.setdefault(token, []).append(segment)
    concerned: dict[int, dict[int, Reason]] = {}
    for profile_id, waiting in sorted(folded.items()):
        found = live if waiting.everywhere else [s for name in waiting.names for s in by_token.get(name, ())]
        for segment in found:
            concerned.setdefault(segment.id, {})[profile_id] = _reason(waiting, segment.tokens)
    return concerned


def _reason(waiting: Waiting, tokens: frozenset[str]) -> Reason:
    touching = [name for name in waiting.names if name in tokens or ":" not in name]
    kinds = {name.partition(":")[0] for name in touching}
    kind = next((REASONS[known] for known in REASONS if known in kinds), "event")
    return Reason(kind, waiting.message_id)


def count_due_checks(*, clock: Clock) -> int:
    """Return how many checks and computations are due."""
    now = clock()
    return NextCheck.objects.filter(at__lte=now).count() + Segment.objects.filter(_due(now)).count()


def _due(now: datetime) -> Q:
    stale = Q(live_version__isnull=True) | ~Q(live_version=F("version"))
    return Q(status=Segment.Status.LIVE) & (Q(next_run_at__lte=now) | stale)


def with_latest(live: list[LiveSegment], ids: list[int]) -> list[LiveSegment]:
    """Replace segments by their latest definition, adding those that were not computed yet."""
    if not ids:
        return live
    rows = SegmentVersion.objects.filter(
        segment_id__in=ids, segment__status=Segment.Status.LIVE, version=F("segment__version")
    )
    latest = [live_segment(*row) for row in rows.values_list("segment_id", "segment__key", "version", "definition")]
    return in_order([segment for segment in live if segment.id not in ids] + latest)


def _run(live: list[LiveSegment], round: Round, *, now: datetime) -> None:
    """Evaluate in order; what changes is looked at in the segments that refer to it."""
    noted: dict[int, Changes] = {}
    for segment in live:
        if segment.id in round.everyone:
            changes = evaluate_all(segment, reason=round.everyone[segment.id], now=now)
            # Everyone was counted anew.
            round.counts.pop(segment.id, None)
        elif segment.id in round.some:
            changes = noted[segment.id] = evaluate_some(segment, round.some[segment.id], now=now)
        else:
            continue
        if changes == []:
            continue
        token = f"segment:{segment.key}"
        for user in live:
            if token not in user.tokens:
                continue
            if changes is None:
                round.everyone.setdefault(user.id, "segment")
            else:
                asked = round.some.setdefault(user.id, {})
                for profile_id, _ in changes:
                    asked.setdefault(profile_id, Reason("segment"))
    note_evaluated(noted, others=round.counts, now=now)


def compute_membership(*, segment_id: int, reason: str, clock: Clock) -> None:
    """Compute everyone's membership of a segment by its latest definition, and of those that refer to it.

    Notes
    -----
    First waits until every batch of messages that began before is over: it may not know yet which changes this segment
    depends on, and would leave no work behind. The lock `identity` is released again before `segments` is taken. The
    clock is read last: what was followed while this waited must not lie in the future.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.SEGMENTS)
        prepare_session(cursor)
        live = with_latest(read_live_segments(), [segment_id])
        _run(live, Round(everyone={segment_id: reason}), now=clock())
