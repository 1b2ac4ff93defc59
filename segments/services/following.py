"""Keeping membership current: after changes of profiles, and as time passes.

One run evaluates all segments that can be affected, each after those that it refers to, at one `now`. What changes in
one segment is looked at in those that refer to it within the same run, so membership is consistent at each commit.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce, Least

from cdp.core import locks
from profiles.models import Work
from segments.language.plan import Setting
from segments.models import ComputedTrait, NextCheck, Segment, TraitValue
from segments.queries.following import Due, Followed, LiveTrait, due_filter, read_due, read_followed, table_of
from segments.queries.segments import LiveSegment, read_setting
from segments.services.computing import compute_all, compute_some
from segments.services.evaluation import (
    COUNT_PREFIX,
    PACE,
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
# While everyone is looked at, nobody else's membership is brought up to date. So where much of it waits, each pass does
# about this much, and one that is killed loses no more.
WHOLE_SECONDS = 5.0
UNKNOWN_SECONDS = 1.0
TICK = timedelta(microseconds=1)
# Work about counts belongs to no profile (`merging.note_counts`).
NOBODY = 0

TAKE = """
DELETE FROM profiles_work WHERE id IN (
    SELECT id FROM profiles_work ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
) RETURNING profile_id, names, since, message_id
"""
TAKE_DUE_VALUES = """
SELECT profile_id, trait_id FROM segments_traitvalue WHERE next_at <= %s ORDER BY next_at, profile_id LIMIT %s
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
    """What a run has to look at, by token: some profiles, or everyone.

    `later` are those in which everyone has to be looked at, but not yet: with the time from which on. `counts` is what
    else changed the number of members, by segment id.
    """

    now: datetime
    setting: Setting
    some: dict[str, dict[int, Reason]] = field(default_factory=dict)
    everyone: dict[str, str] = field(default_factory=dict)
    later: dict[str, datetime] = field(default_factory=dict)
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
        cursor.execute(TAKE_DUE_VALUES, [now, DUE_CHECKS])
        values = cursor.fetchall()
        due = _some_of(read_due(now))
        if not rows and not checks and not values and not due:
            return 0
        followed = read_followed(due=[each.token for each in due if each.is_new])
        round = Round(now, read_setting(), counts=_counts(rows))
        round.some = _concerned(followed, _fold(rows))
        round.everyone = {each.token: "definition" if each.is_new else "time" for each in due}
        _add_checks(round, checks, {item.id: item.token for item in followed if isinstance(item, LiveSegment)})
        _add_values(round, values, {item.id: item.token for item in followed if isinstance(item, LiveTrait)})
        for item in followed:
            if item.is_ranked and item.token in round.some:
                asked = round.some.pop(item.token)
                _ask_everyone(round, item, kinds={reason.kind for reason in asked.values()})
        _run(followed, round)
    return len(rows) + len(checks) + len(values) + len(due)


def _some_of(due: list[Due]) -> list[Due]:
    """Return as many as a pass may do, at least one."""
    seconds = 0.0
    for count, each in enumerate(due):
        seconds += UNKNOWN_SECONDS if each.seconds is None else each.seconds
        if seconds > WHOLE_SECONDS:
            return due[: max(count, 1)]
    return due


def _add_checks(round: Round, checks: Iterable[tuple[int, int]], known: Mapping[int, str]) -> None:
    """Add the profiles whose check is due; a check of a segment that is no longer live is forgotten."""
    orphans = {segment_id for _, segment_id in checks if segment_id not in known}
    for profile_id, segment_id in checks:
        if segment_id in known:
            round.some.setdefault(known[segment_id], {}).setdefault(profile_id, Reason("time"))
    if orphans:
        NextCheck.objects.filter(segment_id__in=orphans).delete()


def _add_values(round: Round, values: Iterable[tuple[int, int]], known: Mapping[int, str]) -> None:
    """Add the profiles whose value of a computed trait is due; what is no longer in use has no moment any more."""
    orphans = {trait_id for _, trait_id in values if trait_id not in known}
    for profile_id, trait_id in values:
        if trait_id in known:
            round.some.setdefault(known[trait_id], {}).setdefault(profile_id, Reason("time"))
    if orphans:
        TraitValue.objects.filter(trait_id__in=orphans).update(next_at=None)


def _ask_everyone(round: Round, item: Followed, *, kinds: set[str]) -> None:
    """Have everyone looked at where some would not do: now, or at leisure if it takes long (`PACE`)."""
    table: Any = table_of(item)
    computed_at, seconds = table.objects.values_list("computed_at", "compute_seconds").get(pk=item.id)
    due = computed_at + PACE * timedelta(seconds=seconds) if computed_at else round.now
    if due <= round.now:
        round.everyone.setdefault(item.token, min(kinds, default="event"))
    else:
        round.later[item.token] = due


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


def _concerned(followed: list[Followed], folded: dict[int, Waiting]) -> dict[str, dict[int, Reason]]:
    """Return, for each segment or trait that some profile's tokens touch, these profiles with the reason."""
    by_token: dict[str, list[Followed]] = {}
    for item in followed:
        for token in item.tokens:
            by_token.setdefault(token, []).append(item)
    concerned: dict[str, dict[int, Reason]] = {}
    for profile_id, waiting in sorted(folded.items()):
        found = followed if waiting.everywhere else [one for name in waiting.names for one in by_token.get(name, ())]
        for item in found:
            concerned.setdefault(item.token, {})[profile_id] = _reason(waiting, item.tokens)
    return concerned


def _reason(waiting: Waiting, tokens: frozenset[str]) -> Reason:
    touching = [name for name in waiting.names if name in tokens or ":" not in name]
    kinds = {name.partition(":")[0] for name in touching}
    kind = next((REASONS[known] for known in REASONS if known in kinds), "event")
    return Reason(kind, waiting.message_id)


def count_due_checks(*, clock: Clock) -> int:
    """Return how many checks and computations are due."""
    now = clock()
    owed = due_filter(now) | Q(status=Segment.Status.LIVE, stale=True)
    wholes = Segment.objects.filter(owed).count() + ComputedTrait.objects.filter(owed).count()
    return NextCheck.objects.filter(at__lte=now).count() + TraitValue.objects.filter(next_at__lte=now).count() + wholes


def _run(followed: list[Followed], round: Round) -> None:
    """Evaluate in order; what changes is looked at in whatever depends on it."""
    for token in [token for token, reason in round.everyone.items() if reason == "definition"]:
        if token.startswith("trait:"):
            # What the name meant before is unknown here: a trait that was sent, or another default.
            for user in followed:
                if token in user.tokens:
                    round.everyone.setdefault(user.token, "definition")
    noted: dict[int, Changes] = {}
    for item in followed:
        changes = _evaluate(item, round)
        if changes == []:
            continue
        if isinstance(item, LiveSegment) and changes is not None and item.token not in round.everyone:
            noted[item.id] = changes
        for user in followed:
            if item.token in user.tokens and user is not item:
                _pass_on(round, user, changes, kind=item.token.partition(":")[0])
    for item in followed:
        if isinstance(item, LiveSegment) and item.token in round.everyone:
            # Everyone was counted anew.
            round.counts.pop(item.id, None)
        if item.token in round.later and item.token not in round.everyone:
            table: Any = table_of(item)
            due = round.later[item.token]
            table.objects.filter(pk=item.id).update(stale=True, next_run_at=Coalesce(Least("next_run_at", due), due))
    note_evaluated(noted, others=round.counts, now=round.now)


def _evaluate(item: Followed, round: Round) -> Changes | None:
    """Look at everyone, or at those who are asked for; return who changed, None for too many to say."""
    now, setting = round.now, round.setting
    if item.token in round.everyone:
        if isinstance(item, LiveTrait):
            return compute_all(item, now=now, setting=setting)
        return evaluate_all(item, reason=round.everyone[item.token], now=now, setting=setting)
    asked = round.some.get(item.token)
    if not asked:
        return []
    if isinstance(item, LiveTrait):
        return compute_some(item, asked, now=now, setting=setting)
    return evaluate_some(item, asked, now=now, setting=setting)


def _pass_on(round: Round, user: Followed, changes: Changes | None, *, kind: str) -> None:
    """Have something look at those who changed in what it depends on."""
    if changes is None:
        round.everyone.setdefault(user.token, kind)
    elif user.is_ranked:
        _ask_everyone(round, user, kinds={kind})
    else:
        asked = round.some.setdefault(user.token, {})
        for profile_id, _ in changes:
            asked.setdefault(profile_id, Reason(kind))


def compute_membership(*, segment_id: int, reason: str, clock: Clock) -> None:
    """Compute everyone's membership of a segment by its latest definition, and of those that refer to it.

    Notes are those of `compute_whole`.
    """
    compute_whole(
        token=f"segment:{Segment.objects.values_list('key', flat=True).get(pk=segment_id)}", reason=reason, clock=clock
    )


def compute_whole(*, token: str, reason: str, clock: Clock) -> None:
    """Look at everyone in a segment or computed trait, by its latest definition, and follow what changes.

    Notes
    -----
    First waits until every batch of messages that began before is over: it may not know yet which changes this depends
    on, and would leave no work behind. The lock `identity` is released again before `segments` is taken. The clock is
    read last: what was followed while this waited must not lie in the future.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.SEGMENTS)
        prepare_session(cursor)
        followed = read_followed(due=[token])
        round = Round(clock(), read_setting(), everyone={token: reason})
        _run(followed, round)
