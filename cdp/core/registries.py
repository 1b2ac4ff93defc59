"""Registries: how a lower app reaches what a higher one provides, without importing it.

Each is filled in `AppConfig.ready()` and read at call time. All protocols work on lists, so that their cost is a
constant number of SQL statements.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from cdp.core.models import Job


@dataclass(frozen=True, slots=True)
class MergePair:
    """One merge: rows of `absorbed_id` now belong to `survivor_id` (internal ids).

    `kept_id` of the two is the internal id that goes on existing; `dropped_id` is the other. Internal ids do not tell
    which public id survives: that is `survivor_uuid`.
    """

    kept_id: int
    dropped_id: int
    survivor_uuid: str
    absorbed_uuid: str
    merge_id: int
    message_id: str


@dataclass(frozen=True, slots=True)
class SplitPair:
    """One split: the identifiers `identifier_ids` left profile `from_id` for the new profile `to_id`."""

    from_id: int
    to_id: int
    identifier_ids: tuple[int, ...]


class MergeParticipant(Protocol):
    """What must follow when profiles are merged or split. Called inside the locked transaction."""

    name: str

    def on_merge(self, *, pairs: Sequence[MergePair], now: datetime) -> None: ...

    def on_split(self, *, pairs: Sequence[SplitPair], now: datetime) -> None: ...


class PersonalData(Protocol):
    """A store of personal data: how it is exported, erased, and searched for what remains.

    `subject` names the person in every form that a store may hold: internal profile ids, public ids, identifiers.
    """

    name: str

    def export(self, *, subject: "Subject") -> Mapping[str, Any]: ...

    def count(self, *, subject: "Subject") -> int: ...

    def erase(self, *, subject: "Subject", limit: int) -> int:
        """Erase up to `limit` rows and return how many; 0 means done."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """A data subject after closure over merges; `request_id` is the erasure that is carried out, if one is."""

    profile_ids: tuple[int, ...]
    uuids: tuple[str, ...]
    identifiers: tuple[tuple[str, str], ...]
    identifier_ids: tuple[int, ...]
    lookups: tuple[bytes, ...]
    request_id: str = ""


class RemovalWatch(Protocol):
    """Tells how the removals stand that erasures left at destinations.

    `standings` answers for pairs of an erasure's id and a destination's key with a word of `STANDINGS`.
    """

    def known_since(self, *, keys: Iterable[str]) -> Mapping[str, datetime]: ...

    def made_for(self, *, request_id: str) -> Iterable[tuple[str, str]]:
        """Return recipient and destination of every removal that an erasure left."""
        ...

    def standings(self, *, asked: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], str]: ...


# Nothing to remove there · under way · the receiver has taken it · tried in vain · waits, the destination is switched
# off · there is no such destination any more.
STANDINGS = ("clear", "waiting", "confirmed", "given_up", "off", "gone")


class ProfileSection(Protocol):
    """A part of the profile's page and REST answer, given by the app that owns it."""

    key: str
    title: str
    template: str

    def read(self, *, profile_ids: Sequence[int], now: datetime) -> Mapping[int, Any]: ...


class ConsentRecorder(Protocol):
    """Records the consent objects that messages carried (inside the locked transaction)."""

    def __call__(self, *, rows: Sequence["ConsentObject"], now: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class ConsentObject:
    """The consent object of one accepted message.

    `categories` maps category ids to what the person chose; `explicit` is true for the event
    ``Segment Consent Preference Updated``. `signals` holds what else the message says of consent: ``tcf`` (a string),
    ``mode`` (Google's consent mode), ``gpc`` (the request had the header), and evidence.
    """

    profile_id: int
    profile_uuid: str
    identifier_id: int
    source_id: int
    anonymous_id: str
    message_id: str
    occurred_at: datetime
    received_at: datetime
    categories: Mapping[str, bool]
    explicit: bool
    signals: Mapping[str, Any] = field(default_factory=dict)


class Mentions(Protocol):
    """The names of a person, as they are looked for in what belongs to others."""

    @property
    def patterns(self) -> list[str]:
        """LIKE patterns over text lowered from A to Z: what holds a name matches one of them, other texts may."""
        ...

    def found_in(self, raw: bytes) -> bool: ...


@dataclass(frozen=True, slots=True)
class WorkStep:
    """A kind of waiting work: how many rows wait, and one bounded pass over them."""

    name: str
    count_pending: Callable[[], int]
    run: Callable[[], int]


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of values that a function encrypts anew, where they are not what `cdp.core.secrets.seal` made.

    `anew` returns None for what is under the current key already.
    """

    table: str
    column: str
    key: str
    anew: Callable[[bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class FieldUse:
    """Somebody who uses traits and events for a purpose: ``segment:KEY``, and the tokens that it depends on."""

    used_by: str
    title: str
    purpose: str
    tokens: frozenset[str]


merge_participants: list[MergeParticipant] = []
personal_data: list[PersonalData] = []
profile_sections: list[ProfileSection] = []
work_steps: list[WorkStep] = []
consent_recorders: list[ConsentRecorder] = []
# Identifiers (type, normal form, digest) → the digests of those that are suppressed, themselves or by a hash.
suppression_checks: list[Callable[[Iterable[tuple[str, str, bytes]]], set[bytes]]] = []
# (type key, value as given) → its normal form, None if it is none of that type. Filled by the app that reads messages,
# so that REST and messages agree on what an identifier is.
identifier_normalisers: list[Callable[[str, str], str | None]] = []
# Called with the ids of events that erasure deletes, in its transaction: their outcome rows follow.
erased_event_listeners: list[Callable[[Sequence[int]], None]] = []
# Called by erasure, outside of any lock, to take the person's names out of what belongs to others: with the names, and
# with a function to be called between the parts of the work. Each returns how many places it changed.
mention_redactors: list[Callable[[Mentions, Callable[[], None]], int]] = []
# Source ids → their keys, for apps that show where something came from.
source_keys: list[Callable[[], Mapping[int, str]]] = []
# Source ids → their kinds, as the rules of identity name them.
source_kinds: list[Callable[[], Mapping[int, str]]] = []
# Internal profile ids → those about whom something is known that no event tells, so that they stay when the events that
# made them are taken back.
profile_anchors: list[Callable[[Sequence[int]], Iterable[int]]] = []
# Who uses fields for a purpose now, so that the officer sees what no longer fits their tags.
field_uses: list[Callable[[], Iterable[FieldUse]]] = []
# Internal profile ids → those that fuzzy matching must leave alone: no purpose allows it.
matching_checks: list[Callable[[Sequence[int]], set[int]]] = []
# The name of a trait → who compares its values now, in words: it cannot be stored encrypted meanwhile.
trait_comparers: list[Callable[[str], Iterable[str]]] = []
consent_requirements: list[Callable[[str, Iterable[int]], Mapping[int, str]]] = []

# Name of a check, what it found, and whether all is well: shown by `/readyz`, whose state it can make degraded.
readiness_checks: list[Callable[[], tuple[str, str, bool]]] = []

# Name, explanation and value of further gauges for `/metrics`, read in one call.
gauges: list[Callable[[], Iterable[tuple[str, str, float]]]] = []

# By kind. True: the job is done; False: call again. A handler runs in the transaction that also writes the job's
# progress, so a step happens exactly once. Those in the second table reach the network or run VACUUM: they run outside
# any transaction and must bear being run twice.
job_handlers: dict[str, Callable[["Job"], bool]] = {}
job_handlers_outside_transaction: dict[str, Callable[["Job"], bool]] = {}

# What a master key encrypts beside the columns whose name ends in `sealed` (`cdp.core.services.rotation`).
sealed_columns: list[SealedColumn] = []

# Called after each migration by `ensure_administrator`: default rows, partitions ahead. Idempotent.
preparations: list[Callable[[], None]] = []

# Called with a person's internal id and a trait that was put right by hand or is left to messages again, in that
# transaction: whoever was sent the old value is sent the new one.
correction_listeners: list[Callable[[int, str], None]] = []

# One at most: the app that knows destinations.
removal_watches: list[RemovalWatch] = []

# Called each hour by `core.keep_house`: partitions ahead, rows whose time is up. Idempotent.
housekeeping: list[Callable[[datetime], None]] = []

# Tables that are in no backup, with what keeps their rows elsewhere after each backup and before each restore, and what
# brings them back once a backup is read in.
kept_apart: dict[str, tuple[Callable[[], int], Callable[[], int]]] = {}

# Called when a backup begins, in its snapshot: what must be known of the database before it is read in again.
backup_facts: list[Callable[[], Mapping[str, Any]]] = []

# Called before a backup is read in, with its facts: raises what speaks against it.
restore_checks: list[Callable[[Mapping[str, Any]], None]] = []

# Called before web and workers are let at the database, and at the end of each restore: raises what keeps them out.
# With True it first does what is missing, and returns a sentence on that, or none.
start_checks: list[Callable[[bool], str]] = []
