"""Recording messages: whose they are, what they add, in a constant number of statements for any number of them.

The caller (`ingestion.services.process`) prepares everything that needs no look-up before it takes the lock
`IDENTITY`, and calls `record_messages` inside the locked transaction.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import orjson

from cdp.core.copying import NULL, copy_rows, escape, escape_json, int_array, stamp, text_array
from profiles.identity.graph import Claim, EdgeRecord, Graph, Group, TypeRule, find
from profiles.identity.resolve import resolve
from profiles.models import ChangeKind
from profiles.queries.sealed import read_sealed_names
from profiles.queries.trait_rules import read_rules
from profiles.services.graphs import load_graph
from profiles.services.groups import record_groups
from profiles.services.merging import apply_merges, write_edges
from profiles.services.orders import record_orders
from profiles.services.quarantining import limit_sharing
from profiles.services.sealing import seal_messages
from profiles.services.sessions import record_sessions
from profiles.services.settling import settle_traits
from profiles.services.traits import Meta, Traits, apply_ruled, apply_traits, micros, normal_form
from profiles.survivorship.rules import Rules

EVENT_COLUMNS = (
    "id, profile_id, identifiers, type, name, occurred_at, received_at, original_timestamp, sent_at, source_id, "
    "message_id, properties, traits, context"
)
UPSERT_ACTIVITY = """
INSERT INTO profiles_activity (profile_id, first_event_at, last_event_at, event_count)
SELECT * FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::bigint[])
ON CONFLICT (profile_id) DO UPDATE SET
    first_event_at = least(profiles_activity.first_event_at, excluded.first_event_at),
    last_event_at = greatest(profiles_activity.last_event_at, excluded.last_event_at),
    event_count = profiles_activity.event_count + excluded.event_count
"""
UPDATE_TRAITS = """
UPDATE profiles_profile p SET traits = t.j::jsonb, trait_meta = t.m::jsonb
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS t(i, j, m) WHERE p.id = t.i
"""


class Incoming:
    """A good message on its way to a timeline.

    `occurred_text` is the claim's time, `event_text` holds the event's columns from type to message_id, `json_text`
    those from properties to context: all COPY text, made before the lock. After recording, `group` tells whose it is,
    and `changed` is set to True where the message changed a trait.
    """

    __slots__ = (
        "changed", "claim", "event_id", "event_text", "group", "json_text", "name", "node_ids", "occurred_text",
        "stated", "type",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 - made once per message on the hot path
        self,
        claim: Claim,
        type: int,
        name: str,
        occurred_text: str,
        event_text: str,
        json_text: str,
        stated: Traits | None,
    ) -> None:
        self.claim = claim
        self.type = type
        self.name = name
        self.occurred_text = occurred_text
        self.event_text = event_text
        self.json_text = json_text
        self.stated = stated
        self.event_id = 0
        self.group: Group
        self.changed: bool
        self.node_ids: list[int] = []


Restate = Callable[[Incoming, Traits], None]


def prepare_json(*values: Any) -> str:
    """Return JSON columns as COPY text; empty and None become NULL. Text is brought to NFC."""
    columns = []
    for value in values:
        if not value:
            columns.append("\\N")
            continue
        text = orjson.dumps(value).decode()
        if not text.isascii():
            text = orjson.dumps(normal_form(value)).decode()
        columns.append(escape_json(text))
    return "\t".join(columns)


def record_messages(
    cursor: Any,
    messages: list[Incoming],
    *,
    rules: dict[int, TypeRule],
    interests: frozenset[str],
    now: datetime,
    restate: Restate | None = None,
) -> Graph:
    """Resolve and store messages, in order.

    Parameters
    ----------
    messages : list of Incoming
        Neither duplicates nor suppressed ones; each with its `event_id`.
    rules : dict
        Identifier types by id.
    interests : frozenset of str
        Tokens on which followers depend; empty means that nobody follows and no work is noted.
    restate : callable or None
        Called for each message that states traits, with the profile's traits before it: it may change what the
        message states.

    Returns
    -------
    Graph
        What was decided; each message's `group` and `node_ids` are set.
    """
    graph = load_graph(cursor, [message.claim for message in messages], rules)
    for message in messages:
        message.group, message.node_ids = resolve(graph, message.claim)
    for message in messages:
        message.group = find(message.group)
    merge_rows = apply_merges(cursor, graph.merges, now=now)
    _write_identifiers(cursor, graph)
    written = write_edges(cursor, _all_edges(graph), merge_rows, now=now)
    _write_refusals(cursor, graph, now)
    if sealed := read_sealed_names(cursor):
        seal_messages(cursor, messages, sealed)
    trait_rules = read_rules(cursor)
    changed_traits, undecided = _write_profiles(cursor, graph, messages, restate, trait_rules)
    _write_events(cursor, messages)
    _write_activity(cursor, messages)
    if undecided:
        _settle(cursor, messages, undecided, trait_rules, changed_traits)
    record_sessions(cursor, messages)
    record_orders(cursor, messages, now=now)
    record_groups(cursor, messages, now=now)
    _write_history(cursor, graph, changed_traits, now)
    if graph.asserted:
        limit_sharing(cursor, graph, written, now=now)
    if interests:
        _write_work(cursor, graph, messages, changed_traits, interests, now)
    return graph


def _all_edges(graph: Graph) -> Iterable[EdgeRecord]:
    if not graph.refused_edges:
        return graph.edges.values()
    return (graph.refused_edges | graph.edges).values()


def _write_identifiers(cursor: Any, graph: Graph) -> None:
    stamps = _stamps(node.first_seen_at for node in graph.new_nodes)
    lines = [
        f"{node.id}\t{node.type.id}\t\\\\x{node.lookup.hex()}\t{escape(node.value)}\t{find(node.group).id}\t"
        f"{stamps[id(node.first_seen_at)]}\t{node.source_id}\tf\t{int(node.alias_state)}\n"
        for node in graph.new_nodes
    ]
    copy_rows(
        cursor,
        "profiles_identifier",
        "id, type_id, lookup, value, profile_id, first_seen_at, source_id, verified, alias_state",
        lines,
    )
    changed = list(graph.changed_nodes.values())
    if changed:
        cursor.execute(
            "UPDATE profiles_identifier i SET type_id = t.y, lookup = t.l, alias_state = t.a, "
            "value = CASE WHEN t.v = '' THEN i.value ELSE t.v END "
            "FROM unnest(%s::bigint[], %s::smallint[], %s::bytea[], %s::smallint[], %s::text[]) AS t(i, y, l, a, v) "
            "WHERE i.id = t.i",
            [
                int_array(node.id for node in changed),
                int_array(node.type.id for node in changed),
                [node.lookup for node in changed],
                int_array(int(node.alias_state) for node in changed),
                text_array(node.value for node in changed),
            ],
        )


def _stamps(moments: Iterable[datetime | None]) -> dict[int, str]:
    """Return moments as COPY text by object identity: a batch has few of them, each shared by many rows."""
    stamps: dict[int, str] = {}
    for moment in moments:
        if id(moment) not in stamps:
            stamps[id(moment)] = stamp(moment)
    return stamps


def _write_refusals(cursor: Any, graph: Graph, now: datetime) -> None:
    lines = [
        f"{{{','.join(refusal.profile_uuids)}}}\t{escape(refusal.type_key)}\t{escape(refusal.value)}\t"
        f"{escape(refusal.reason)}\t{escape(refusal.claim.rule)}\t{escape(refusal.claim.message_id)}\t"
        f"{refusal.claim.source_id}\t{stamp(now)}\t{NULL if refusal.limit is None else refusal.limit}\n"
        for refusal in graph.refusals
    ]
    columns = (
        "profile_uuids, identifier_type, identifier_value, reason, rule, message_id, source_id, created_at, value_limit"
    )
    copy_rows(cursor, "profiles_refusal", columns, lines)


def _write_profiles(
    cursor: Any, graph: Graph, messages: list[Incoming], restate: Restate | None, trait_rules: Rules
) -> tuple[dict[int, list[str]], dict[int, set[str]]]:
    """Insert new profiles and apply traits.

    Returns
    -------
    (dict, dict)
        By profile the names of changed traits, and of those that only all statements can tell.
    """
    new = {group.id: group for group in graph.new_groups if group.parent is None and group.is_new}
    stating = [message for message in messages if message.stated]
    known: dict[int, tuple[Traits, Meta]] = {profile_id: ({}, {}) for profile_id in new}
    stored = {message.group.id for message in stating} - new.keys()
    if stored:
        cursor.execute(
            "SELECT id, traits::text, trait_meta::text FROM profiles_profile WHERE id = ANY(%s::bigint[]) "
            "ORDER BY id FOR UPDATE",
            [int_array(stored)],
        )
        known.update((row[0], (orjson.loads(row[1]), orjson.loads(row[2]))) for row in cursor.fetchall())
    changed: dict[int, list[str]] = {}
    undecided: dict[int, set[str]] = {}
    is_ruled = trait_rules.is_active
    touched: set[int] = set()
    for message in stating:
        profile_id, claim = message.group.id, message.claim
        said = [claim.source_id, micros(claim.occurred_at), micros(claim.received_at)]
        traits, meta = known[profile_id]
        if restate is not None:
            restate(message, traits)
        assert message.stated is not None
        touched.add(profile_id)
        stated = normal_form(message.stated)
        if is_ruled:
            names = apply_ruled(trait_rules, traits, meta, stated, said, undecided.setdefault(profile_id, set()))
        else:
            names = apply_traits(traits, meta, stated, said)
        if names:
            message.changed = True
            changed.setdefault(profile_id, []).extend(names)
    lines = []
    stamps = _stamps(group.created_at for group in new.values())
    for group in new.values():
        traits, meta = known[group.id]
        lines.append(
            f"{group.id}\t{group.uuid}\t{stamps[id(group.created_at)]}\tf\t"
            f"{escape_json(orjson.dumps(traits).decode()) if traits else '{}'}\t"
            f"{escape_json(orjson.dumps(meta).decode()) if meta else '{}'}\n"
        )
    copy_rows(cursor, "profiles_profile", "id, uuid, created_at, restricted, traits, trait_meta", lines)
    updates = sorted(touched & stored)
    if updates:
        cursor.execute(
            UPDATE_TRAITS,
            [
                int_array(updates),
                text_array(orjson.dumps(known[profile_id][0]).decode() for profile_id in updates),
                text_array(orjson.dumps(known[profile_id][1]).decode() for profile_id in updates),
            ],
        )
    return changed, {profile_id: names for profile_id, names in undecided.items() if names}


def _settle(
    cursor: Any,
    messages: list[Incoming],
    undecided: dict[int, set[str]],
    trait_rules: Rules,
    changed: dict[int, list[str]],
) -> None:
    """Decide what needed all statements, now that those of this batch are stored, and note what changed."""
    settled = settle_traits(cursor, wanted=undecided, rules=trait_rules)
    for profile_id, names in settled.changed.items():
        changed.setdefault(profile_id, []).extend(names)
    for message in messages:
        names = settled.changed.get(message.group.id, [])
        if message.stated and not message.stated.keys().isdisjoint(names):
            message.changed = True


def _write_events(cursor: Any, messages: list[Incoming]) -> None:
    lines = [
        f"{m.event_id}\t{m.group.id}\t{{{','.join(map(str, m.node_ids))}}}\t{m.event_text}\t{m.json_text}\n"
        for m in messages
    ]
    copy_rows(cursor, "profiles_event", EVENT_COLUMNS, lines)


def _write_activity(cursor: Any, messages: list[Incoming]) -> None:
    """Extend each profile's first and last event and their number."""
    spans: dict[int, list[Any]] = {}
    for message in messages:
        occurred_at = message.claim.occurred_at
        span = spans.get(message.group.id)
        if span is None:
            text = message.occurred_text
            spans[message.group.id] = [occurred_at, occurred_at, 1, text, text]
            continue
        if occurred_at < span[0]:
            span[0], span[3] = occurred_at, message.occurred_text
        elif occurred_at > span[1]:
            span[1], span[4] = occurred_at, message.occurred_text
        span[2] += 1
    # In id order: whoever else updates several rows does so too, and nobody waits in a circle.
    ordered = sorted(spans)
    rows = [spans[profile_id] for profile_id in ordered]
    cursor.execute(
        UPSERT_ACTIVITY,
        [
            int_array(ordered),
            "{" + ",".join([row[3] for row in rows]) + "}",
            "{" + ",".join([row[4] for row in rows]) + "}",
            int_array(row[2] for row in rows),
        ],
    )


def _write_history(cursor: Any, graph: Graph, changed_traits: dict[int, list[str]], now: datetime) -> None:
    at = stamp(now)
    created = {group.id for group in graph.new_groups if group.parent is None and group.is_new}
    lines = [f"{profile_id}\t{int(ChangeKind.CREATED)}\t{at}\t{{}}\n" for profile_id in created]
    added: dict[int, set[str]] = {}
    for node in graph.new_nodes:
        profile_id = find(node.group).id
        if profile_id not in created:
            added.setdefault(profile_id, set()).add(node.type.key)
    lines.extend(
        f"{profile_id}\t{int(ChangeKind.IDENTIFIERS)}\t{at}\t{escape_json(_json({'types': sorted(types)}))}\n"
        for profile_id, types in added.items()
    )
    lines.extend(
        f"{profile_id}\t{int(ChangeKind.TRAITS)}\t{at}\t{escape_json(_json({'names': sorted(set(names))}))}\n"
        for profile_id, names in changed_traits.items()
        if profile_id not in created
    )
    copy_rows(cursor, "profiles_change", "profile_id, kind, at, detail", lines)


def _write_work(
    cursor: Any,
    graph: Graph,
    messages: Iterable[Incoming],
    changed_traits: dict[int, list[str]],
    interests: frozenset[str],
    now: datetime,
) -> None:
    """Note for the followers which profiles changed in what they depend on."""
    tokens: dict[int, set[str]] = {}
    last_message: dict[int, str] = {}
    every_event = "event:*" in interests
    for message in messages:
        profile_id = message.group.id
        token = f"event:{message.name}"
        if every_event:
            tokens.setdefault(profile_id, set()).add("event:*")
        if token in interests:
            tokens.setdefault(profile_id, set()).add(token)
        if profile_id in tokens or profile_id in changed_traits:
            last_message[profile_id] = message.claim.message_id
    for profile_id, names in changed_traits.items():
        relevant = {f"trait:{name}" for name in names} & interests
        if relevant:
            tokens.setdefault(profile_id, set()).update(relevant)
    for node in graph.new_nodes:
        if (token := f"identifier:{node.type.key}") in interests:
            tokens.setdefault(find(node.group).id, set()).add(token)
    for group in graph.new_groups:
        if group.parent is None and group.is_new:
            tokens.setdefault(group.id, set()).add("created")
    for merge in graph.merges:
        final = find(merge.group).id
        tokens.setdefault(final, set()).add("merge")
        last_message[final] = merge.claim.message_id
    at = stamp(now)
    lines = [
        f"{profile_id}\t{escape(text_array(sorted(names)))}\t{at}\t{escape(last_message.get(profile_id, ''))}\n"
        for profile_id, names in tokens.items()
    ]
    copy_rows(cursor, "profiles_work", "profile_id, names, since, message_id", lines)


def _json(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()
