"""Erasing a person: suppress, delete through every registered store, then search for what is left.

The request's row owns all progress. Each step holds a lease and a fencing number, so that a worker which was believed
dead cannot write over its successor, and each step may be done twice.

References
----------
GDPR Art. 17.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from cdp.core import registries
from cdp.core.errors import Conflict
from cdp.core.locks import IDENTITY, take
from cdp.core.services.audit import record
from cdp.core.services.scrubbing import note_touched
from consent.models import PrivacyRequest
from consent.services.closure import Closure, find_closure, seal_closure, unseal_closure
from consent.services.erasure_ledger import note_erased
from consent.services.suppressions import suppress
from consent.traces import broker, database, files
from consent.traces.needles import Needles, make_needles
from profiles.models import Profile
from profiles.queries.people import name_identifier
from profiles.services.moving import finish_moves

Status = PrivacyRequest.Status
CHUNK = 5000
# Renewed before each part of the work; a worker that died is followed after this.
LEASE = timedelta(seconds=60)
MENTIONS = "mentions"
# A store that never gets empty (a shared identifier that goes on sending) must not keep the worker for ever.
MOST_ROUNDS = 1000
# Requests that were accepted before the suppression lie there until the processor has refused what they hold.
EMPTIED_SOON = frozenset({"ingestion_inbox", "ingestion_forwardedcopy", "profiles_work", "core_outboxmail", "broker"})
PATIENCE = timedelta(minutes=10)


class LeaseLost(Conflict):
    """Another worker has taken the erasure over."""

    code = "privacy.lease_lost"

    def __init__(self) -> None:
        super().__init__("Another worker carries this erasure out.")


def erase_person(*, request_id: str, fence: int, clock: Callable[[], datetime]) -> PrivacyRequest:
    """Carry an approved erasure out, or go on with one that was interrupted.

    Parameters
    ----------
    fence : int
        The number that this worker took with its lease.
    clock : callable
        The present; an erasure takes long enough for it to pass.

    Returns
    -------
    PrivacyRequest
        ``completed`` only if the search found nothing. ``running`` while all that is left lies where it goes by
        itself within moments. Else ``partial``, with what remains and where.
    """
    closure = _suppress_closure(request_id, fence, now=clock())
    _finish_moves(closure, request_id, fence, clock=clock)
    erased = _erase_stores(closure, request_id, fence, clock=clock)
    again = _suppress_closure(request_id, fence, now=clock())
    if again != closure:
        closure = again
        _finish_moves(closure, request_id, fence, clock=clock)
        for name, count in _erase_stores(closure, request_id, fence, clock=clock).items():
            erased[name] = erased.get(name, 0) + count
    needles = make_needles(
        names=[value for _, value in closure.identifiers] + list(closure.spellings), uuids=closure.uuids
    )
    mentions = database.redact_mentions(needles)
    for redact in registries.mention_redactors:
        mentions += redact(needles, lambda: _renew(request_id, fence, now=clock()))
    if mentions:
        erased[MENTIONS] = mentions
    remaining = find_traces(needles, keep_alive=lambda: _renew(request_id, fence, now=clock()))
    return _finish(request_id, fence, closure=closure, erased=erased, remaining=remaining, now=clock())


def preview_erasure(*, request: PrivacyRequest) -> dict[str, int]:
    """Return how many rows each store would lose."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            take(cursor, IDENTITY)
        closure = find_closure(identities=[name_identifier(**one) for one in request.identities])
    return _count_stores(closure)


def find_traces(needles: Needles, *, keep_alive: Callable[[], None]) -> dict[str, int]:
    """Return where something is left and in how many rows, keys or files; empty means nothing.

    Parameters
    ----------
    keep_alive : callable
        Called between the parts of the search.

    Notes
    -----
    The planner's statistics of touched tables are made to forget first: they hold values of rows long deleted.
    """
    found = database.count_in_tables(needles, keep_alive=keep_alive)
    for column in database.forget_statistics(needles):
        found[f"pg_stats of {column.relation}"] = 1
    database.forget_statements(needles)
    keys = broker.count_in_broker(url=settings.CDP_BROKER_URL, needles=needles)
    if keys:
        found["broker"] = keys
    named = files.find_in_files(root=settings.CDP_DATA_DIR, needles=needles)
    if named:
        found["files"] = len(named)
    return found


def _suppress_closure(request_id: str, fence: int, *, now: datetime) -> Closure:
    """Suppress every identifier and take the profiles out of use, before anything is deleted."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            take(cursor, IDENTITY)
        request = _hold(request_id, fence)
        identities = [name_identifier(type=one["type"], value=one["value"]) for one in request.identities]
        known = unseal_closure(bytes(request.closure)) if request.closure is not None else Closure()
        named = {one.digest: one for one in (*identities, *known.named)}
        closure = known.with_all_of(find_closure(identities=list(named.values())))
        suppress(named=closure.named, reason="erased", request_id=request_id, now=now)
        note_erased(named=closure.named, request_id=request_id, now=now)
        Profile.objects.filter(id__in=closure.profile_ids).update(restricted=True)
        if not request.before:
            request.before = _count_stores(closure)
        request.closure = seal_closure(closure)
        request.profile_ids = list(closure.profile_ids)
        request.save(update_fields=["closure", "profile_ids", "before"])
        return closure


def _finish_moves(closure: Closure, request_id: str, fence: int, *, clock: Callable[[], datetime]) -> None:
    """Let events that a large merge or undo still has to move arrive: each person's are erased, nobody else's."""
    finish_moves(profile_ids=closure.profile_ids, keep_alive=lambda: _renew(request_id, fence, now=clock()))


def _count_stores(closure: Closure) -> dict[str, int]:
    subject = closure.subject
    return {store.name: store.count(subject=subject) for store in registries.personal_data}


def _erase_stores(closure: Closure, request_id: str, fence: int, *, clock: Callable[[], datetime]) -> dict[str, int]:
    """Empty the stores, those of the upper apps first: they find their rows by way of those below."""
    erased: dict[str, int] = {}
    subject = closure.subject
    for store in reversed(registries.personal_data):
        for _ in range(MOST_ROUNDS):
            _renew(request_id, fence, now=clock())
            with transaction.atomic():
                with connection.cursor() as cursor:
                    take(cursor, IDENTITY)
                _hold(request_id, fence)
                count = store.erase(subject=subject, limit=CHUNK)
                note_touched(now=clock())
            erased[store.name] = erased.get(store.name, 0) + count
            if not count:
                break
    return erased


def _finish(
    request_id: str,
    fence: int,
    *,
    closure: Closure,
    erased: Mapping[str, int],
    remaining: Mapping[str, int],
    now: datetime,
) -> PrivacyRequest:
    with transaction.atomic():
        request = _hold(request_id, fence)
        left = _count_stores(closure)
        started = request.approved_at or now
        if remaining and EMPTIED_SOON.issuperset(remaining) and now - started < PATIENCE:
            request.before = {**request.before, **_mentioned(request, erased)}
            request.lease_until = None
            request.save(update_fields=["before", "lease_until"])
            return request
        request.before = {**request.before, **_mentioned(request, erased)}
        steps: list[dict[str, Any]] = [
            {
                "store": name,
                "before": before,
                "erased": max(max(before, erased.get(name, 0)) - left.get(name, 0), 0),
                "withheld": 0,
                "remaining": left.get(name, 0),
            }
            for name, before in _in_order(request.before)
        ]
        steps += [
            {"store": place, "before": count, "erased": 0, "withheld": 0, "remaining": count}
            for place, count in sorted(remaining.items())
        ]
        request.steps = steps
        done = not remaining and not any(left.values())
        request.status = Status.COMPLETED if done else Status.PARTIAL
        request.lease_until = None
        request.completed_at = now if done else None
        if done:
            request.identities = []
            request.profile_ids = []
            request.closure = None
        request.save()
        record(
            actor="system",
            action=f"privacy_request.{request.status}",
            object=f"privacy_request:{request.id}",
            detail={"profiles": list(closure.uuids), "stores": len(steps)},
            now=now,
        )
    return request


def _renew(request_id: str, fence: int, *, now: datetime) -> None:
    held = PrivacyRequest.objects.filter(id=request_id, fence=fence, status=Status.RUNNING)
    if not held.update(lease_until=now + LEASE):
        raise LeaseLost


def _mentioned(request: PrivacyRequest, erased: Mapping[str, int]) -> dict[str, int]:
    """Return how many mentions in other people's rows were taken out so far, this run included."""
    count = request.before.get(MENTIONS, 0) + erased.get(MENTIONS, 0)
    return {MENTIONS: count} if count else {}


def _in_order(before: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the stores as they are emptied; the database keeps the members of an object in an order of its own."""
    names = [store.name for store in reversed(registries.personal_data)]
    return sorted(before.items(), key=lambda one: names.index(one[0]) if one[0] in names else len(names))


def _hold(request_id: str, fence: int) -> PrivacyRequest:
    """Hold the request's row, if this worker is still the one."""
    request = PrivacyRequest.objects.select_for_update().get(id=request_id)
    if request.fence != fence or request.status != Status.RUNNING:
        raise LeaseLost
    return request
