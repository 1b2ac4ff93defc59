"""Processing accepted messages of the archive again: the same events, written anew where the rules now say otherwise.

A replay changes what an event says (type, name, times, properties, traits, context), whose it is, and what the profile
learns from it. It deletes no message, undoes no merge, repeats no consent decision, and leaves alone what would now be
refused, suppressed or held. Where nothing differs nothing is written, so a second run changes nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from cdp.core import locks
from cdp.core.copying import int_array, stamp, text_array
from ingestion.models import Archived, Outcome, Source
from ingestion.services.prepare import EVENT_TYPES, Item, Request, Rules, fill, prepare
from ingestion.services.process import load_rules, read_interests
from ingestion.services.screen import judge_again
from ingestion.spec.differences import is_same
from profiles.identity.graph import Graph, find
from profiles.identity.resolve import resolve
from profiles.queries.sealed import open_texts
from profiles.services.graphs import load_graph
from profiles.services.orders import forget_order_messages
from profiles.services.record import record_messages
from profiles.services.sessions import recompute_sessions
from profiles.services.splitting import note_work, recompute
from profiles.services.traits import normal_form

STORED = """
SELECT e.id, e.profile_id, e.identifiers, e.type, e.name, e.occurred_at, e.original_timestamp, e.sent_at, e.message_id,
    e.properties::text, e.traits::text, e.context::text
FROM ingestion_message m JOIN profiles_event e ON e.id = m.id AND e.occurred_at = m.occurred_at
WHERE m.id = ANY(%s::bigint[]) AND m.outcome = %s
"""
EDGES = """
SELECT e.a, e.b FROM unnest(%s::bigint[], %s::bigint[]) AS t(a, b)
JOIN profiles_edge e ON e.a = t.a AND e.b = t.b AND e.state IN (1, 3)
"""
DELETE_EVENTS = """
DELETE FROM profiles_event e USING unnest(%s::bigint[], %s::timestamptz[]) AS t(id, at)
WHERE e.id = t.id AND e.occurred_at = t.at
"""
UNCOUNT = """
UPDATE profiles_activity a SET event_count = a.event_count - t.n
FROM unnest(%s::bigint[], %s::int[]) AS t(id, n) WHERE a.profile_id = t.id
"""
UPDATE_MESSAGES = """
UPDATE ingestion_message m SET occurred_at = t.at, warnings = nullif(t.w::text[], '{}')
FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[]) AS t(id, at, w) WHERE m.id = t.id
"""
# A refusal that the first processing wrote is not written twice.
REPEATED_REFUSALS = """
DELETE FROM profiles_refusal r WHERE r.created_at = %s AND r.id > %s AND EXISTS (
    SELECT FROM profiles_refusal o WHERE o.id <= %s AND o.message_id = r.message_id AND o.source_id = r.source_id
        AND o.identifier_type = r.identifier_type AND o.identifier_value = r.identifier_value
        AND o.profile_uuids && r.profile_uuids)
"""
LAST_REFUSAL = "SELECT coalesce(max(id), 0) FROM profiles_refusal"
ALL_SEGMENTS = "merge"


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as it is stored."""

    id: int
    profile_id: int
    identifiers: list[int]
    type: int
    name: str
    occurred_at: datetime
    original_timestamp: str | None
    sent_at: datetime | None
    message_id: str
    properties: str | None
    traits: str | None
    context: str | None


def replay_rows(cursor: Any, rows: Sequence[Archived], *, now: datetime, dry: bool) -> Counter[str]:
    """Process archived requests again, within the caller's transaction.

    Parameters
    ----------
    dry : bool
        Only count.

    Returns
    -------
    Counter
        ``unchanged``, ``changed`` (of these: ``content``, ``identity``), ``kept`` (what would now be refused,
        suppressed or held and stays as it is), ``gone`` (erased or taken out since), and ``merges``.
    """
    locks.take(cursor, locks.IDENTITY)
    found: Counter[str] = Counter()
    rules = load_rules()
    pairs = _pairs(cursor, rows, rules, found)
    outcomes = judge_again(cursor, [item for item, _ in pairs], rules)
    good = [pair for pair, outcome in zip(pairs, outcomes, strict=True) if outcome == Outcome.ACCEPTED]
    found["kept"] += len(pairs) - len(good)
    if not good:
        return found
    elsewhere, graph = _identity_changes(cursor, good, rules)
    changed = []
    for item, stored in good:
        differs = not _says_the_same(item, stored)
        moves = stored.id in elsewhere
        found["content"] += differs
        found["identity"] += moves
        if differs or moves:
            changed.append((item, stored))
    found["changed"] += len(changed)
    found["unchanged"] += len(good) - len(changed)
    found["merges"] += len(graph.merges)
    if changed and not dry:
        _write(cursor, changed, rules, now)
    return found


def _pairs(cursor: Any, rows: Sequence[Archived], rules: Rules, found: Counter[str]) -> list[tuple[Item, Stored]]:
    """Return the messages that are still accepted, each beside its event."""
    sources = {source.id: source for source in Source.objects.all()}
    ids = [row_id for row in rows for row_id in range(row.first_id, row.last_id + 1)]
    cursor.execute(STORED, [int_array(ids), Outcome.ACCEPTED.value])
    stored = cursor.fetchall()
    # What is stored encrypted is compared by what it says.
    texts = open_texts([text for row in stored for text in row[-2:]])
    events = {row[0]: Stored(*row[:-2], *texts[2 * at : 2 * at + 2]) for at, row in enumerate(stored)}
    pairs = []
    for row in rows:
        removed = set(row.removed or ())
        source = sources.get(row.source_id)
        if source is None:
            continue
        request = Request(
            0, source, row.received_at, row.endpoint, bytes(row.body), row.ip, row.user_agent, stamp(row.received_at)
        )
        for place, item in enumerate(prepare([request], rules)):
            stored = events.get(row.first_id + place)
            if stored is None or stored.id in removed:
                found["gone"] += 1
                continue
            if item.message is not None and item.message_id != stored.message_id:
                # It came without an id and was given one.
                item.message_id = item.message.message_id = stored.message_id
                fill(item, item.message, rules)
            pairs.append((item, stored))
    return pairs


def _identity_changes(cursor: Any, good: list[tuple[Item, Stored]], rules: Rules) -> tuple[set[int], Graph]:
    """Return the events that would be someone else's, or would add to what is known of who is who."""
    claims = [item.incoming.claim for item, _ in good if item.incoming is not None]
    graph = load_graph(cursor, claims, rules.by_id)
    changed: set[int] = set()
    groups = []
    by_edge: dict[tuple[int, int], int] = {}
    for item, stored in good:
        assert item.incoming is not None
        before = (len(graph.merges), len(graph.new_nodes), len(graph.changed_nodes))
        known = set(graph.edges)
        group, node_ids = resolve(graph, item.incoming.claim)
        groups.append((group, stored))
        for edge in graph.edges.keys() - known:
            by_edge[edge] = stored.id
        after = (len(graph.merges), len(graph.new_nodes), len(graph.changed_nodes))
        if before != after or node_ids != list(stored.identifiers):
            changed.add(stored.id)
    changed.update(stored.id for group, stored in groups if find(group).id != stored.profile_id)
    cursor.execute(EDGES, [int_array(a for a, _ in by_edge), int_array(b for _, b in by_edge)])
    stored_edges = set(cursor.fetchall())
    changed.update(row_id for edge, row_id in by_edge.items() if edge not in stored_edges)
    return changed, graph


def _says_the_same(item: Item, stored: Stored) -> bool:
    message = item.message
    assert message is not None
    return (
        EVENT_TYPES[message.type] == stored.type
        and message.name == stored.name
        and message.occurred_at == stored.occurred_at
        and message.original_timestamp == stored.original_timestamp
        and message.sent_at == stored.sent_at
        and _same_json(message.properties, stored.properties)
        and _same_json(message.traits, stored.traits)
        and _same_json(message.context, stored.context)
    )


def _same_json(value: dict[str, Any] | None, stored: str | None) -> bool:
    return is_same(normal_form(value) if value else None, orjson.loads(stored) if stored is not None else None)


def _write(cursor: Any, changed: list[tuple[Item, Stored]], rules: Rules, now: datetime) -> None:
    cursor.execute(LAST_REFUSAL)
    last_refusal = cursor.fetchone()[0]
    ids = [stored.id for _, stored in changed]
    cursor.execute(DELETE_EVENTS, [int_array(ids), [stored.occurred_at for _, stored in changed]])
    counts = Counter(stored.profile_id for _, stored in changed)
    cursor.execute(UNCOUNT, [int_array(counts), int_array(counts.values())])
    forget_order_messages(cursor, ids, now=now)
    messages = []
    for item, stored in changed:
        assert item.incoming is not None
        item.incoming.event_id = stored.id
        messages.append(item.incoming)
    record_messages(cursor, messages, rules=rules.by_id, interests=read_interests(cursor), now=now)
    cursor.execute(REPEATED_REFUSALS, [now, last_refusal, last_refusal])
    cursor.execute(
        UPDATE_MESSAGES,
        [
            int_array(ids),
            [message.claim.occurred_at for message in messages],
            [text_array(item.warnings) for item, _ in changed],
        ],
    )
    concerned = sorted({message.group.id for message in messages} | set(counts))
    recompute_sessions(cursor, concerned)
    anew = sorted(
        {
            profile_id
            for (item, stored), message in zip(changed, messages, strict=True)
            if _takes_back(item, stored) or message.group.id != stored.profile_id
            for profile_id in (message.group.id, stored.profile_id)
        }
    )
    if anew:
        recompute(cursor, anew)
    note_work(cursor, concerned, ALL_SEGMENTS, now)


def _takes_back(item: Item, stored: Stored) -> bool:
    """Tell whether the profile learnt something from the event that it no longer says."""
    assert item.message is not None
    if item.message.occurred_at != stored.occurred_at or EVENT_TYPES[item.message.type] != stored.type:
        return True
    before = orjson.loads(stored.traits) if stored.traits is not None else {}
    return bool(before.keys() - (item.message.traits or {}).keys())
