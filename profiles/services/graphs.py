"""Loading the part of the identity graph that a batch touches. The caller holds the lock `IDENTITY`."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from cdp.core.copying import bytea_array, int_array
from cdp.core.registries import consent_requirements
from profiles.identity.graph import AliasState, Claim, Graph, Group, Node, TypeRule

NODES = """
SELECT id, type_id, lookup, profile_id, alias_state, quarantined, may_be_shared
FROM profiles_identifier WHERE lookup = ANY(%s::bytea[])
"""
# Only profiles that a claim could extend or merge are locked: appending an event races with nothing.
GROUPS = """
SELECT p.id, p.uuid::text, p.created_at, a.first_event_at, coalesce(a.event_count, 0)
FROM profiles_profile p LEFT JOIN profiles_activity a ON a.profile_id = p.id
WHERE p.id = ANY(%s::bigint[]) ORDER BY p.id FOR UPDATE OF p
"""
COUNTS = """
SELECT profile_id, type_id, count(*) FROM profiles_identifier
WHERE profile_id = ANY(%s::bigint[]) GROUP BY profile_id, type_id
"""
ANY_BLOCKED = """
SELECT EXISTS (SELECT FROM profiles_edge WHERE state = 3),
    EXISTS (SELECT FROM profiles_edge WHERE state = 3 AND kind = 6)
"""
BLOCKED = """
SELECT a, b FROM profiles_edge WHERE state = 3 AND kind <> 6 AND (a = ANY(%s::bigint[]) OR b = ANY(%s::bigint[]))
"""
APART = """
SELECT i.profile_id, j.profile_id FROM profiles_edge e
JOIN profiles_identifier i ON i.id = e.a JOIN profiles_identifier j ON j.id = e.b
WHERE e.state = 3 AND e.kind = 6 AND i.profile_id = ANY(%s::bigint[]) AND j.profile_id = ANY(%s::bigint[])
"""
# The same for limits that count what was gained lately.
RECENT_COUNTS = """
SELECT i.profile_id, i.type_id, count(*) FROM profiles_identifier i
LEFT JOIN unnest(%s::smallint[], %s::timestamptz[]) AS w(type_id, since) ON w.type_id = i.type_id
WHERE i.profile_id = ANY(%s::bigint[]) AND (w.since IS NULL OR i.first_seen_at > w.since)
GROUP BY i.profile_id, i.type_id
"""
HAS_ALIASES = "SELECT EXISTS (SELECT FROM profiles_identifier WHERE alias_state > 0)"
FRESH = "SELECT nextval(%s) FROM generate_series(1, %s)"
BLOCK_SIZE = 500
SMALLEST_BLOCK = 16
UUIDS_AT_ONCE = 128


def load_graph(cursor: Any, claims: list[Claim], rules: dict[int, TypeRule]) -> Graph:
    """Read what the resolver needs to know about the identifiers of `claims`, in a constant number of statements."""
    cursor.execute(HAS_ALIASES)
    has_aliases = cursor.fetchone()[0] or any(claim.previous for claim in claims)
    lookups = _lookups(claims, has_aliases=has_aliases)
    cursor.execute(NODES, [bytea_array(lookups)])
    groups: dict[int, Group] = {}
    nodes: dict[bytes, Node] = {}
    has_quarantined = False
    for node_id, type_id, lookup, profile_id, alias_state, quarantined, may_be_shared in cursor.fetchall():
        group = groups.get(profile_id)
        if group is None:
            # The rest of the group is read below, for those where it matters.
            group = groups[profile_id] = Group(profile_id, "", None, None, 0)  # type: ignore[arg-type]
        key = bytes(lookup)
        node = nodes[key] = Node(node_id, rules[type_id], key, "", group)
        node.alias_state = AliasState(alias_state) if alias_state else AliasState.NONE
        if quarantined:
            node.quarantined = has_quarantined = True
        elif may_be_shared:
            node.may_be_shared = True
    _complete_groups(cursor, claims, nodes, groups, rules)
    purposes = {rule.link_purpose for rule in rules.values() if rule.link_purpose}
    # Nearly all of what is not known will be new: one statement fetches the ids for all of it.
    missing = max(len(lookups) - len(nodes), SMALLEST_BLOCK)
    blocked, is_divided = _blocked(cursor, nodes, groups)
    return Graph(
        nodes=nodes,
        blocked=blocked,
        is_divided=is_divided,
        rules=rules,
        node_ids=fresh_ids(cursor, "profiles_identifier_id_seq", block=missing),
        profile_ids=fresh_ids(cursor, "profiles_profile_id_seq", block=min(missing, max(len(claims), 1))),
        uuids=fresh_uuids(),
        has_quarantined=has_quarantined,
        asks_consent=bool(purposes),
        link_states=_link_states(purposes, claims, nodes) if purposes else {},
    )


def _link_states(purposes: set[str], claims: list[Claim], nodes: dict[bytes, Node]) -> dict[tuple[str, int], str]:
    """Return the state of each purpose for the profiles that claims with such a type could join."""
    concerned: dict[str, set[int]] = {purpose: set() for purpose in purposes}
    for claim in claims:
        for purpose in {one.type.link_purpose for one in claim.given} - {""} if len(claim.given) > 1 else ():
            concerned[purpose].update(nodes[one.lookup].group.id for one in claim.given if one.lookup in nodes)
    return {
        (purpose, profile_id): state
        for purpose, profile_ids in concerned.items()
        for requirement in consent_requirements
        for profile_id, state in requirement(purpose, profile_ids).items()
    }


def fresh_ids(cursor: Any, sequence: str, block: int = BLOCK_SIZE) -> Iterator[int]:
    """Yield fresh ids of a sequence, fetched in blocks that grow with the demand."""
    while True:
        cursor.execute(FRESH, [sequence, block])
        yield from [row[0] for row in cursor.fetchall()]
        block *= 2


def fresh_uuids() -> Iterator[str]:
    """Yield random UUIDs (RFC 9562, version 4) as text.

    Half of what `uuid.uuid4` costs is asking the system for 16 bytes at a time, the other half its object.
    """
    while True:
        noise = os.urandom(16 * UUIDS_AT_ONCE).hex()
        for place in range(0, len(noise), 32):
            one = noise[place : place + 32]
            variant = "89ab"[int(one[16], 16) & 3]
            yield f"{one[:8]}-{one[8:12]}-4{one[13:16]}-{variant}{one[17:20]}-{one[20:]}"


def _lookups(claims: list[Claim], *, has_aliases: bool) -> set[bytes]:
    lookups: set[bytes] = set()
    add: Callable[[bytes], None] = lookups.add
    for claim in claims:
        several = len(claim.given) > 1
        for one in claim.given:
            add(one.lookup)
            if one.twin is not None and (several or has_aliases):
                add(one.twin)
        if claim.previous is not None:
            add(claim.previous[0].lookup)
            add(claim.previous[1].lookup)
    return lookups


def _complete_groups(
    cursor: Any, claims: list[Claim], nodes: dict[bytes, Node], groups: dict[int, Group], rules: dict[int, TypeRule]
) -> None:
    """Lock and complete the groups that a claim could extend, merge or be refused at."""
    needed: set[int] = set()
    for claim in claims:
        if len(claim.given) == 1 and claim.previous is None:
            one = claim.given[0]
            if one.lookup not in nodes and one.twin is not None and (twin := nodes.get(one.twin)) is not None:
                needed.add(twin.group.id)
            continue
        given = [*claim.given, *(claim.previous or ())]
        found = [nodes.get(one.lookup) for one in given]
        twins = [nodes[one.twin].group.id for one in given if one.twin is not None and one.twin in nodes]
        ids = {node.group.id for node in found if node is not None}
        if twins or len(ids) > 1 or None in found:
            needed |= ids
            needed.update(twins)
    if not needed:
        return
    literal = int_array(needed)
    cursor.execute(GROUPS, [literal])
    for profile_id, public_id, created_at, first_event_at, event_count in cursor.fetchall():
        group = groups[profile_id]
        group.uuid, group.created_at = public_id, created_at
        group.first_event_at, group.stored_events = first_event_at, event_count
    windows = {rule.id: rule.window_days for rule in rules.values() if rule.window_days is not None}
    if windows:
        latest = max(claim.received_at for claim in claims)
        since = [latest - timedelta(days=days) for days in windows.values()]
        cursor.execute(RECENT_COUNTS, [int_array(windows), since, literal])
    else:
        cursor.execute(COUNTS, [literal])
    for profile_id, type_id, count in cursor.fetchall():
        groups[profile_id].counts[type_id] = count


def _blocked(cursor: Any, nodes: dict[bytes, Node], groups: dict[int, Group]) -> tuple[set[tuple[int, int]], bool]:
    """Return the blocked edges of the identifiers, and whether any of their profiles are apart; note which."""
    cursor.execute(ANY_BLOCKED)
    is_any, is_any_apart = cursor.fetchone()
    blocked: set[tuple[int, int]] = set()
    pairs: list[tuple[int, int]] = []
    if is_any:
        ids = int_array(node.id for node in nodes.values())
        cursor.execute(BLOCKED, [ids, ids])
        blocked = set(cursor.fetchall())
    if is_any_apart:
        ids = int_array(groups)
        cursor.execute(APART, [ids, ids])
        pairs = [(one, other) for one, other in cursor.fetchall() if one != other]
    for one, other in pairs:
        groups[one].apart = [*(groups[one].apart or ()), groups[other]]
        groups[other].apart = [*(groups[other].apart or ()), groups[one]]
    return blocked, bool(pairs)
