"""Which messages of copied requests may leave the house, decided at the moment of sending, for many at once.

What cannot be decided stays: a message that cannot be read, a person who is not known where a purpose is asked for.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from cdp.core.copying import bytea_array
from cdp.core.digests import LOOKUP_BYTES, identifier_digest
from cdp.core.registries import suppression_checks
from consent.services.gate import filter_processable
from ingestion.models import ForwardedCopy, Forwarding
from ingestion.queries.write_keys import read_identifier_rules
from ingestion.services.forward_bodies import readable
from ingestion.services.treating import find_treatment, read_treated
from ingestion.spec.identifiers import IdentifierRules
from ingestion.spec.item import read_item
from ingestion.spec.message import BadItem, Message
from ingestion.treatment.treatment import Treated, Treatment

PEOPLE = """
SELECT i.lookup, p.id, p.restricted FROM profiles_identifier i JOIN profiles_profile p ON p.id = i.profile_id
WHERE i.lookup = ANY(%s::bytea[])
"""
SEND, SUPPRESSED, REFUSED, UNREADABLE = "send", "suppressed", "refused", "unreadable"


@dataclass(frozen=True, slots=True)
class Readings:
    """A copy, and the identifiers (type, normal form, digest) that each of its items holds; none: it cannot be read."""

    copy: ForwardedCopy
    items: list[set[tuple[str, str, bytes]]]


@dataclass(frozen=True, slots=True)
class Judged:
    """A copy, and for each of its items whether it may be sent or why not."""

    copy: ForwardedCopy
    verdicts: list[str]


def read_copies(*, forwarding: Forwarding, copies: Sequence[ForwardedCopy]) -> list[Readings]:
    """Read whom the items of copies are about."""
    rules = read_identifier_rules()
    treatment = find_treatment(forwarding.source)
    return [Readings(one, [_named(item) for item in _items(one, forwarding, treatment, rules)]) for one in copies]


def judge_copies(*, forwarding: Forwarding, readings: Sequence[Readings], now: datetime) -> list[Judged]:
    """Decide about every item of the copies, in a constant number of statements.

    Notes
    -----
    A message is left out if any identifier in it is suppressed or belongs to somebody whose processing is restricted.
    Where a purpose is asked for, by the forwarding or already by the source before it stores, somebody must be known
    by the message's identifiers, and all of those must allow it.
    """
    suppressed = _suppressed(readings)
    people = _people({digest for one in readings for item in one.items for _, _, digest in item})
    purposes = {forwarding.purpose, forwarding.source.required_purpose} - {""}
    allowed = {person for person, restricted in people.values() if not restricted}
    for purpose in purposes:
        allowed &= set(filter_processable(profile_ids=sorted(allowed), purpose=purpose, channel=None, at=now))

    def judge(item: set[tuple[str, str, bytes]]) -> str:
        if not item:
            return UNREADABLE
        digests = {digest for _, _, digest in item}
        if not suppressed.isdisjoint(digests):
            return SUPPRESSED
        known = {people[digest[:LOOKUP_BYTES]][0] for digest in digests if digest[:LOOKUP_BYTES] in people}
        return REFUSED if not known <= allowed or (purposes and not known) else SEND

    return [Judged(one.copy, [judge(item) for item in one.items]) for one in readings]


def find_suppressed_items(readings: Sequence[Readings]) -> list[Judged]:
    """Return the copies that hold something of a suppressed person, each item as `SUPPRESSED` or to be sent."""
    suppressed = _suppressed(readings)

    def judge(item: set[tuple[str, str, bytes]]) -> str:
        return SUPPRESSED if any(digest in suppressed for _, _, digest in item) else SEND

    judged = [Judged(one.copy, [judge(item) for item in one.items]) for one in readings]
    return [one for one in judged if SUPPRESSED in one.verdicts]


def _suppressed(readings: Sequence[Readings]) -> set[bytes]:
    named = {one for reading in readings for item in reading.items for one in item}
    return {found for check in suppression_checks for found in check(named)} if named else set()


def _people(digests: Iterable[bytes]) -> dict[bytes, tuple[int, bool]]:
    with connection.cursor() as cursor:
        cursor.execute(PEOPLE, [bytea_array({digest[:LOOKUP_BYTES] for digest in digests})])
        return {bytes(lookup): (person, restricted) for lookup, person, restricted in cursor.fetchall()}


def _named(messages: list[Message]) -> set[tuple[str, str, bytes]]:
    found = {(kind, value) for message in messages for kind, value, _ in message.identifiers}
    found.update((kind, one.previous_id) for one in messages if one.previous_id for kind in ("user_id", "anonymous_id"))
    return {(kind, value, identifier_digest(kind, value)) for kind, value in found}


def _items(
    one: ForwardedCopy, forwarding: Forwarding, treatment: Treatment | None, rules: IdentifierRules
) -> list[list[Message]]:
    """Return what each item of a request was read as: as it came, and as the source's own definitions change it.

    The first tells what the other system will see in it, the second whom it is about in this one.
    """
    batch = readable(bytes(one.body), one.endpoint)
    if batch is None:
        return [[] for _ in range(one.items)]
    options: dict[str, Any] = {
        "batch": batch,
        "received_at": one.received_at,
        "max_event_bytes": forwarding.source.max_event_bytes,
        "rules": rules,
        "new_id": lambda: "",
    }
    items = []
    for item in batch.items:
        readings = []
        if treatment is not None and not isinstance(item, BadItem):
            # Reading uses an item up.
            treated = Treated(treatment, batch.context)
            readings.append(read_treated(copy.deepcopy(item), treatment, **options, treated=treated))
        readings.append(read_item(item, **options))
        items.append([reading for reading in readings if isinstance(reading, Message)])
    return items
