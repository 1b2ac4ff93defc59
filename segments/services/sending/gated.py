"""The gate of everything that leaves the house: only what came through here may be sent or written to a file.

Every look asks the one gate `may_process` anew, and whether somebody is suppressed; the answer is good for
`GOOD_FOR_SECONDS`, counted from before the question was asked. A withdrawal that commits later than that is at most
that old when sending starts.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from cdp.core.access import SYSTEM
from cdp.core.api.json import format_time
from cdp.core.copying import int_array
from cdp.core.digests import identifier_digest
from consent.queries.suppressions import find_suppressed
from consent.services.disclosures import Terms, record_disclosures
from consent.services.gate import verdicts_for
from profiles.queries.orders import present_computed_traits, read_order_summaries
from profiles.queries.sealed import open_texts
from segments.queries.computed_traits import read_computed_values
from segments.sending.columns import Known

GOOD_FOR_SECONDS = 0.8
GONE, SUPPRESSED = "gone", "suppressed"

HELD = """
SELECT p.id, p.uuid::text, p.traits::text, coalesce(a.first_event_at, p.created_at),
       coalesce(a.last_event_at, p.created_at)
FROM profiles_profile p LEFT JOIN profiles_activity a ON a.profile_id = p.id WHERE p.id = ANY(%s::bigint[])
"""
IDENTIFIERS = """
SELECT i.profile_id, t.key, i.value
FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
WHERE i.profile_id = ANY(%s::bigint[]) ORDER BY i.profile_id, i.first_seen_at, i.id
"""
EXISTING = "SELECT id FROM profiles_profile WHERE id = ANY(%s::bigint[])"

Identifiers = dict[int, list[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Released:
    """Who may be sent, and why the others may not.

    Attributes
    ----------
    ids : list of int
        Internal ids of those who may be sent, in the order asked for.
    refused : dict
        The reason for each of the others: a state of consent, ``conflict``, ``restricted``, ``suppressed`` or ``gone``.
    judged_at : float
        `time.monotonic()` from before the question.
    people : dict
        What is known of those who may be sent; empty where only the judgement was asked for.
    """

    ids: list[int]
    refused: dict[int, str]
    judged_at: float
    people: dict[int, Known] = field(default_factory=dict)

    @property
    def skipped(self) -> Counter[str]:
        """How many were refused, by reason."""
        return Counter(self.refused.values())

    @property
    def is_good(self) -> bool:
        """Whether sending may still start on this judgement."""
        return time.monotonic() - self.judged_at <= GOOD_FOR_SECONDS


def judge(*, profile_ids: Sequence[int], purpose: str, channel: str | None, now: datetime) -> Released:
    """Decide who may be sent, in a constant number of statements.

    Parameters
    ----------
    profile_ids : sequence of int
        Internal ids.
    now : datetime
        The present, for the expiry of consents.

    Raises
    ------
    UnknownPurpose, UnknownChannel
        Never read as "allowed".
    """
    return _judge(profile_ids, purpose, channel, now)[0]


def release(*, profile_ids: Sequence[int], purpose: str, channel: str | None, now: datetime) -> Released:
    """Decide who may be sent, and read what is known of them (as `judge`; a few statements more)."""
    judged, identifiers = _judge(profile_ids, purpose, channel, now)
    with connection.cursor() as cursor:
        cursor.execute(HELD, [int_array(judged.ids)])
        rows = cursor.fetchall()
    # Traits may be stored encrypted; a digest for an ad platform is that of the value.
    opened = open_texts([row[2] for row in rows])
    orders = read_order_summaries(profile_ids=judged.ids)
    computed: dict[int, dict[str, Any]] = {
        profile_id: {name: one["value"] for name, one in present_computed_traits(summary, principal=SYSTEM).items()}
        for profile_id, summary in orders.items()
    }
    for profile_id, traits in read_computed_values(profile_ids=judged.ids).items():
        computed.setdefault(profile_id, {}).update(traits)
    people = {
        profile_id: Known(
            profile_id=profile_id,
            uuid=public_id,
            traits={**orjson.loads(text or "{}"), **computed.get(profile_id, {})},
            identifiers=identifiers.get(profile_id, []),
            times={"first_seen_at": format_time(first), "last_seen_at": format_time(last)},
        )
        for (profile_id, public_id, _, first, last), text in zip(rows, opened, strict=True)
    }
    # Who was erased or merged between the two looks is gone.
    gone = {profile_id: GONE for profile_id in judged.ids if profile_id not in people}
    ids = [profile_id for profile_id in judged.ids if profile_id in people]
    return Released(ids, {**judged.refused, **gone}, judged.judged_at, people)


def disclose(*, profile_ids: Sequence[int], terms: Terms, reference: str, at: datetime) -> None:
    """Enter into the register of disclosures that these people's data goes out; call it before it does."""
    record_disclosures(profile_ids=profile_ids, terms=terms, at=at, reference=reference)


def _judge(
    profile_ids: Sequence[int], purpose: str, channel: str | None, now: datetime
) -> tuple[Released, Identifiers]:
    judged_at = time.monotonic()
    verdicts = verdicts_for(profile_ids=profile_ids, purpose=purpose, channel=channel or None, at=now)
    allowed = [profile_id for profile_id in profile_ids if verdicts[profile_id].allowed]
    identifiers: Identifiers = {}
    with connection.cursor() as cursor:
        cursor.execute(EXISTING, [int_array(profile_ids)])
        existing = {row[0] for row in cursor.fetchall()}
        cursor.execute(IDENTIFIERS, [int_array(allowed)])
        for profile_id, kind, value in cursor.fetchall():
            identifiers.setdefault(profile_id, []).append((kind, value))
    suppressed = _suppressed(identifiers)
    ids, refused = [], {}
    for profile_id in profile_ids:
        if profile_id not in existing:
            refused[profile_id] = GONE
        elif not verdicts[profile_id].allowed:
            refused[profile_id] = verdicts[profile_id].reason
        elif profile_id in suppressed:
            refused[profile_id] = SUPPRESSED
        else:
            ids.append(profile_id)
    return Released(ids, refused, judged_at), identifiers


def _suppressed(identifiers: Identifiers) -> set[int]:
    """Return whose identifiers are suppressed; a failing look-up is an error, never "not suppressed"."""
    holders = {
        (kind, value, identifier_digest(kind, value)): profile_id
        for profile_id, held in identifiers.items()
        for kind, value in held
    }
    suppressed = find_suppressed(holders)
    return {profile_id for (_, _, digest), profile_id in holders.items() if digest in suppressed}
