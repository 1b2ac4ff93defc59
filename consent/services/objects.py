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
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import connection

from cdp.core.digests import LOOKUP_BYTES, identifier_digest
from cdp.core.registries import ConsentObject
from consent import decision as rules
from consent.asking_models import SeenPreference
from consent.errors import UnreadableTcString
from consent.models import Notice
from consent.queries.purposes import map_purposes
from consent.services.ledger import Entry, append_decisions
from consent.tcf.decode import TcString, decode
from consent.tcf.judge import judge
from consent.tcf.mapping import Mapped, Signals, answer, read_mode

# Category ids of consent tools are short names; whatever else is sent is counted under one heading, so that nobody can
# fill a table with inventions.
CATEGORY = re.compile(r"[A-Za-z_-][A-Za-z0-9_-]{0,34}")
ODD_CATEGORY = "*"
GPC = "gpc"

Key = tuple[int, bytes, int]
"""Source, lookup of the anonymous id, purpose."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """What one object says on one purpose; `gpc`: by Global Privacy Control, which `overruled` tells not to write."""

    row: ConsentObject
    key: Key
    purpose: str
    value: bool
    gpc: bool = False
    overruled: bool = False


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

    Global Privacy Control writes an objection of its own when a source and anonymous id first send it, unless the same
    event decides on the purpose; sent again, it does not overrule what the person allowed since.
    """
    if not rows:
        return
    mapping = map_purposes()
    ordered = sorted(rows, key=lambda row: row.received_at)
    choices = [choice for row in ordered for choice in _choices(row, mapping)]
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
    notices = _find_notices(rows)
    entries = [_entry(choice, notices) for choice in choices]
    places = {id(entry): place for place, entry in enumerate(entries)}

    def wanted(entry: Entry, history: Sequence[rules.Decision]) -> bool:
        place = places[id(entry)]
        choice, previous = choices[place], before[place]
        standing = rules.stand(history, purpose=choice.purpose, channel=None)
        if choice.gpc:
            refuses = standing.objected or standing.state_at(choice.row.received_at) in rules.REFUSALS
            return not choice.overruled and previous is None and not refuses
        if choice.row.explicit:
            return True
        if previous is not None and previous[1] < choice.row.occurred_at and previous[0] != choice.value:
            return True
        return standing.decided_by is None

    append_decisions(entries, now=now, wanted=wanted)
    _write_seen(choices, latest)


def _choices(row: ConsentObject, mapping: Mapping[int, tuple[str, Mapped]]) -> Iterable[_Choice]:
    """Return what an object says on each purpose."""
    tc = _read_string(row.signals["tcf"])[0] if "tcf" in row.signals else None
    signals = Signals(row.categories, read_mode(row.signals.get("mode")), tc)
    has_gpc = bool(row.signals.get("gpc"))
    for purpose_id, (key, mapped) in mapping.items():
        value = answer(mapped, signals, vendor_id=settings.CDP_TCF_VENDOR_ID)
        if has_gpc and mapped.gpc:
            overruled = row.explicit and value is not None
            yield _Choice(row, (row.source_id, _lookup(row, GPC), purpose_id), key, False, True, overruled)
        if value is not None:
            yield _Choice(row, (row.source_id, _lookup(row), purpose_id), key, value)


@lru_cache(maxsize=1_000)
def _read_string(text: str) -> tuple[TcString | None, str]:
    """Return a consent string that counts, or None and what is wrong with it."""
    try:
        tc = decode(text)
    except UnreadableTcString as error:
        return None, error.fault
    judgement = judge(tc, deleted_cmps=settings.CDP_TCF_DELETED_CMPS)
    return (tc, "") if judgement.counts else (None, judgement.flags[0])


def _lookup(row: ConsentObject, kind: str = "") -> bytes:
    if kind:
        # Erasure finds it by its identifier.
        return identifier_digest(kind, row.anonymous_id or str(row.identifier_id))[:LOOKUP_BYTES]
    if row.anonymous_id:
        return identifier_digest("anonymous_id", row.anonymous_id)[:LOOKUP_BYTES]
    return identifier_digest("", str(row.identifier_id))[:LOOKUP_BYTES]


def _entry(choice: _Choice, notices: Mapping[str, int]) -> Entry:
    row = choice.row
    state = rules.OBJECTED if choice.gpc else rules.GRANTED if choice.value else rules.DENIED
    return Entry(
        profile_id=row.profile_id,
        identifier_id=row.identifier_id,
        purpose_id=choice.key[2],
        draft=rules.Draft(
            subject=row.profile_uuid,
            purpose=choice.purpose,
            channel=None,
            state=state,
            occurred_at=row.occurred_at,
            recorded_at=row.received_at,
        ),
        source=f"source:{row.source_id}",
        notice_id=None if choice.gpc else notices.get(row.signals.get("notice", "")),
        evidence={"method": GPC, "message_id": row.message_id} if choice.gpc else _evidence(row),
        message_id=row.message_id,
    )


def _evidence(row: ConsentObject) -> dict[str, Any]:
    evidence: dict[str, Any] = {
        "method": row.signals.get("method", "consent_object"),
        "message_id": row.message_id,
        "categories": dict(row.categories),
    }
    evidence |= {
        name: row.signals[name] for name in ("gpc", "notice", "language", "user_agent", "ip") if name in row.signals
    }
    mode = read_mode(row.signals.get("mode"))
    if mode:
        evidence["consent_mode"] = mode
    if "tcf" in row.signals:
        evidence["tc_string"] = row.signals["tcf"]
    return evidence


def _find_notices(rows: Sequence[ConsentObject]) -> dict[str, int]:
    """Return the ids of the notices that objects name as KEY/LANGUAGE/VERSION; none are asked for if none is named."""
    named = {row.signals["notice"] for row in rows if row.signals.get("notice")}
    if not named:
        return {}
    found = Notice.objects.filter(key__in={one.partition("/")[0] for one in named})
    known = {
        f"{row.key}/{row.language}/{row.version}": row.pk for row in found.only("id", "key", "language", "version")
    }
    return {one: known[one] for one in named if one in known}


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


def _count_unmapped(rows: Sequence[ConsentObject], mapping: Mapping[int, tuple[str, Mapped]], *, now: datetime) -> None:
    """Count categories that no purpose names, and consent strings that say nothing, by what is wrong with them."""
    known = {category for _, mapped in mapping.values() for category in mapped.categories}
    counts = Counter(
        (row.source_id, category if CATEGORY.fullmatch(category) else ODD_CATEGORY)
        for row in rows
        for category in row.categories
        if category not in known
    )
    strings = ((row.source_id, _read_string(row.signals["tcf"])[1]) for row in rows if "tcf" in row.signals)
    counts.update((source_id, f"tcf: {fault}") for source_id, fault in strings if fault)
    if not counts:
        return
    ordered = sorted(counts)
    with connection.cursor() as cursor:
        cursor.execute(
            COUNT_UNMAPPED,
            [now, [key[0] for key in ordered], [key[1] for key in ordered], [counts[key] for key in ordered]],
        )
