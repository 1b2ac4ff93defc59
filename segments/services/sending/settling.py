"""Writing down what came of deliveries, all of a window at once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q

from cdp.core.services.audit import record
from cdp.core.services.wakeups import wake
from consent.services.recipients import TASK as TELL_RECIPIENTS
from segments.sending import retrying
from segments.sending.retrying import Outcome, pause
from segments.sending_models import Activated, Delivery, DeliveryRecord, Destination, Removal
from segments.services.sending.claiming import LEFT, Claimed, count_outcomes

SMALLEST, LARGEST = 8, 256
# With many people in a request more are claimed at once; judging and writing down more than this takes too long.
MOST_TIMES_LARGEST = 8
# What is sent within this leaves time for twice as many before the judgement is too old.
FAST_MS = 400
EXPIRED = "expired"
State, Log = Delivery.State, DeliveryRecord.Outcome
LOGGED = {
    retrying.SENT: Log.SENT,
    retrying.DEAD: Log.DEAD,
    retrying.GONE: Log.DEAD,
    retrying.ROW_FAILED: Log.FAILED,
    retrying.LINE_FAILED: Log.FAILED,
}
PUT_BACK = """
UPDATE segments_delivery d SET state = t.state, attempts = t.attempts, reason = t.reason, due_at = t.due_at
FROM unnest(%s::bigint[], %s::text[], %s::smallint[], %s::text[], %s::timestamptz[])
    AS t(id, state, attempts, reason, due_at)
WHERE d.id = t.id
"""
AGAIN = """
UPDATE segments_delivery SET state = 'waiting', attempts = 0, reason = '', due_at = %s, queued_at = %s
WHERE id = ANY(%s::bigint[])
"""


def write_down(*, destination: Destination, results: Sequence[tuple[Claimed, Outcome]], now: datetime) -> None:
    """Delete what was delivered, put back what was not, keep the log, and rest the line where it failed."""
    with transaction.atomic():
        # Whoever was erased while a request was under way is gone from here, and stays out of the log.
        ids = sorted(claimed.row.pk for claimed, _ in results)
        held = {row.pk: row for row in Delivery.objects.select_for_update().filter(pk__in=ids).order_by("pk")}
        changes = _line_changes(destination, [outcome for _, outcome in results], now)
        retry_at: datetime = changes.get("retry_at") or now
        sent = [claimed for claimed, outcome in results if outcome.state == retrying.SENT]
        _note_sent(destination, sent, held, now)
        _note_removed([one.row.pk for one in sent if one.row.profile_id is None], now)
        _forget_untold(destination, results)
        back = [(claimed, outcome) for claimed, outcome in results if outcome.state != retrying.SENT]
        rows = {claimed.row.pk: _put_back(claimed, outcome, retry_at, now) for claimed, outcome in back}
        if rows:
            columns = [[pk, *row] for pk, row in sorted(rows.items())]
            with connection.cursor() as cursor:
                cursor.execute(PUT_BACK, [list(column) for column in zip(*columns, strict=True)])
        _write_log(destination, results, held, rows, now)
        if changes:
            Destination.objects.filter(pk=destination.pk).update(**changes)
        if changes.get("enabled") is False:
            detail = {"reason": changes["disabled_reason"]}
            record(
                actor="system",
                action="destination.disabled",
                object=f"destination:{destination.key}",
                detail=detail,
                now=now,
            )


def _note_sent(destination: Destination, sent: Sequence[Claimed], held: dict[int, Delivery], now: datetime) -> None:
    people = [(one, one.row.profile_id) for one in sent if one.row.pk in held]
    told = [pk for one, pk in people if pk is not None and one.parcel.kind != LEFT]
    left = [pk for one, pk in people if pk is not None and one.parcel.kind == LEFT]
    if told:
        Activated.objects.filter(destination=destination, profile_id__in=told).update(confirmed_at=now)
    if left:
        Activated.objects.filter(destination=destination, profile_id__in=left).delete()
    # What changed while the request was under way is looked at again.
    same = [one.row.pk for one in sent if one.row.pk in held and held[one.row.pk].generation == one.row.generation]
    changed = [one.row.pk for one in sent if one.row.pk in held and one.row.pk not in set(same)]
    Delivery.objects.filter(pk__in=same).delete()
    if changed:
        with connection.cursor() as cursor:
            cursor.execute(AGAIN, [now, now, changed])


def _note_removed(delivery_ids: Sequence[int], now: datetime) -> None:
    """Write down that receivers have taken removals which erasures wait for."""
    if delivery_ids and Removal.objects.filter(delivery_id__in=delivery_ids).update(confirmed_at=now):
        wake(TELL_RECIPIENTS)


def _forget_untold(destination: Destination, results: Sequence[tuple[Claimed, Outcome]]) -> None:
    """Forget whom the receiver surely knows nothing of: nothing was sent, and nothing had been tried before."""
    people = [
        claimed.row.profile_id
        for claimed, outcome in results
        if outcome.state == retrying.NOT_TRIED and claimed.row.attempts == 0 and claimed.row.profile_id is not None
    ]
    if people:
        Activated.objects.filter(destination=destination, profile_id__in=people, confirmed_at=None).delete()


def _put_back(claimed: Claimed, outcome: Outcome, retry_at: datetime, now: datetime) -> tuple[str, int, str, datetime]:
    """Return state, attempts, reason and due time of a row that was not delivered."""
    before = claimed.row.attempts
    if outcome.state == retrying.DEAD:
        return State.DEAD, before + 1, outcome.reason, now
    if outcome.state == retrying.ROW_FAILED:
        attempts = before + 1
        if attempts >= retrying.MOST_ATTEMPTS:
            return State.DEAD, attempts, outcome.reason, now
        return State.WAITING, attempts, outcome.reason, now + timedelta(seconds=pause(attempts))
    if claimed.row.queued_at < now - timedelta(hours=settings.CDP_DELIVERY_HOURS):
        return State.DEAD, before, EXPIRED, now
    if outcome.state == retrying.LINE_FAILED:
        # The next to be tried is another one: this one may be what the receiver cannot bear.
        return State.WAITING, before, outcome.reason, retry_at + timedelta(seconds=1)
    return State.WAITING, before, claimed.row.reason, now


def _line_changes(destination: Destination, outcomes: Sequence[Outcome], now: datetime) -> dict[str, Any]:
    tried = [one for one in outcomes if one.state != retrying.NOT_TRIED]
    if not tried:
        return {"window": max(SMALLEST, destination.window // 2)}
    failed = [one for one in tried if one.state == retrying.LINE_FAILED]
    gone = next((one for one in tried if one.state == retrying.GONE), None)
    last = gone or (failed[0] if failed else tried[-1])
    changes: dict[str, Any] = {"last_at": now, "last_status": last.status, "last_reason": last.reason}
    if gone is not None:
        reason = "The endpoint answered 410: it is gone for good."
        return changes | {"enabled": False, "disabled_reason": reason, "failures": 0, "retry_at": None}
    if failed:
        failures = destination.failures + 1
        rest = max(pause(failures), *(one.pause_seconds for one in failed))
        return changes | {"failures": failures, "retry_at": now + timedelta(seconds=rest), "window": SMALLEST}
    if any(one.state in {retrying.SENT, retrying.DEAD} for one in tried):
        changes |= {"failures": 0, "retry_at": None}
    slow = len(tried) < len(outcomes)
    took_ms = sum(one.took_ms / one.people for one in tried)
    full = len(outcomes) >= destination.window and took_ms < FAST_MS * SMALLEST
    if slow:
        changes["window"] = max(SMALLEST, destination.window // 2)
    elif full and not destination.failures:
        largest = LARGEST * min(destination.people_per_request, MOST_TIMES_LARGEST)
        changes["window"] = min(largest, destination.window * 2)
    return changes


def _write_log(
    destination: Destination,
    results: Sequence[tuple[Claimed, Outcome]],
    held: dict[int, Delivery],
    rows: dict[int, tuple[str, int, str, datetime]],
    now: datetime,
) -> None:
    records = []
    counts: dict[tuple[str, str, str], int] = {}
    for claimed, outcome in results:
        if outcome.state == retrying.NOT_TRIED:
            continue
        row = claimed.row
        is_dead = row.pk in rows and rows[row.pk][0] == State.DEAD
        said = Log.DEAD if is_dead else LOGGED[outcome.state]
        is_known = row.pk in held
        records.append(
            DeliveryRecord(
                destination=destination,
                delivery_id=row.pk,
                profile_id=row.profile_id if is_known else None,
                profile_uuid=claimed.profile_uuid if is_known and row.profile_id is not None else None,
                kind=claimed.parcel.kind,
                outcome=said,
                reason=outcome.reason or claimed.parcel.reason,
                status=outcome.status,
                took_ms=outcome.took_ms,
                attempt=row.attempts + 1,
                at=now,
            )
        )
        key = (claimed.parcel.kind, said.value, outcome.reason or claimed.parcel.reason)
        counts[key] = counts.get(key, 0) + 1
    DeliveryRecord.objects.bulk_create(records)
    count_outcomes(destination=destination, counts=counts, day=now.date())


def delete_old_records(now: datetime) -> None:
    """Delete log lines past `CDP_DELIVERY_LOG_DAYS`, and removals of the erased that could not be delivered.

    The erasure that waits for one of these is told that it was given up.
    """
    DeliveryRecord.objects.filter(at__lt=now - timedelta(days=settings.CDP_DELIVERY_LOG_DAYS)).delete()
    too_old = now - timedelta(hours=settings.CDP_DELIVERY_HOURS)
    is_lost = Q(state=State.DEAD) | Q(destination__enabled=False)
    Delivery.objects.filter(is_lost, profile_id=None, queued_at__lt=too_old).delete()


def replay_dead(*, destination: Destination, actor: str, now: datetime) -> int:
    """Let everything that was given up be tried again; return how many."""
    with transaction.atomic():
        dead = Delivery.objects.filter(destination=destination, state=State.DEAD)
        count = dead.update(
            state=State.WAITING, attempts=0, reason="", due_at=now, queued_at=now, generation=F("generation") + 1
        )
        detail = {"deliveries": count}
        record(
            actor=actor, action="destination.replayed", object=f"destination:{destination.key}", detail=detail, now=now
        )
    return count
