"""Sending copies on: one process at a time for each source, in the order in which the requests came.

While the other system keeps up, requests go one after the other over one connection. When more wait than `IN_ORDER`,
eight go at a time, window after window, so that a request overtakes at most those of its window. What fails is never
lost on the way: a row is deleted after the answer, so after a crash some are sent twice, and the receiver knows their
message ids.

Who is to blame decides what waits. A server that is away, slow, overloaded (429, 503) or refuses the key stops the
whole line, with growing pauses; a request that makes it fail (500) steps aside, and one that it refuses for good (400,
413, 422) is given up.
"""

import random
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Event
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from cdp.core import locks
from cdp.core.copying import int_array
from cdp.core.outgoing import Answer, Line, OutgoingFailed, OutgoingRefused
from ingestion.models import ForwardedCopy, Forwarding
from ingestion.services.forward_bodies import Sending, only_items, path_of, write_body
from ingestion.services.forward_gate import (
    REFUSED,
    SEND,
    SUPPRESSED,
    UNREADABLE,
    Judged,
    find_suppressed_items,
    judge_copies,
    read_copies,
)
from ingestion.services.forwarding import expire_copies, headers_for, measure_copies, read_key

# A task ends after this long, so that the worker can end when it is told to; a sweep or wake-up follows.
RUN_SECONDS = 5.0
TIMEOUT_SECONDS = 10.0
# Somebody may be suppressed, or withdraw, while a window is being sent: what is not sent by then is judged again.
JUDGED_SECONDS = 0.8
WINDOW = 64
WINDOW_BYTES = 2 * 1024 * 1024
IN_ORDER = 16
LINES = 8
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
# A server that asks for a longer pause is asked again after this.
LONGEST_ASKED_SECONDS = 3600.0
# A request that failed so often by itself keeps its own pauses when the line goes on.
OWN_FAULT_ATTEMPTS = 5
MEASURED_SECONDS = 5.0
# Copies of a paused line that are searched at a time for suppressed people.
EXAMINED = 500
# The processor may not have stored what came within this time of what still waits in the inbox.
PROCESSED_MARGIN = timedelta(seconds=1)

GIVEN_UP = frozenset({400, 406, 410, 411, 413, 414, 415, 422})
MISSING = frozenset({404, 405})
ITS_OWN_FAULT = frozenset({500, 501, 505, 507})
# An endpoint that not every other system has.
OPTIONAL_ENDPOINTS = frozenset({"merge"})

TAKE = f"""
SELECT id FROM (
    SELECT id, size, sum(size) OVER (ORDER BY id) AS total FROM (
        SELECT id, size FROM ingestion_forwardedcopy
        WHERE source_id = %s AND dead_at IS NULL AND (retry_at IS NULL OR retry_at <= %s) AND received_at < %s
        ORDER BY id LIMIT {WINDOW}
    ) oldest
) summed WHERE total - size < {WINDOW_BYTES} ORDER BY id
"""
FIRST_OF_INBOX = "SELECT received_at FROM ingestion_inbox ORDER BY id LIMIT 1"

_measured_at = 0.0


@dataclass(frozen=True, slots=True)
class _Result:
    """What came of one copy: sent (or nothing left to send), given up, to be tried again, or not tried at all."""

    judged: Judged
    state: str
    reason: str = ""
    status: int | None = None
    pause: float = 0.0


SENT, DEAD, ROW_FAILED, LINE_FAILED, NOT_TRIED = "sent", "dead", "row failed", "line failed", "not tried"


@dataclass(slots=True)
class _Window:
    """One window under way: what every thread of it knows."""

    forwarding: Forwarding
    headers: dict[str, str]
    write_key: str
    judged_at: float
    stopped: Event = field(default_factory=Event)


def forward_copies(*, seconds: float = RUN_SECONDS) -> int:
    """Send what waits, for every source that forwards and is not paused; return how many requests were dealt with."""
    ends = time.monotonic() + seconds
    now = timezone.now()
    due = Forwarding.objects.filter(Q(retry_at=None) | Q(retry_at__lte=now), enabled=True)
    ids = list(due.order_by("pk").values_list("pk", flat=True))
    if ids:
        _measure_now_and_then()
    # Several workers do not all begin with the same.
    random.shuffle(ids)
    done = sum(_forward_source(source_id, ends) for source_id in ids if time.monotonic() < ends)
    for forwarding in Forwarding.objects.filter(retry_at__gt=now, enabled=True).select_related("source"):
        _examine(forwarding)
    return done


def _examine(forwarding: Forwarding) -> None:
    """Take what came of suppressed people out of a line that is paused: of them nothing is kept, and it may wait long.

    Who is suppressed later, by an erasure, is taken out by that.
    """
    with (
        connection.cursor() as cursor,
        locks.hold(cursor, locks.FORWARDING + forwarding.pk, wait=False) as is_mine,
        transaction.atomic(),
    ):
        line = ForwardedCopy.objects.filter(source_id=forwarding.pk, dead_at=None, pk__gt=forwarding.examined_id)
        copies = list(line.order_by("pk")[:EXAMINED]) if is_mine else []
        if not copies:
            return
        count, last_id = 0, copies[-1].pk
        for one in find_suppressed_items(read_copies(forwarding=forwarding, copies=copies)):
            keep = [verdict == SEND for verdict in one.verdicts]
            count += keep.count(False)
            left = only_items(bytes(one.copy.body), one.copy.endpoint, keep=keep)
            if left is None:
                one.copy.delete()
            else:
                ForwardedCopy.objects.filter(pk=one.copy.pk).update(body=left, size=len(left), items=sum(keep))
        Forwarding.objects.filter(pk=forwarding.pk).update(
            examined_id=last_id, suppressed_messages=F("suppressed_messages") + count
        )


def _forward_source(source_id: int, ends: float) -> int:
    done = 0
    with connection.cursor() as cursor, locks.hold(cursor, locks.FORWARDING + source_id, wait=False) as is_mine:
        if not is_mine:
            return 0
        lines = [Line()]
        try:
            while time.monotonic() < ends:
                count = _forward_window(cursor, source_id, lines)
                done += count
                if not count:
                    break
        finally:
            for line in lines:
                line.close()
    return done


def _forward_window(cursor: Any, source_id: int, lines: list[Line]) -> int:
    """Send the oldest copies; return how many, 0 if there is nothing to do now."""
    now = timezone.now()
    forwarding = Forwarding.objects.select_related("source").filter(pk=source_id, enabled=True).first()
    if forwarding is None or (forwarding.retry_at is not None and forwarding.retry_at > now):
        return 0
    cursor.execute(TAKE, [source_id, now, _processed_before(cursor, forwarding, now)])
    ids = [row[0] for row in cursor.fetchall()]
    copies = list(ForwardedCopy.objects.filter(pk__in=ids).order_by("pk"))
    if not copies:
        return 0
    if copies[0].queued_at < now - timedelta(hours=settings.CDP_FORWARD_HOURS):
        expire_copies(now)
        return len(copies)
    if forwarding.failures:
        # One is enough to learn whether it is there again.
        copies = copies[:1]
    write_key = read_key(forwarding)
    readings = read_copies(forwarding=forwarding, copies=copies)
    window = _Window(forwarding, headers_for(write_key), write_key, time.monotonic())
    judged = judge_copies(forwarding=forwarding, readings=readings, now=timezone.now())
    results = _send_all(window, judged, lines)
    _write_down(forwarding, results, now=timezone.now())
    return sum(result.state != NOT_TRIED for result in results)


def _processed_before(cursor: Any, forwarding: Forwarding, now: datetime) -> datetime:
    """Return up to when requests were processed, where people have to be known before anything of them is sent."""
    if not forwarding.purpose and not forwarding.source.required_purpose:
        return now
    cursor.execute(FIRST_OF_INBOX)
    row = cursor.fetchone()
    return now if row is None else min(now, row[0] - PROCESSED_MARGIN)


def _send_all(window: _Window, judged: Sequence[Judged], lines: list[Line]) -> list[_Result]:
    if len(judged) <= IN_ORDER:
        return [_send_one(window, one, lines[0]) for one in judged]
    while len(lines) < LINES:
        lines.append(Line())
    # Each thread has a connection of its own, and every eighth request.
    with ThreadPoolExecutor(max_workers=LINES, thread_name_prefix="forward") as threads:
        parts = threads.map(
            lambda place: [_send_one(window, one, lines[place]) for one in judged[place::LINES]], range(LINES)
        )
        return [result for part in parts for result in part]


def _send_one(window: _Window, one: Judged, line: Line) -> _Result:
    """Send one copy; touches no database, because it runs in threads."""
    if window.stopped.is_set() or time.monotonic() - window.judged_at > JUDGED_SECONDS:
        return _Result(one, NOT_TRIED)
    row = one.copy
    sending = Sending(window.write_key, row.received_at, datetime.now(UTC), row.ip)
    body = write_body(
        bytes(row.body), row.endpoint, keep=[verdict == SEND for verdict in one.verdicts], sending=sending
    )
    if body is None:
        return _Result(one, SENT)
    try:
        answer = line.send(
            f"{window.forwarding.url}/{path_of(row.endpoint)}",
            headers=window.headers | _of_sender(row),
            body=body,
            timeout_seconds=TIMEOUT_SECONDS,
        )
    except OutgoingFailed as error:
        result = _Result(one, LINE_FAILED, error.reason)
    except OutgoingRefused:
        result = _Result(one, LINE_FAILED, "not allowed")
    else:
        result = _judge_answer(one, answer)
    if result.state in {ROW_FAILED, LINE_FAILED}:
        window.stopped.set()
    return result


def _of_sender(row: ForwardedCopy) -> dict[str, str]:
    """Return what the other system would see of the sender, had it been asked itself."""
    found = {}
    if row.ip and row.ip.isascii() and row.ip.isprintable():
        found["X-Forwarded-For"] = row.ip
    if row.user_agent:
        found["User-Agent"] = "".join(char if " " <= char <= "~" else "?" for char in row.user_agent)
    return found


def _judge_answer(one: Judged, answer: Answer) -> _Result:
    status = answer.status
    if answer.is_success:
        return _Result(one, SENT, status=status)
    reason = f"http {status}"
    if status in GIVEN_UP or (status in MISSING and one.copy.endpoint in OPTIONAL_ENDPOINTS):
        return _Result(one, DEAD, reason, status)
    if status in ITS_OWN_FAULT:
        return _Result(one, ROW_FAILED, reason, status)
    return _Result(one, LINE_FAILED, reason, status, _asked_pause(answer.headers.get("retry-after", "")))


def _asked_pause(value: str) -> float:
    """Return the seconds that Retry-After asks for; 0 where it asks for none, or in no way that is known."""
    if value.isascii() and value.isdigit():
        seconds = float(value[:9])
    else:
        try:
            at = parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return 0.0
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_ASKED_SECONDS)


def _pause(failures: int) -> float:
    """Return a pause that doubles with each failure; uneven, so that not all who wait come back together."""
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 20))
    return random.uniform(longest / 2, longest)  # noqa: S311 - no secret


def _write_down(forwarding: Forwarding, results: Sequence[_Result], *, now: datetime) -> None:
    """Delete what was sent, keep what was not, and count, all at once."""
    tried = [result for result in results if result.state != NOT_TRIED]
    if not tried:
        return
    counts: Counter[str] = Counter()
    for result in tried:
        if result.state == SENT:
            counts.update(result.judged.verdicts)
    asked = [result for result in tried if result.status is not None or result.reason]
    failed = [result for result in tried if result.state in {ROW_FAILED, LINE_FAILED}]
    answered = [result for result in tried if result.state in {SENT, DEAD} and result.status is not None]
    changes: dict[str, Any] = {
        "sent_requests": F("sent_requests") + sum(r.state == SENT and r.status is not None for r in tried),
        "sent_messages": F("sent_messages") + counts[SEND],
        "suppressed_messages": F("suppressed_messages") + counts[SUPPRESSED],
        "refused_messages": F("refused_messages") + counts[REFUSED],
        "unreadable_messages": F("unreadable_messages") + counts[UNREADABLE],
    }
    if asked:
        last = failed[0] if failed else asked[-1]
        changes |= {"last_at": now, "last_status": last.status, "last_reason": last.reason}
    if failed:
        failures = forwarding.failures + 1
        pause = max(_pause(failures), *(result.pause for result in failed))
        changes |= {"failures": failures, "retry_at": now + timedelta(seconds=pause)}
    elif answered:
        changes |= {"failures": 0, "retry_at": None}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM ingestion_forwardedcopy WHERE id = ANY(%s::bigint[])",
            [int_array(result.judged.copy.pk for result in tried if result.state == SENT)],
        )
        for reason in {result.reason for result in tried if result.state == DEAD}:
            ids = [r.judged.copy.pk for r in tried if r.state == DEAD and r.reason == reason]
            ForwardedCopy.objects.filter(pk__in=ids).update(dead_at=now, reason=reason)
        # At most one for each line: the window stops with the first.
        for result in failed:
            if result.state == ROW_FAILED:
                attempts = result.judged.copy.attempts + 1
                # Longer than the line waits, so that the next to be tried is another one.
                ForwardedCopy.objects.filter(pk=result.judged.copy.pk).update(
                    attempts=attempts, retry_at=now + timedelta(seconds=2 * _pause(attempts) + FIRST_PAUSE_SECONDS)
                )
        if forwarding.failures and not failed and answered:
            ForwardedCopy.objects.filter(
                source_id=forwarding.pk, dead_at__isnull=True, retry_at__isnull=False, attempts__lt=OWN_FAULT_ATTEMPTS
            ).update(retry_at=None)
        Forwarding.objects.filter(pk=forwarding.pk).update(**changes)


def _measure_now_and_then() -> None:
    global _measured_at  # noqa: PLW0603 - one clock per process
    if time.monotonic() - _measured_at >= MEASURED_SECONDS:
        _measured_at = time.monotonic()
        measure_copies()
