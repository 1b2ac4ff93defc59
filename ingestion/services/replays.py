"""Replays: made, counted, run, paused, gone on with, cancelled. The row owns the progress, a job does the steps."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q, QuerySet, Sum
from django.utils import timezone

from cdp.core.connections import database_is_away
from cdp.core.models import Job
from cdp.core.services import audit
from cdp.core.services.jobs import enqueue
from ingestion.errors import ReplayState, UnknownReplay
from ingestion.models import Archived, Message, Quarantined, Replay
from ingestion.queries.sources import get_source
from ingestion.services.quarantine import count_rerun, rerun
from ingestion.services.replaying import replay_rows

log = logging.getLogger("cdp.ingestion")

JOB = "ingestion.replay"
# The lock of identities is held for a step: some tenths of a second.
STEP = 300
REQUESTS = 50
FAILED = "failed"
Status = Replay.Status
POISON = (DatabaseError, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, OverflowError)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which messages: of a source (its key; ``""``: all), with a fault (quarantine only), received in a period."""

    source: str = ""
    code: str = ""
    since: datetime | None = None
    until: datetime | None = None


def create_replay(*, kind: str, selection: Selection, actor: str, now: datetime) -> Replay:
    """Make a replay and let it count what would change; `run_replay` then does it.

    Parameters
    ----------
    kind : str
        ``quarantine`` or ``archive``.
    """
    source = get_source(key=selection.source) if selection.source else None
    newest = Message.objects.order_by("-id").values_list("id", flat=True).first() or 0
    with transaction.atomic():
        replay = Replay.objects.create(
            kind=Replay.Kind(kind),
            source=source,
            code=selection.code.replace("\0", ""),
            since=selection.since,
            until=selection.until,
            last_id=newest,
            actor=actor,
            created_at=now,
        )
        replay.total = _count(replay)
        replay.save(update_fields=["total"])
        detail = {"kind": kind, "source": selection.source, "messages": replay.total}
        audit.record(actor=actor, action="replay.created", object=f"replay:{replay.pk}", detail=detail, now=now)
        enqueue(kind=JOB, arguments={"replay": replay.pk}, now=now)
    return replay


def get_replay(*, replay_id: int) -> Replay:
    """Return a replay.

    Raises
    ------
    UnknownReplay
        None has this id.
    """
    replay = Replay.objects.select_related("source").filter(pk=replay_id).first()
    if replay is None:
        message = "No replay has this id."
        raise UnknownReplay(message)
    return replay


ACTS: dict[str, tuple[frozenset[str], str]] = {
    "run": (frozenset({Status.COUNTED}), Status.RUNNING),
    "pause": (frozenset({Status.RUNNING}), Status.PAUSED),
    "resume": (frozenset({Status.PAUSED}), Status.RUNNING),
    "cancel": (frozenset({Status.COUNTING, Status.COUNTED, Status.RUNNING, Status.PAUSED}), Status.CANCELLED),
}


def change_replay(*, replay_id: int, act: str, actor: str, now: datetime) -> Replay:
    """Run, pause, resume or cancel a replay; the same again changes nothing.

    Raises
    ------
    UnknownReplay
        There is none, or no such act.
    ReplayState
        It is not in a state in which this can be done.
    """
    get_replay(replay_id=replay_id)
    if act not in ACTS:
        message = f"A replay can be changed by {', '.join(ACTS)}."
        raise UnknownReplay(message)
    allowed, wanted = ACTS[act]
    with transaction.atomic():
        replay = Replay.objects.select_for_update().get(pk=replay_id)
        if replay.status == wanted:
            return replay
        if replay.status not in allowed:
            message = f"The replay is {replay.status}; to {act} it, it must be {' or '.join(sorted(allowed))}."
            raise ReplayState(message)
        replay.status = wanted
        if wanted == Status.CANCELLED:
            replay.finished_at = now
        replay.save(update_fields=["status", "finished_at"])
        audit.record(actor=actor, action=f"replay.{act}", object=f"replay:{replay.pk}", detail={}, now=now)
        if wanted == Status.RUNNING:
            enqueue(kind=JOB, arguments={"replay": replay.pk}, now=now)
    return replay


def step_replay(job: Job) -> bool:
    """Count or process one step; True once there is no more to do, or somebody paused or cancelled."""
    now = timezone.now()
    replay = Replay.objects.select_for_update().filter(pk=job.arguments["replay"]).first()
    if replay is None or replay.status not in {Status.COUNTING, Status.RUNNING}:
        return True
    dry = replay.status == Status.COUNTING
    if replay.kind == Replay.Kind.QUARANTINE:
        ids = list(_quarantined(replay).order_by("pk").values_list("pk", flat=True)[:STEP])
        found = _quarantine_step(ids, now=now, dry=dry)
        last, count = (ids[-1] if ids else None), len(ids)
    else:
        rows = _take_requests(replay)
        found = _archive_step(rows, now=now, dry=dry)
        last, count = (rows[-1].first_id if rows else None), sum(row.last_id - row.first_id + 1 for row in rows)
    sums = Counter(replay.expected if dry else replay.results)
    sums.update(found)
    if dry:
        replay.expected = dict(sums)
    else:
        replay.results = dict(sums)
    replay.done += count
    if last is not None:
        replay.after_id = last
    else:
        replay.status = Status.COUNTED if dry else Status.DONE
        replay.finished_at = None if dry else now
        replay.after_id = 0
        if dry:
            replay.done = 0
    replay.save()
    return last is None


def _count(replay: Replay) -> int:
    if replay.kind == Replay.Kind.QUARANTINE:
        return _quarantined(replay).count()
    found: int | None = _archived(replay).aggregate(total=Sum(F("last_id") - F("first_id") + 1))["total"]
    return found or 0


def _quarantined(replay: Replay) -> QuerySet[Quarantined]:
    rows = Quarantined.objects.filter(pk__gt=replay.after_id, pk__lte=replay.last_id)
    if replay.source_id is not None:
        rows = rows.filter(source_id=replay.source_id)
    if replay.code:
        rows = rows.filter(code=replay.code)
    if replay.since is not None:
        rows = rows.filter(row__received_at__gte=replay.since)
    return rows if replay.until is None else rows.filter(row__received_at__lt=replay.until)


def _archived(replay: Replay) -> QuerySet[Archived]:
    rows = Archived.objects.filter(first_id__gt=replay.after_id, first_id__lte=replay.last_id)
    if replay.source_id is not None:
        rows = rows.filter(source_id=replay.source_id)
    if replay.since is not None:
        # What was received later was archived later, too: whole days are passed over.
        rows = rows.filter(Q(archived_at__gte=replay.since) & Q(received_at__gte=replay.since))
    return rows if replay.until is None else rows.filter(received_at__lt=replay.until)


def _take_requests(replay: Replay) -> list[Archived]:
    """Return the next requests, about as many as a step may have messages, but one at least."""
    taken: list[Archived] = []
    count = 0
    for first_id, last_id, archived_at in (
        _archived(replay).order_by("first_id").values_list("first_id", "last_id", "archived_at")[:REQUESTS]
    ):
        count += last_id - first_id + 1
        if taken and count > STEP:
            break
        taken += Archived.objects.filter(first_id=first_id, archived_at=archived_at)
    return taken


def _quarantine_step(ids: Sequence[int], *, now: datetime, dry: bool) -> Counter[str]:
    def act(some: Sequence[int], cursor: Any) -> Counter[str]:
        return count_rerun(cursor, ids=some) if dry else rerun(cursor, ids=some, now=now)

    return _one_by_one_if_needed(ids, act)


def _archive_step(rows: Sequence[Archived], *, now: datetime, dry: bool) -> Counter[str]:
    return _one_by_one_if_needed(rows, lambda some, cursor: replay_rows(cursor, some, now=now, dry=dry))


def _one_by_one_if_needed(things: Sequence[Any], act: Any) -> Counter[str]:
    """Do all at once; if one of them cannot be handled, do each by itself and leave that one as it is."""
    if not things:
        return Counter()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            return Counter(act(things, cursor))
    except POISON as error:
        if database_is_away(error):
            raise
        log.warning("a replay's step failed: %s", type(error).__name__)
        if len(things) == 1:
            return Counter({FAILED: 1})
    found: Counter[str] = Counter()
    for one in things:
        found.update(_one_by_one_if_needed([one], act))
    return found
