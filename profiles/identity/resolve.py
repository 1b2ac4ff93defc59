"""Deciding whose message it is: limits, priorities, demotion, aliases, blocked edges and merges.

* The identifiers of a message are tried together. If joining them would put more values of a type on one profile than
  the type's limit, the weakest identifier is left out and the rest is tried again; each one left out is a refusal.
* Two identifiers whose edge is blocked are never joined by a message: the weaker one is left out. So is one that
  would join two profiles that somebody declared to be different.
* A quarantined value joins nothing: it is left out without a refusal, as its quarantine is in the ledger.
* A type may ask for a purpose: its values join nothing unless one of the profiles concerned has granted it and none has
  denied or withdrawn it, or objected.
* What a limit or a missing purpose left out is kept as a refused edge, so that it counts for sharing limits and other
  rules can be tried on it.
* An anonymous_id equal to the user_id of another profile adds no edge and is a refusal.
* An `alias` from a secret key joins two user_ids whatever the limits say; from a public key it may join only an id that
  has no identified profile of its own.
* The survivor of a merge is the profile with the earliest event, then the older one. The side with fewer stored events
  is re-pointed, whichever public id survives.

References
----------
Segment Unify, "Identity resolution settings" (limits and priorities).
"""

from datetime import UTC, datetime

from profiles.identity.graph import (
    AliasState,
    Claim,
    EdgeRecord,
    Given,
    Graph,
    Group,
    LinkKind,
    MergeRecord,
    Node,
    RefusalRecord,
    TypeRule,
    find,
)

NEVER = datetime.max.replace(tzinfo=UTC)
GRANTED = "granted"
FORBIDS = frozenset({"denied", "withdrawn", "objected", "expired"})


def resolve(graph: Graph, claim: Claim) -> tuple[Group, list[int]]:
    """Decide whose message `claim` is, and record in `graph` what it adds.

    Returns
    -------
    (Group, list of int)
        The group of the strongest identifier, and the ids of all known identifiers of the message: those that hold
        first, strongest first, then those left out.
    """
    given = claim.given
    if len(given) == 1 and claim.previous is None:
        node = _known(graph, given[0], claim)
        if node is None:
            node = _new_node(graph, given[0], _new_group(graph, claim), claim)
        group = find(node.group)
        _note_event(group, claim)
        return group, [node.id]
    return _resolve_several(graph, claim)


def _resolve_several(graph: Graph, claim: Claim) -> tuple[Group, list[int]]:
    candidates = list(claim.given)
    left_out: list[Given] = []
    unjoined: list[Given] = []
    is_alias = claim.previous is not None and _add_previous(graph, claim, candidates)
    nodes = {one.lookup: _known(graph, one, claim) for one in candidates}
    _leave_out_user_ids(graph, claim, candidates, left_out)
    if graph.blocked or graph.is_divided:
        _leave_out_blocked(graph, claim, candidates, left_out)
    if graph.asserted:
        _quarantine_shared(graph, candidates, nodes)
    if graph.has_quarantined:
        _leave_out_quarantined(candidates, nodes, left_out)
    roots = _roots(candidates, nodes)
    may_exceed = is_alias and claim.is_secret
    if graph.asks_consent and not may_exceed:
        unjoined += _leave_out_unconsented(graph, claim, candidates, nodes, left_out)
        roots = _roots(candidates, nodes)
    while len(candidates) > 1 and not may_exceed:
        broken = _broken_limit(graph, candidates, nodes, roots)
        if broken is None:
            break
        unjoined.append(candidates.pop(_weakest(graph, candidates, nodes)))
        _refuse(graph, claim, unjoined[-1], roots, f"{broken.key} limit", left_out, broken.limit)
        roots = _roots(candidates, nodes)
    first = nodes[candidates[0].lookup]
    home = find(first.group) if first is not None else None
    root_of = {one.lookup: find(node.group) for one in candidates if (node := nodes[one.lookup]) is not None}
    kind = LinkKind.ALIAS if is_alias else LinkKind.IMPORT if claim.rule == "import" else LinkKind.RULE
    group, merges = join(graph, claim, roots, kind=kind)
    held = [
        nodes[one.lookup] or graph.nodes.get(one.lookup) or _new_node(graph, one, group, claim) for one in candidates
    ]
    if may_exceed:
        _mark_alias(graph, claim, held, was_known=nodes)
    _add_edges(graph, claim, candidates, held, root_of, merges, home, kind)
    if unjoined:
        _add_refused_edges(graph, claim, unjoined, held, kind)
    _note_event(group, claim)
    ids = list(dict.fromkeys(node.id for node in held))
    ids.extend(node.id for one in left_out if (node := graph.nodes.get(one.lookup)) is not None and node.id not in ids)
    return group, ids


def _known(graph: Graph, one: Given, claim: Claim) -> Node | None:
    """Find the identifier; a user_id may be known from an alias that named it before it arrived."""
    node = graph.nodes.get(one.lookup)
    if node is not None:
        if node.alias_state == AliasState.NAMED_ONLY and not _is_previous(one, claim):
            node.alias_state = AliasState.ALSO_SEEN
            _changed(graph, node)
        return node
    if one.twin is None or one.type.key != "user_id":
        return None
    named = graph.nodes.get(one.twin)
    if named is None or named.alias_state == AliasState.NONE:
        return None
    group = find(named.group)
    if named.alias_state == AliasState.NAMED_ONLY:
        del graph.nodes[named.lookup]
        group.counts[named.type.id] = group.counts.get(named.type.id, 1) - 1
        group.counts[one.type.id] = group.counts.get(one.type.id, 0) + 1
        named.type, named.lookup, named.value = one.type, one.lookup, one.value
        named.alias_state = AliasState.NONE
        graph.nodes[one.lookup] = named
        _changed(graph, named)
        return named
    named.alias_state = AliasState.NONE
    _changed(graph, named)
    node = _new_node(graph, one, group, claim)
    _edge(graph, claim, named, node, kind=LinkKind.ALIAS, merge=None)
    return node


def _is_previous(one: Given, claim: Claim) -> bool:
    return claim.previous is not None and one is claim.previous[1]


def _changed(graph: Graph, node: Node) -> None:
    if not node.is_new:
        graph.changed_nodes[node.id] = node


def _new_group(graph: Graph, claim: Claim) -> Group:
    group = Group(next(graph.profile_ids), next(graph.uuids), claim.received_at, None, 0)
    group.is_new = True
    graph.new_groups.append(group)
    return group


def _new_node(graph: Graph, one: Given, group: Group, claim: Claim) -> Node:
    node = Node(next(graph.node_ids), one.type, one.lookup, one.value, group)
    node.is_new = True
    node.first_seen_at = claim.received_at
    node.source_id = claim.source_id
    graph.nodes[one.lookup] = node
    graph.new_nodes.append(node)
    group.new_nodes.append(node)
    group.counts[one.type.id] = group.counts.get(one.type.id, 0) + 1
    return node


def _note_event(group: Group, claim: Claim) -> None:
    if group.first_event_at is None or claim.occurred_at < group.first_event_at:
        group.first_event_at = claim.occurred_at


def _add_previous(graph: Graph, claim: Claim, candidates: list[Given]) -> bool:
    """Add an alias's previousId to the candidates: as user_id if such an identifier exists, else as anonymous_id."""
    assert claim.previous is not None
    as_user, as_anonymous = claim.previous
    if any(one.lookup in {as_user.lookup, as_anonymous.lookup} for one in candidates):
        return False
    known = graph.nodes.get(as_user.lookup)
    previous = as_user if known is not None else as_anonymous
    node = known or graph.nodes.get(as_anonymous.lookup)
    if node is not None and not claim.is_secret:
        own = find(node.group)
        others = _roots(candidates, {one.lookup: graph.nodes.get(one.lookup) for one in candidates})
        if own not in others and _is_identified(graph, own):
            _refuse(graph, claim, previous, [*others, own], "alias from a public key to an identified profile", [])
            return False
    position = sum(1 for one in candidates if one.type.priority <= previous.type.priority)
    candidates.insert(position, previous)
    return True


def _is_identified(graph: Graph, group: Group) -> bool:
    return any(count > 0 and graph.rules[type_id].key == "user_id" for type_id, count in group.counts.items())


def _leave_out_user_ids(graph: Graph, claim: Claim, candidates: list[Given], left_out: list[Given]) -> None:
    """Leave out each anonymous_id whose value is the user_id of another profile."""
    for one in list(candidates):
        if one.twin is None or one.type.key != "anonymous_id" or len(candidates) == 1 or _is_previous(one, claim):
            continue
        user = graph.nodes.get(one.twin)
        if user is None or user.type.key != "user_id":
            continue
        strongest = next(other for other in candidates if other is not one)
        holder = graph.nodes.get(strongest.lookup)
        other_group = find(user.group)
        if holder is not None and find(holder.group) is other_group:
            continue
        roots = [other_group] if holder is None else [find(holder.group), other_group]
        candidates.remove(one)
        _refuse(graph, claim, one, roots, "anonymous_id is the user_id of another profile", left_out)


def _leave_out_blocked(graph: Graph, claim: Claim, candidates: list[Given], left_out: list[Given]) -> None:
    kept: list[Node] = []
    for one in list(candidates):
        node = graph.nodes.get(one.lookup)
        if node is None:
            continue
        group = find(node.group)
        blocked = [other for other in kept if (min(node.id, other.id), max(node.id, other.id)) in graph.blocked]
        against = blocked or [other for other in kept if _are_apart(group, find(other.group))]
        if against:
            candidates.remove(one)
            roots = list(dict.fromkeys([find(against[0].group), group]))
            _refuse(graph, claim, one, roots, "blocked edge" if blocked else "declared different", left_out)
        else:
            kept.append(node)


def _are_apart(one: Group, other: Group) -> bool:
    return one.apart is not None and any(find(group) is other for group in one.apart)


def _weakest(graph: Graph, candidates: list[Given], nodes: dict[bytes, Node | None]) -> int:
    """Return the place of the identifier to leave out: a record gives way only where the others fit without it."""
    if len(candidates) > 2 and candidates[-1].type.asserts:
        rest = candidates[:-1]
        if _broken_limit(graph, rest, nodes, _roots(rest, nodes)) is not None:
            return -2
    return -1


def _quarantine_shared(graph: Graph, candidates: list[Given], nodes: dict[bytes, Node | None]) -> None:
    """Quarantine at once what this message would take past its sharing limit: nothing of it is joined by the value."""
    for one in candidates:
        limit = one.type.sharing_limit
        node = nodes[one.lookup]
        if limit is None or node is None or node.quarantined or node.may_be_shared:
            continue
        known = graph.asserted.get(node)
        if known is None or len(known) < limit:
            continue
        by = next((other for other in candidates if other.type.asserts), None)
        asserting = nodes[by.lookup] if by is not None else None
        if by is not None and (asserting is None or asserting.id not in known):
            node.quarantined = graph.has_quarantined = True
            graph.past_sharing[node] = len(known) + 1


def _leave_out_quarantined(candidates: list[Given], nodes: dict[bytes, Node | None], left_out: list[Given]) -> None:
    for one in list(candidates):
        node = nodes[one.lookup]
        if node is not None and node.quarantined and len(candidates) > 1:
            candidates.remove(one)
            left_out.append(one)


def _leave_out_unconsented(
    graph: Graph, claim: Claim, candidates: list[Given], nodes: dict[bytes, Node | None], left_out: list[Given]
) -> list[Given]:
    """Leave out what needs a purpose that is not granted, unless it is joined already; return what was left out."""
    found = []
    for one in reversed(list(candidates)):
        purpose = one.type.link_purpose
        if not purpose or len(candidates) == 1:
            continue
        roots = _roots(candidates, nodes)
        node = nodes[one.lookup]
        if node is not None and len(roots) == 1 and all(nodes[other.lookup] is not None for other in candidates):
            continue
        states = {graph.link_states.get((purpose, profile_id)) for root in roots for profile_id in root.profile_ids}
        if GRANTED in states and states.isdisjoint(FORBIDS):
            continue
        candidates.remove(one)
        _refuse(graph, claim, one, roots, f"{one.type.key} needs consent to {purpose}", left_out)
        found.append(one)
    return found


def _refuse(  # noqa: PLR0913 - the parts of one row
    graph: Graph,
    claim: Claim,
    one: Given,
    roots: list[Group],
    reason: str,
    left_out: list[Given],
    limit: int | None = None,
) -> None:
    left_out.append(one)
    uuids = [group.uuid for group in roots]
    graph.refusals.append(RefusalRecord(uuids, one.type.key, one.value, reason, claim, limit))


def _roots(candidates: list[Given], nodes: dict[bytes, Node | None]) -> list[Group]:
    found = (nodes[one.lookup] for one in candidates)
    return list(dict.fromkeys(find(node.group) for node in found if node is not None))


def _broken_limit(
    graph: Graph, candidates: list[Given], nodes: dict[bytes, Node | None], roots: list[Group]
) -> TypeRule | None:
    """Return a type whose limit the join would break; a profile that an alias took past a limit may stay so."""
    added: dict[int, int] = {}
    for lookup, one in {one.lookup: one for one in candidates}.items():
        if nodes[lookup] is None:
            added[one.type.id] = added.get(one.type.id, 0) + 1
    if not added and len(roots) < 2:
        return None
    types = set(added)
    if len(roots) > 1:
        for group in roots:
            types.update(group.counts)
    for type_id in sorted(types):
        limit = graph.rules[type_id].limit
        if limit is None:
            continue
        held = [group.counts.get(type_id, 0) for group in roots]
        total = sum(held) + added.get(type_id, 0)
        if total > limit and total > max(held, default=0):
            return graph.rules[type_id]
    return None


def join(graph: Graph, claim: Claim, roots: list[Group], *, kind: LinkKind) -> tuple[Group, dict[Group, MergeRecord]]:
    """Make the groups one and record the merges.

    Returns
    -------
    (Group, dict)
        The group that goes on (a new one if there was none), and the merge that absorbed each of the others.
    """
    if not roots:
        return _new_group(graph, claim), {}
    survivor, *others = sorted(roots, key=lambda group: (group.first_event_at or NEVER, group.created_at, group.id))
    merges: dict[Group, MergeRecord] = {}
    for absorbed in others:
        # What is not stored yet costs nothing to re-point; of stored sides the one with more events stays.
        keeps_absorbed = (not absorbed.is_new, absorbed.stored_events) > (
            not survivor.is_new,
            survivor.stored_events,
        )
        dropped_id = survivor.id if keeps_absorbed else absorbed.id
        merges[absorbed] = record = MergeRecord(
            survivor_uuid=survivor.uuid,
            absorbed_uuid=absorbed.uuid,
            absorbed_created_at=absorbed.created_at,
            dropped_id=dropped_id,
            absorbed_profile_ids=tuple(absorbed.profile_ids),
            absorbed_new_ids=tuple(node.id for node in absorbed.new_nodes),
            group=survivor,
            claim=claim,
            kind=kind,
            absorbed_id=absorbed.id,
        )
        graph.merges.append(record)
        if keeps_absorbed:
            survivor.id = absorbed.id
        survivor.is_new = survivor.is_new and absorbed.is_new
        survivor.stored_events += absorbed.stored_events
        survivor.profile_ids.extend(absorbed.profile_ids)
        survivor.new_nodes.extend(absorbed.new_nodes)
        for type_id, count in absorbed.counts.items():
            survivor.counts[type_id] = survivor.counts.get(type_id, 0) + count
        if absorbed.first_event_at is not None:
            survivor.first_event_at = min(survivor.first_event_at or NEVER, absorbed.first_event_at)
        if absorbed.apart is not None:
            survivor.apart = [*(survivor.apart or ()), *absorbed.apart]
        absorbed.parent = survivor
    return survivor, merges


def _mark_alias(graph: Graph, claim: Claim, held: list[Node], *, was_known: dict[bytes, Node | None]) -> None:
    """Remember that an anonymous_id was named by a secret alias: the user_id of that value belongs here too."""
    assert claim.previous is not None
    lookup = claim.previous[1].lookup
    for node in held:
        if node.lookup == lookup and node.alias_state == AliasState.NONE:
            node.alias_state = AliasState.NAMED_ONLY if was_known.get(lookup) is None else AliasState.ALSO_SEEN
            _changed(graph, node)


def _add_edges(  # noqa: PLR0913 - the parts of one star
    graph: Graph,
    claim: Claim,
    candidates: list[Given],
    held: list[Node],
    root_of: dict[bytes, Group],
    merges: dict[Group, MergeRecord],
    home: Group | None,
    kind: LinkKind,
) -> None:
    """Link the strongest identifier with each other one; an edge between two profiles belongs to their merge.

    A record that is not the strongest is linked with each shareable value as well: it is what asserts them.
    """
    centre = held[0]
    by = _asserting(held)
    if by is not None and centre is not by and centre.type.sharing_limit is not None:
        graph.asserted.setdefault(centre, set()).add(by.id)
    for one, node in zip(candidates[1:], held[1:], strict=True):
        merge = None
        root = root_of.get(one.lookup)
        if root is not None and root is not home:
            # If the home side itself was absorbed, the edge to the survivor is what joined it.
            merge = merges.get(root) or (merges.get(home) if home is not None else None)
        _edge(graph, claim, centre, node, kind=kind, merge=merge)
        if by is not None and node.type.sharing_limit is not None:
            graph.asserted.setdefault(node, set()).add(by.id)
            if by is not centre:
                _edge(graph, claim, by, node, kind=kind, merge=merge)


def _asserting(held: list[Node]) -> Node | None:
    for node in held:
        if node.type.asserts:
            return node
    return None


def _add_refused_edges(graph: Graph, claim: Claim, unjoined: list[Given], held: list[Node], kind: LinkKind) -> None:
    by = _asserting(held)
    for one in unjoined:
        node = graph.nodes.get(one.lookup)
        if node is None:
            # Nobody holds it, so there is nothing that it could be joined with.
            continue
        for other in (held[0], by or held[0]):
            key = (node.id, other.id) if node.id < other.id else (other.id, node.id)
            if node is not other and key not in graph.refused_edges:
                graph.refused_edges[key] = EdgeRecord(key[0], key[1], claim, kind, None, refused=True)
        if by is not None and node.type.sharing_limit is not None:
            graph.asserted.setdefault(node, set()).add(by.id)


def _edge(graph: Graph, claim: Claim, one: Node, other: Node, *, kind: LinkKind, merge: MergeRecord | None) -> None:
    if one is other:
        return
    key = (one.id, other.id) if one.id < other.id else (other.id, one.id)
    if key not in graph.edges:
        graph.edges[key] = EdgeRecord(key[0], key[1], claim, kind, merge)
