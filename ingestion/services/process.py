"""The processor: inbox rows become outcomes, in batches, one transaction each.

A batch is taken with `FOR UPDATE SKIP LOCKED`, prepared without any lock, and written under the lock `IDENTITY`; a
worker that dies rolls back, and the rows are free at once. Batches are written in the order of their requests: one that
overtook an older batch steps back until that is committed.
"""

import gc
import time
from datetime import datetime
from typing import Any

from django.db import DatabaseError, connection, transaction

from cdp.core import locks
from cdp.core.connections import database_is_away
from cdp.core.copying import int_array, stamp
from cdp.core.registries import ConsentObject, consent_recorders
from cdp.core.services.wakeups import wake
from ingestion.models import Source
from ingestion.queries.identifier_rules import reading_rules, rules_by_kind
from ingestion.services.archive import empty_inbox
from ingestion.services.discovering import flush_discovered
from ingestion.services.marks import find_lost, mark
from ingestion.services.outcomes import write_outcomes
from ingestion.services.poison import set_aside
from ingestion.services.prepare import Item, Request, Rules, prepare
from ingestion.services.screen import Screened, screen
from profiles.identity.graph import Graph
from profiles.queries.rules import read_types, resolver_rules, rule_set
from profiles.services.record import Restate, record_messages

# By name: this app does not know who follows changes of profiles.
FOLLOWERS = "segments.follow_changes"
BATCH_ITEMS = 3000
# A request holds one item or thousands: the first fetch tells which, the next ones are measured by it.
FIRST_FETCH = 8
FETCH_ROWS = 1000
# Into how many parts a batch is divided whose worker was killed.
LOST_PARTS = 10
# How long a batch lets older ones go first. One that takes longer is in trouble, and what is behind it goes on.
PATIENCE_SECONDS = 2.0
# What a message that this code cannot handle may raise. A database that is down is not the message's fault.
POISON = (DatabaseError, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, OverflowError)

COLUMNS = "id, source_id, received_at, endpoint, items, body, ip, user_agent, gpc"
ITEMS = 4
TAKE = f"""
DECLARE waiting NO SCROLL CURSOR FOR
SELECT {COLUMNS} FROM ingestion_inbox ORDER BY id FOR UPDATE SKIP LOCKED
"""
TAKE_ONE = f"SELECT {COLUMNS} FROM ingestion_inbox WHERE id = %s FOR UPDATE SKIP LOCKED"
TAKE_SOME = f"SELECT {COLUMNS} FROM ingestion_inbox WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE SKIP LOCKED"
OLDER = "SELECT EXISTS (SELECT FROM ingestion_inbox WHERE id < %s)"


def process_batch(*, now: datetime, max_items: int = BATCH_ITEMS) -> int:
    """Process the oldest waiting requests.

    Parameters
    ----------
    now : datetime
        The time of processing, UTC.
    max_items : int
        About how many items to take; a request is never divided.

    Returns
    -------
    int
        How many items were processed; 0 means that none waited.
    """
    taken: list[int] = []
    items = 0
    # A batch makes some 100 000 objects that all live until its end: collecting among them finds nothing, again and
    # again, and took a seventh of the time.
    gc.disable()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            rows = _take(cursor, max_items)
            taken.extend(row[0] for row in rows)
            items = sum(row[ITEMS] for row in rows)
            mark.set(taken)
            _process(cursor, rows, now)
    except POISON as error:
        if database_is_away(error):
            raise
        for inbox_id in taken:
            _process_alone(inbox_id, now)
    finally:
        gc.enable()
    mark.set([])
    flush_discovered(now_or_later=bool(taken))
    return items


def process_lost(*, now: datetime) -> None:
    """Process what workers were busy with when they were killed, in ever smaller parts until one is alone.

    A request that was alone when its worker was killed has failed once more; after the last attempt it is set aside.
    """
    for inbox_ids in find_lost():
        if len(inbox_ids) == 1:
            set_aside(inbox_id=inbox_ids[0], fault="its worker was killed", now=now)
        size = -(-len(inbox_ids) // LOST_PARTS)
        for start in range(0, len(inbox_ids), size):
            _process_part(inbox_ids[start : start + size], now)
    mark.set([])


def _process_part(inbox_ids: list[int], now: datetime) -> None:
    mark.set(inbox_ids)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(TAKE_SOME, [int_array(inbox_ids)])
            _process(cursor, cursor.fetchall(), now, in_turn=False)
    except POISON as error:
        if database_is_away(error):
            raise
        for inbox_id in inbox_ids:
            _process_alone(inbox_id, now)


def _process_alone(inbox_id: int, now: datetime) -> None:
    """Process a request by itself, until it is done or set aside: the next batch is not to fail by it once more."""
    mark.set([inbox_id])
    is_there = True
    while is_there:
        is_there = False
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(TAKE_ONE, [inbox_id])
                _process(cursor, cursor.fetchall(), now, in_turn=False)
        except POISON as error:
            if database_is_away(error):
                raise
            is_there = set_aside(inbox_id=inbox_id, fault=type(error).__name__, now=now)


def _take(cursor: Any, max_items: int) -> list[Any]:
    cursor.execute(TAKE)
    taken: list[Any] = []
    items = 0
    fetch = FIRST_FETCH
    while items < max_items:
        cursor.execute(f"FETCH {fetch} FROM waiting")
        rows = cursor.fetchall()
        taken.extend(rows)
        items += sum(row[ITEMS] for row in rows)
        if len(rows) < fetch:
            break
        fetch = min(FETCH_ROWS, max(1, (max_items - items) * len(taken) // max(items, 1)))
    cursor.execute("CLOSE waiting")
    return taken


def _process(cursor: Any, rows: list[Any], now: datetime, *, in_turn: bool = True) -> None:
    """Process what was taken; not `in_turn` where something failed: that stays, and nothing is to wait for it."""
    if not rows:
        return
    sources = {source.id: source for source in Source.objects.all()}
    requests = [
        Request(row_id, sources[source_id], received_at, endpoint, bytes(body), ip, user_agent, stamp(received_at), gpc)
        for row_id, source_id, received_at, endpoint, _, body, ip, user_agent, gpc in rows
    ]
    rules = load_rules()
    items = prepare(requests, rules)
    if in_turn:
        _lock_in_order(cursor, requests[0].id)
    else:
        locks.take(cursor, locks.IDENTITY)
    screened, _ = write_items(cursor, items, rules, now=now)
    empty_inbox(cursor, requests, screened, now=now)


def write_items(
    cursor: Any, items: list[Item], rules: Rules, *, now: datetime, restate: Restate | None = None
) -> tuple[Screened, Graph | None]:
    """Screen prepared items, record the good ones and write every outcome. The caller holds the lock `IDENTITY`.

    Parameters
    ----------
    restate : callable or None
        As for `profiles.services.record.record_messages`.
    """
    screened = screen(cursor, items, rules)
    good = [item for item in screened.good if item.incoming is not None]
    graph = None
    if good:
        interests = read_interests(cursor)
        graph = record_messages(
            cursor,
            [item.incoming for item in good if item.incoming is not None],
            rules=rules.by_id,
            interests=interests,
            now=now,
            restate=restate,
        )
        _record_consents(cursor, good, now)
        if interests:
            wake(FOLLOWERS)
    write_outcomes(cursor, screened, graph, now=now)
    return screened, graph


def _lock_in_order(cursor: Any, first_id: int) -> None:
    """Take the identity lock; let go of it again while an older batch is still on its way."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        cursor.execute("SAVEPOINT turn")
        locks.take(cursor, locks.IDENTITY)
        cursor.execute(OLDER, [first_id])
        if not cursor.fetchone()[0] or time.monotonic() > deadline:
            return
        cursor.execute("ROLLBACK TO SAVEPOINT turn")
        time.sleep(0.005)


def read_interests(cursor: Any) -> frozenset[str]:
    """Return the tokens on which followers depend."""
    cursor.execute("SELECT token FROM profiles_workinterest")
    return frozenset(row[0] for row in cursor.fetchall())


def _record_consents(cursor: Any, good: list[Item], now: datetime) -> None:
    rows = [item for item in good if item.consent or item.signals]
    if not rows:
        return
    ids = {item.incoming.group.id for item in rows if item.incoming is not None}
    cursor.execute("SELECT id, uuid::text FROM profiles_profile WHERE id = ANY(%s::bigint[])", [int_array(ids)])
    uuids = dict(cursor.fetchall())
    objects = [
        ConsentObject(
            profile_id=item.incoming.group.id,
            profile_uuid=uuids[item.incoming.group.id],
            identifier_id=item.incoming.node_ids[0],
            source_id=item.request.source.id,
            anonymous_id=item.anonymous_id,
            message_id=item.message_id,
            occurred_at=item.incoming.claim.occurred_at,
            received_at=item.request.received_at,
            categories=item.consent or {},
            explicit=item.is_consent_event,
            signals=item.signals or {},
        )
        for item in rows
        if item.incoming is not None
    ]
    for recorder in consent_recorders:
        recorder(rows=objects, now=now)


def load_rules() -> Rules:
    """Read the identifier types as they are now."""
    types = read_types()
    rules = rule_set(types)
    by_id = resolver_rules(types, rules)
    return Rules(reading_rules(rules), {rule.key: rule for rule in by_id.values()}, by_id, rules_by_kind(rules))
