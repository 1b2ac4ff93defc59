"""Erasing a person: suppress, delete through every registered store, then search for what is left.

The request's row owns all progress. Each step holds a lease and a fencing number, so that a worker which was believed
dead cannot write over its successor, and each step may be done twice.

References
----------
GDPR Art. 17.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from cdp.core import registries
from cdp.core.errors import Conflict
from cdp.core.locks import IDENTITY, take
from cdp.core.services.audit import record
from cdp.core.services.scrubbing import note_touched
from consent import life
from consent.life import Act, Role
from consent.models import PrivacyRequest
from consent.services import proving
from consent.services.closure import Closure, find_closure, seal_closure, unseal_closure
from consent.services.erasure_ledger import note_erased
from consent.services.leases import LEASE
from consent.services.recipient_states import judge, present_recipients
from consent.services.recipients import note_recipients
from consent.services.removals import note_removals
from consent.services.suppressions import suppress
from consent.services.withholding import count_withheld, withhold_rows
from consent.traces import broker, database, files
from consent.traces.needles import Needles, make_needles
from profiles.models import Profile
from profiles.queries.people import name_identifier
from profiles.services.moving import finish_moves

Status = PrivacyRequest.Status
# What is left and where, and what of it is accounts of staff.
Found = tuple[Mapping[str, int], Mapping[str, int]]
CHUNK = 5000
MENTIONS = "mentions"
# Who works here may be a customer, too: the account is another relation, and it goes with the work.
STAFF = frozenset({"core_user", "core_invitation"})
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
        ``completed`` only if the search found nothing and every recipient knows. ``running`` while all that is left
        lies where it goes by itself within moments, and while recipients are being told. Else ``partial``, with what
        remains and where.
    """

    def keep_alive() -> None:
        _renew(request_id, fence, now=clock())

    closure, shared = _suppress_closure(request_id, fence, now=clock())
    _finish_moves(closure, request_id, fence, clock=clock)
    proving.show_stage(request_id=request_id, stage="control")
    proving.take_control(request_id=request_id, needles=_needles(closure, shared), keep_alive=keep_alive)
    erased = _erase_stores(closure, request_id, fence, clock=clock)
    again, shared = _suppress_closure(request_id, fence, now=clock())
    if again != closure:
        closure = again
        _finish_moves(closure, request_id, fence, clock=clock)
        for name, count in _erase_stores(closure, request_id, fence, clock=clock).items():
            erased[name] = erased.get(name, 0) + count
    needles = _needles(closure, shared)
    proving.show_stage(request_id=request_id, stage="mentions", erased_at=clock())
    mentions = database.redact_mentions(needles)
    for redact in registries.mention_redactors:
        mentions += redact(needles, keep_alive)
    proving.show_stage(request_id=request_id, stage="search")
    looked: dict[str, int] = {}
    remaining, redacted = find_and_redact(needles, keep_alive=keep_alive, looked=looked)
    if mentions + redacted:
        erased[MENTIONS] = mentions + redacted
    staff = {table: remaining.pop(table) for table in STAFF.intersection(remaining)}
    proving.note_search(
        request_id=request_id, needles=needles, looked=looked, found=remaining, staff=sum(staff.values()), now=clock()
    )
    return _finish(request_id, fence, closure=closure, erased=erased, found=(remaining, staff), now=clock())


def _needles(closure: Closure, shared: Set[tuple[str, str]]) -> Needles:
    """Return what is searched for; a name that others share is theirs, too, and stays where they have it."""
    names = [value for one in closure.identifiers if one not in shared for value in one[1:]]
    return make_needles(names=[*names, *(closure.spellings if not shared else ())], uuids=closure.uuids)


def preview_erasure(*, request: PrivacyRequest) -> dict[str, int]:
    """Return how many rows each store would lose."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            take(cursor, IDENTITY)
        closure = find_closure(identities=[name_identifier(**one) for one in request.identities])
    return _count_stores(closure)


def find_and_redact(
    needles: Needles, *, keep_alive: Callable[[], None], looked: dict[str, int]
) -> tuple[dict[str, int], int]:
    """Search, take the person's names out of what no store answers for, and search there again.

    Returns
    -------
    dict
        As of `find_traces`.
    int
        How many values were changed.
    """
    remaining = find_traces(needles, keep_alive=keep_alive, looked=looked)
    tables = set(remaining) & database.list_searched() - STAFF - EMPTIED_SOON
    changed = database.redact_tables(tables, needles)
    if "files" in remaining:
        root = settings.CDP_DATA_DIR
        named = files.find_in_files(root=root, needles=needles, looked={})
        changed += files.redact_logs(root=root, names=named, needles=needles)
    if changed:
        remaining = find_traces(needles, keep_alive=keep_alive, looked=looked)
    return remaining, changed


def find_traces(
    needles: Needles, *, keep_alive: Callable[[], None], looked: dict[str, int] | None = None
) -> dict[str, int]:
    """Return where something is left and in how many rows, keys or files; empty means nothing.

    Parameters
    ----------
    keep_alive : callable
        Called between the parts of the search.
    looked : dict, optional
        Gets how many places of each kind were looked at.

    Notes
    -----
    The planner's statistics of touched tables are made to forget first: they hold values of rows long deleted.
    """
    places = {} if looked is None else looked
    places.clear()
    found = database.count_in_tables(needles, keep_alive=keep_alive, looked=places)
    for column in database.forget_statistics(needles):
        found[f"pg_stats of {column.relation}"] = 1
    database.forget_statements(needles)
    places["planner_statistics"] = places["columns"]
    keys = broker.count_in_broker(url=settings.CDP_BROKER_URL, needles=needles, looked=places)
    if keys:
        found["broker"] = keys
    named = files.find_in_files(root=settings.CDP_DATA_DIR, needles=needles, looked=places)
    if named:
        found["files"] = len(named)
    return found


def _suppress_closure(request_id: str, fence: int, *, now: datetime) -> tuple[Closure, Set[tuple[str, str]]]:
    """Suppress every identifier and take the profiles out of use, before anything is deleted.

    Returns
    -------
    Closure
        Everything that names the person.
    set
        Those identifiers (type and value) that an officer found to be others', too: these are not suppressed.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            take(cursor, IDENTITY)
        request = _hold(request_id, fence)
        identities = [name_identifier(type=one["type"], value=one["value"]) for one in request.identities]
        known = unseal_closure(bytes(request.closure)) if request.closure is not None else Closure()
        named = {one.digest: one for one in (*identities, *known.named)}
        closure = known.with_all_of(find_closure(identities=list(named.values())))
        others = {one.digest for one in closure.named if one.digest.hex() in set(request.shared)}
        named_only = [one for one in closure.named if one.digest not in others]
        suppress(named=named_only, reason="erased", request_id=request_id, now=now)
        note_erased(named=named_only, request_id=request_id, now=now)
        Profile.objects.filter(id__in=closure.profile_ids).update(restricted=True)
        if not request.before:
            request.before = _count_stores(closure)
            note_recipients(closure=closure, request=request, now=now)
        proving.begin_proof(
            request_id=request_id,
            before=request.before,
            closure=closure,
            suppressed=len(named_only),
            shared=len(others),
            now=now,
        )
        request.closure = seal_closure(closure)
        request.profile_ids = list(closure.profile_ids)
        request.save(update_fields=["closure", "profile_ids", "before"])
        return closure, {(one.type, one.value) for one in closure.named if one.digest in others}


def _finish_moves(closure: Closure, request_id: str, fence: int, *, clock: Callable[[], datetime]) -> None:
    """Let events that a large merge or undo still has to move arrive: each person's are erased, nobody else's."""
    finish_moves(profile_ids=closure.profile_ids, keep_alive=lambda: _renew(request_id, fence, now=clock()))


def _count_stores(closure: Closure) -> dict[str, int]:
    subject = closure.subject
    return {store.name: store.count(subject=subject) for store in registries.personal_data}


def _erase_stores(closure: Closure, request_id: str, fence: int, *, clock: Callable[[], datetime]) -> dict[str, int]:
    """Empty the stores, those of the upper apps first: they find their rows by way of those below."""
    erased: dict[str, int] = {}
    subject = replace(closure.subject, request_id=request_id)
    _withhold(closure, request_id, fence, clock=clock)
    for store in reversed(registries.personal_data):
        for _ in range(MOST_ROUNDS):
            _renew(request_id, fence, now=clock())
            proving.show_store(request_id=request_id, store=store.name, erased=erased.get(store.name, 0))
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


def _withhold(closure: Closure, request_id: str, fence: int, *, clock: Callable[[], datetime]) -> None:
    """Seal what a law makes the house keep, before it is deleted with the rest."""
    for _ in range(MOST_ROUNDS):
        _renew(request_id, fence, now=clock())
        with transaction.atomic():
            with connection.cursor() as cursor:
                take(cursor, IDENTITY)
            _hold(request_id, fence)
            if not withhold_rows(closure=closure, request_id=request_id, now=clock()):
                return


def _finish(
    request_id: str,
    fence: int,
    *,
    closure: Closure,
    erased: Mapping[str, int],
    found: Found,
    now: datetime,
) -> PrivacyRequest:
    remaining, staff = found
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
        kept: Counter[str] = Counter()
        for one in count_withheld(request_id=request_id):
            kept[one["store"]] += one["rows"]
        steps: list[dict[str, Any]] = [
            {
                "store": name,
                "before": before,
                "erased": max(max(before, erased.get(name, 0)) - left.get(name, 0) - kept[name], 0),
                "withheld": kept[name],
                "remaining": left.get(name, 0),
            }
            for name, before in _in_order(request.before)
        ]
        steps += [
            {"store": f"accounts of staff ({table})", "before": count, "erased": 0, "withheld": count, "remaining": 0}
            for table, count in sorted(staff.items())
        ]
        steps += [
            {"store": place, "before": count, "erased": 0, "withheld": 0, "remaining": count}
            for place, count in sorted(remaining.items())
        ]
        request.steps = steps
        proven = proving.has_control(request_id=request_id)
        if not proven:
            steps.append({"store": "search control", "before": 0, "erased": 0, "withheld": 0, "remaining": 1})
        done = not remaining and not any(left.values()) and proven
        note_removals(request_id=request_id, now=now)
        request.recipients = present_recipients(request_id=request_id)
        act = judge(request_id=request_id) if done else Act.FALL_SHORT
        if act is not None:
            request.status = life.follow(status=request.status, act=act, role=Role.SYSTEM) or request.status
        request.lease_until = None
        request.clean_at = now if done else None
        request.completed_at = now if request.status == Status.COMPLETED else None
        if done:
            request.identities = []
            request.profile_ids = []
            request.closure = None
        request.save()
        record(
            actor="system",
            action="privacy_request.clean" if act is None else f"privacy_request.{request.status}",
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
