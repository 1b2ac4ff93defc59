"""The part of the identity graph that one batch touches, as plain objects.

A `Node` is an identifier, a `Group` the profile (component) that holds it. Groups that were merged point to the group
that went on; `Node.group` may be stale, `find` follows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum


class AliasState(IntEnum):
    """Whether a secret-key alias named an anonymous_id as previousId (`profiles.models.Identifier.AliasState`)."""

    NONE = 0
    NAMED_ONLY = 1
    ALSO_SEEN = 2


class LinkKind(IntEnum):
    """What joined two identifiers (`profiles.models.Merge.Kind`)."""

    RULE = 1
    ALIAS = 2
    STEWARD = 3
    MODEL = 4
    IMPORT = 5
    # Never of a merge: a blocked edge by which somebody declared two whole profiles to be different.
    APART = 6


@dataclass(frozen=True, slots=True)
class TypeRule:
    """An identifier type as the resolver needs it.

    Attributes
    ----------
    limit : int or None
        How many values one profile may hold; with `window_days`, may gain within that many days. None: no limit.
    sharing_limit : int or None
        By how many values of the types that assert one value may be asserted before it is quarantined.
    link_purpose : str
        The purpose that the person must have granted before a value of this type joins anything; "" for none.
    asserts : bool
        A value of this type names one account or record: who asserts the same value of another type is counted by it.
    """

    id: int
    key: str
    priority: int
    limit: int | None
    sharing_limit: int | None = None
    window_days: int | None = None
    link_purpose: str = ""
    asserts: bool = False


class Group:
    """A profile within the batch.

    `profile_ids` are the internal ids that became this group; `id` is the one that goes on existing. `counts` holds the
    number of identifiers by type id; it is complete wherever a claim can change or break it. `apart` are the groups
    that somebody declared to be other people.
    """

    __slots__ = (
        "apart", "counts", "created_at", "first_event_at", "id", "is_new", "new_nodes", "parent", "profile_ids",
        "stored_events", "uuid",
    )  # fmt: skip

    def __init__(
        self, id: int, uuid: str, created_at: datetime, first_event_at: datetime | None, stored_events: int
    ) -> None:
        self.id = id
        self.uuid = uuid
        self.created_at = created_at
        self.first_event_at = first_event_at
        self.stored_events = stored_events
        self.counts: dict[int, int] = {}
        self.profile_ids = [id]
        self.new_nodes: list[Node] = []
        self.parent: Group | None = None
        self.is_new = False
        self.apart: list[Group] | None = None


def find(group: Group) -> Group:
    """Return the group that `group` has become."""
    while group.parent is not None:
        group = group.parent
    return group


class Node:
    """An identifier within the batch."""

    __slots__ = (
        "alias_state",
        "first_seen_at",
        "group",
        "id",
        "is_new",
        "lookup",
        "may_be_shared",
        "quarantined",
        "source_id",
        "type",
        "value",
    )

    def __init__(self, id: int, type: TypeRule, lookup: bytes, value: str, group: Group) -> None:
        self.id = id
        self.type = type
        self.lookup = lookup
        self.value = value
        self.group = group
        self.alias_state = AliasState.NONE
        self.is_new = False
        self.first_seen_at: datetime | None = None
        self.source_id = 0
        self.quarantined = False
        self.may_be_shared = False


class Given:
    """An identifier as a message gave it.

    `twin` is the lookup of the same value as the other of user_id and anonymous_id; None for other types.
    """

    __slots__ = ("lookup", "twin", "type", "value")

    def __init__(self, type: TypeRule, lookup: bytes, value: str, twin: bytes | None = None) -> None:
        self.type = type
        self.lookup = lookup
        self.value = value
        self.twin = twin


class Claim:
    """What one message says about identity: its identifiers, strongest first.

    `previous` is the previousId of an `alias`, read as user_id and as anonymous_id; `is_secret` tells whether the
    message came with a secret key.
    """

    __slots__ = (
        "given", "is_secret", "message_id", "occurred_at", "previous", "received_at", "rule", "source_id"
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 - made once per message on the hot path: a second object would cost more
        self,
        given: list[Given],
        message_id: str,
        source_id: int,
        occurred_at: datetime,
        received_at: datetime,
        rule: str,
        previous: tuple[Given, Given] | None = None,
        is_secret: bool = False,
    ) -> None:
        self.given = given
        self.message_id = message_id
        self.source_id = source_id
        self.occurred_at = occurred_at
        self.received_at = received_at
        self.rule = rule
        self.previous = previous
        self.is_secret = is_secret


@dataclass(slots=True)
class MergeRecord:
    """A merge to write: the public id `absorbed_uuid` went into `survivor_uuid`; the internal `dropped_id` goes.

    `absorbed_id` is the internal id that the absorbed side had: it may be the one that goes on.
    The absorbed side's identifiers are those of `absorbed_profile_ids` as stored, and `absorbed_new_ids`.
    """

    survivor_uuid: str
    absorbed_uuid: str
    absorbed_created_at: datetime
    dropped_id: int
    absorbed_profile_ids: tuple[int, ...]
    absorbed_new_ids: tuple[int, ...]
    group: Group
    claim: Claim
    kind: LinkKind
    absorbed_id: int = 0


@dataclass(slots=True)
class RefusalRecord:
    """An identifier that was left out, with the public ids of the profiles that it would have joined.

    `limit` is the one that would have been passed, where it was a limit.
    """

    profile_uuids: list[str]
    type_key: str
    value: str
    reason: str
    claim: Claim
    limit: int | None = None


@dataclass(slots=True)
class EdgeRecord:
    """A link between two identifiers, `a` < `b`, and the merge that it caused, if any.

    One that is `refused` was stated and joins nothing: it is kept for counting, and for rules that may allow it.
    """

    a: int
    b: int
    claim: Claim
    kind: LinkKind
    merge: MergeRecord | None = None
    refused: bool = False


@dataclass(slots=True)
class Graph:
    """The known part of the graph, and what the batch adds to it.

    Attributes
    ----------
    nodes : dict
        Known identifiers by lookup.
    blocked : set of (int, int)
        Pairs of identifier ids, smaller first, that must not be joined. Those that keep whole profiles apart are not
        among them but in `Group.apart`.
    is_divided : bool
        Whether any groups are apart.
    rules : dict
        Identifier types by id.
    has_quarantined : bool
        Some of the known identifiers are quarantined: they join nothing.
    asks_consent, link_states : bool, dict
        Some type's rule asks for a purpose; the state of consent by purpose and profile id.
    asserted : dict
        Values with a sharing limit, and the ids of the identifiers that asserted them in this batch.
    past_sharing : dict
        Values that this batch alone took past their sharing limit, and by how many they were asserted.
    node_ids, profile_ids, uuids : iterators
        Fresh ids for what is made.
    """

    nodes: dict[bytes, Node]
    blocked: set[tuple[int, int]]
    rules: dict[int, TypeRule]
    node_ids: Iterator[int]
    profile_ids: Iterator[int]
    uuids: Iterator[str]
    is_divided: bool = False
    new_groups: list[Group] = field(default_factory=list)
    new_nodes: list[Node] = field(default_factory=list)
    changed_nodes: dict[int, Node] = field(default_factory=dict)
    edges: dict[tuple[int, int], EdgeRecord] = field(default_factory=dict)
    refused_edges: dict[tuple[int, int], EdgeRecord] = field(default_factory=dict)
    has_quarantined: bool = False
    asks_consent: bool = False
    link_states: dict[tuple[str, int], str] = field(default_factory=dict)
    asserted: dict[Node, set[int]] = field(default_factory=dict)
    past_sharing: dict[Node, int] = field(default_factory=dict)
    merges: list[MergeRecord] = field(default_factory=list)
    refusals: list[RefusalRecord] = field(default_factory=list)
