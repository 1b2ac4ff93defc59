"""What an erasure will do, before it is decided: each store with its reason, each identifier with its other holders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from consent.models import PrivacyRequest
from consent.proof_models import LegalHold
from profiles.queries.people import find_by_identifier, name_identifier

# Why a store is emptied, and what is left in its place. A store without a text of its own is deleted.
REASONS: Mapping[str, str] = {
    "profile": "Traits and identifiers are deleted; keyed digests of the identifiers keep them out.",
    "events": "Events are deleted; their messages count as suppressed.",
    "orders": "Orders come from events and go with them.",
    "sessions": "Visits come from events and go with them.",
    "consents": "Decisions and their evidence are deleted.",
    "merges_and_history": "Rows that tell of the person are deleted, and their ids taken out of those of others.",
    "quarantine": "Messages that name the person are deleted.",
    "archive": "Accepted messages are written again without the person's.",
    "held": "Messages that waited for consent are deleted.",
    "privacy_requests": "Earlier requests stay as proof, without naming the person.",
    "request_papers": "Notes and texts of letters are deleted; that letters were sent stays on record.",
    "segments": "Memberships and their history are deleted.",
    "disclosures": "The register keeps that something was disclosed, without the person.",
    "treatment definitions": "Definitions stay; the person's names in them are replaced.",
    "rules for fields": "Rules stay; the person's names in them are replaced.",
}
DELETED = "Deleted."
NOTHING = "Nothing of the person is here."

SHARED = """
WITH mine AS (
    SELECT i.id, i.profile_id, t.key, t.priority, i.value, i.quarantined, i.may_be_shared
    FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
    WHERE i.profile_id = ANY(%(ids)s::bigint[])
),
refused AS (
    SELECT m.id, e.b AS other FROM mine m JOIN profiles_edge e ON e.a = m.id AND e.state IN (3, 4)
    UNION
    SELECT m.id, e.a FROM mine m JOIN profiles_edge e ON e.b = m.id AND e.state IN (3, 4)
)
SELECT m.key, m.value, m.quarantined OR m.may_be_shared,
       array_remove(array_agg(DISTINCT p.uuid::text) FILTER (WHERE t.priority <= m.priority), NULL)
FROM mine m
LEFT JOIN refused r ON r.id = m.id
LEFT JOIN profiles_identifier o ON o.id = r.other AND o.profile_id <> m.profile_id
LEFT JOIN profiles_identifiertype t ON t.id = o.type_id
LEFT JOIN profiles_profile p ON p.id = o.profile_id
GROUP BY m.id, m.key, m.priority, m.value, m.quarantined, m.may_be_shared
ORDER BY m.priority, m.id
LIMIT 500
"""


WITHHELD = """
SELECT count(*) FROM profiles_event e WHERE e.profile_id = ANY(%(ids)s::bigint[]) AND EXISTS (
    SELECT FROM consent_legalhold h WHERE h.enabled AND e.occurred_at > %(now)s - make_interval(days => h.keep_days)
      AND (h.event_names = '[]' OR jsonb_exists(h.event_names, e.name)))
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One store: rows found, of those how many are erased and how many withheld, and why."""

    store: str
    found: int
    erase: int
    withhold: int
    reason: str


@dataclass(frozen=True, slots=True)
class Held:
    """An identifier of the person; `others` are public ids of profiles that it was also stated for."""

    type: str
    value: str
    is_shared: bool
    others: Sequence[str]
    digest: str


def build_matrix(*, counts: Mapping[str, int], withheld: Mapping[str, tuple[int, str]]) -> list[Cell]:
    """Return the stores, fullest first, then those in which nothing was found.

    Parameters
    ----------
    counts : mapping
        Rows by store.
    withheld : mapping
        By store how many of them a law makes the house keep, and on which ground.
    """
    cells = []
    for store, found in counts.items():
        kept, ground = withheld.get(store, (0, ""))
        reason = REASONS.get(store, DELETED) if found else NOTHING
        cells.append(Cell(store, found, found - kept, kept, f"{reason} Withheld: {ground}." if kept else reason))
    return sorted(cells, key=lambda cell: (-cell.found, cell.store))


def find_held(*, request: PrivacyRequest) -> list[Held]:
    """Return all identifiers of the person, strongest first, with the profiles that they were refused for.

    A refused link tells that an identifier was stated for somebody else as well; the weaker side is the shared one.
    """
    with connection.cursor() as cursor:
        cursor.execute(SHARED, {"ids": _profile_ids(request)})
        rows = cursor.fetchall()
    return [
        Held(type_, value, flagged or bool(others), others or [], name_identifier(type=type_, value=value).digest.hex())
        for type_, value, flagged, others in rows
    ]


def count_kept(*, request: PrivacyRequest, now: datetime) -> dict[str, tuple[int, str]]:
    """Return by store how many rows a legal hold would withhold, and on which ground, for `build_matrix`."""
    grounds = list(LegalHold.objects.filter(enabled=True).order_by("key").values_list("name", flat=True))
    if not grounds:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(WITHHELD, {"ids": _profile_ids(request), "now": now})
        count: int = cursor.fetchone()[0]
    return {"events": (count, ", ".join(grounds))}


def _profile_ids(request: PrivacyRequest) -> list[int]:
    found = [
        find_by_identifier(named=name_identifier(type=one["type"], value=one["value"])) for one in request.identities
    ]
    return sorted({person.profile_id for person in found if person is not None})
