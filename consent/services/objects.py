"""Consent objects on messages: what an SDK or a consent tool says becomes decisions of the person.

References
----------
The collection contract's chapter 12, "Consent objects".
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from cdp.core.digests import LOOKUP_BYTES, identifier_digest
from cdp.core.registries import ConsentObject
from consent import decision as rules
from consent.models import SeenPreference
from consent.queries.purposes import categories
from consent.services.ledger import Entry, append_decisions

# Category ids of consent tools are short names; whatever else is sent is counted under one heading, so that nobody can
# fill a table with inventions.
CATEGORY = re.compile(r"[A-Za-z_-][A-Za-z0-9_-]{0,34}")
ODD_CATEGORY = "*"

Key = tuple[int, bytes, int]
"""Source, lookup of the anonymous id, purpose."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """What one object says on one purpose."""

    row: ConsentObject
    key: Key
    purpose: str
    value: bool


def record_consent_objects(*, rows: Sequence[ConsentObject], now: datetime) -> None:
    """Record what the consent objects of accepted messages say.

    Runs inside the processor's locked transaction; the number of statements does not depend on the number of rows.

    Parameters
    ----------
    rows : sequence of ConsentObject
        In order of processing; they are taken in order of receipt.
    now : datetime
        The instant of the profile's history.

    Notes
    -----
    The event made for it (`explicit`) always writes. Any other message writes only where nothing is stored yet, or
    where its answer differs from that of the previous object of the same source and anonymous id with an earlier
    time: a page that repeats its cookie must not overrule what the person said elsewhere. The time of record is that
    of receipt, so that the order in which batches are processed cannot turn a withdrawal around.
    """
    if not rows:
        return
    mapping = categories()
    choices = [choice for row in sorted(rows, key=lambda row: row.received_at) for choice in _choices(row, mapping)]
    _count_unmapped(rows, mapping, now=now)
    if not choices:
        return
    seen = _read_seen({choice.key for choice in choices})
    before: list[tuple[bool, datetime] | None] = []
    latest = dict(seen)
    for choice in choices:
        previous = latest.get(choice.key)
        before.append(previous)
        if previous is None or choice.row.occurred_at > previous[1]:
            latest[choice.key] = (choice.value, choice.row.occurred_at)
    entries = [_entry(choice) for choice in choices]
    places = {id(entry): place for place, entry in enumerate(entries)}

    def wanted(entry: Entry, history: Sequence[rules.Decision]) -> bool:
        place = places[id(entry)]
        choice, previous = choices[place], before[place]
        if choice.row.explicit:
            return True
        if previous is not None and previous[1] < choice.row.occurred_at and previous[0] != choice.value:
            return True
        standing = rules.stand(history, purpose=choice.purpose, channel=None)
        return standing.decided_by is None

    append_decisions(entries, now=now, wanted=wanted)
    _write_seen(choices, latest)


def _choices(row: ConsentObject, mapping: Mapping[int, tuple[str, tuple[str, ...]]]) -> Iterable[_Choice]:
    """Return what an object says on each purpose: no as soon as one category says no, yes only if all say yes."""
    for purpose_id, (key, wanted) in mapping.items():
        named = [row.categories[category] for category in wanted if category in row.categories]
        if not named or (all(named) and len(named) < len(wanted)):
            continue
        yield _Choice(row, (row.source_id, _lookup(row), purpose_id), key, all(named))


def _lookup(row: ConsentObject) -> bytes:
    if row.anonymous_id:
        return identifier_digest("anonymous_id", row.anonymous_id)[:LOOKUP_BYTES]
    return identifier_digest("", str(row.identifier_id))[:LOOKUP_BYTES]


def _entry(choice: _Choice) -> Entry:
    row = choice.row
    return Entry(
        profile_id=row.profile_id,
        identifier_id=row.identifier_id,
        purpose_id=choice.key[2],
        draft=rules.Draft(
            subject=row.profile_uuid,
            purpose=choice.purpose,
            channel=None,
            state=rules.GRANTED if choice.value else rules.DENIED,
            occurred_at=row.occurred_at,
            recorded_at=row.received_at,
        ),
        source=f"source:{row.source_id}",
        evidence={"method": "consent_object", "message_id": row.message_id, "categories": dict(row.categories)},
        message_id=row.message_id,
    )


READ_SEEN = """
SELECT s.source_id, s.lookup, s.purpose_id, s.value, s.occurred_at FROM consent_seenpreference s
JOIN unnest(%s::int[], %s::bytea[], %s::int[]) AS k(source_id, lookup, purpose_id)
  ON k.source_id = s.source_id AND k.lookup = s.lookup AND k.purpose_id = s.purpose_id
"""


def _read_seen(keys: Iterable[Key]) -> dict[Key, tuple[bool, datetime]]:
    wanted = list(keys)
    with connection.cursor() as cursor:
        cursor.execute(READ_SEEN, [[key[0] for key in wanted], [key[1] for key in wanted], [key[2] for key in wanted]])
        return {
            (source_id, bytes(lookup), purpose_id): (value, occurred_at)
            for source_id, lookup, purpose_id, value, occurred_at in cursor.fetchall()
        }


def _write_seen(choices: Sequence[_Choice], latest: Mapping[Key, tuple[bool, datetime]]) -> None:
    holders = {choice.key: choice.row.identifier_id for choice in choices}
    SeenPreference.objects.bulk_create(
        [
            SeenPreference(
                source_id=key[0],
                lookup=key[1],
                purpose_id=key[2],
                identifier_id=identifier_id,
                value=latest[key][0],
                occurred_at=latest[key][1],
            )
            for key, identifier_id in sorted(holders.items())
        ],
        update_conflicts=True,
        unique_fields=["source_id", "lookup", "purpose"],
        update_fields=["value", "occurred_at", "identifier_id"],
    )


COUNT_UNMAPPED = """
INSERT INTO consent_unmappedcategory (source_id, category, count, last_seen_at)
SELECT s, c, n, %s FROM unnest(%s::int[], %s::text[], %s::bigint[]) AS t(s, c, n)
ON CONFLICT (source_id, category) DO UPDATE
SET count = consent_unmappedcategory.count + excluded.count, last_seen_at = excluded.last_seen_at
"""


def _count_unmapped(
    rows: Sequence[ConsentObject], mapping: Mapping[int, tuple[str, tuple[str, ...]]], *, now: datetime
) -> None:
    known = {category for _, own in mapping.values() for category in own}
    counts = Counter(
        (row.source_id, category if CATEGORY.fullmatch(category) else ODD_CATEGORY)
        for row in rows
        for category in row.categories
        if category not in known
    )
    if not counts:
        return
    ordered = sorted(counts)
    with connection.cursor() as cursor:
        cursor.execute(
            COUNT_UNMAPPED,
            [now, [key[0] for key in ordered], [key[1] for key in ordered], [counts[key] for key in ordered]],
        )
