"""Profiles as REST and the pages show them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection
from django.db.models import QuerySet

from cdp.core.access import Principal, show
from cdp.core.copying import int_array
from cdp.core.registries import profile_sections, source_keys
from profiles.models import Identifier, Profile
from profiles.queries.orders import COMPUTED, present_computed_traits, read_order_summaries
from profiles.queries.sealed import open_texts, open_values
from profiles.services.traits import from_micros
from profiles.survivorship.folding import BY_HAND

# Where a trait came from that was corrected by hand.
CORRECTION = "correction"
PERSONAL_KINDS = {"email": "email", "phone": "phone"}
# Of a person with more, the strongest are shown with the profile; the lists of identifiers and merges hold them all.
MOST_SHOWN = 1_000
# Everything that stands in one row or belongs to it, in one statement: a statement costs more than what it finds.
# What other apps give to every profile that is shown.
PARTS = ("segments", "computed_traits")
HELD = f"""
SELECT p.id, p.uuid::text, coalesce(a.first_event_at, p.created_at), coalesce(a.last_event_at, p.created_at),
       p.traits::text, p.trait_meta::text,
       (SELECT json_agg(held)::text FROM (
            SELECT json_build_array(t.key, i.value, i.first_seen_at, i.source_id) AS held
            FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id WHERE i.profile_id = p.id
            ORDER BY t.priority, i.first_seen_at, i.id LIMIT {MOST_SHOWN}) AS strongest),
       ARRAY(SELECT x.uuid::text FROM profiles_absorbedid x WHERE x.profile_id = p.id ORDER BY 1 LIMIT {MOST_SHOWN})
FROM profiles_profile p LEFT JOIN profiles_activity a ON a.profile_id = p.id
WHERE p.id = ANY(%s::bigint[])
"""


def read_source_names() -> dict[int, str]:
    """Return the keys of all sources by id."""
    names: dict[int, str] = {}
    for read in source_keys:
        names.update(read())
    return names


def list_profiles() -> QuerySet[Profile]:
    """Return all live profiles; the caller orders them."""
    return Profile.objects.all()


def present_profiles(
    profile_ids: Sequence[int], *, principal: Principal, now: datetime, sources: Mapping[int, str] | None = None
) -> list[dict[str, Any]]:
    """Return profiles in the shape of the contract, in the order of the ids; what is gone is left out.

    Parameters
    ----------
    profile_ids : sequence of int
        Internal ids.
    principal : Principal
        Without `personal_data:read` values are masked.
    sources : mapping, optional
        The keys of all sources, where they are known already.
    """
    return list(present_by_id(profile_ids, principal=principal, now=now, sources=sources).values())


def present_by_id(
    profile_ids: Sequence[int], *, principal: Principal, now: datetime, sources: Mapping[int, str] | None = None
) -> dict[int, dict[str, Any]]:
    """Return the same by internal id, in a constant number of statements."""
    ids = list(profile_ids)
    with connection.cursor() as cursor:
        cursor.execute(HELD, [int_array(ids)])
        held = {row[0]: row for row in cursor.fetchall()}
    stated = [row[4] for row in held.values()]
    traits_of = dict(zip(held, open_texts(stated) if principal.sees_personal_data else stated, strict=True))
    sources = read_source_names() if sources is None else sources
    parts = {
        section.key: section.read(profile_ids=ids, now=now) for section in profile_sections if section.key in PARTS
    }
    segments, computed = (parts.get(key, {}) for key in PARTS)
    orders = read_order_summaries(profile_ids=ids)
    shown = {}
    for profile_id in ids:
        if profile_id not in held:
            continue
        _, public_id, first_seen_at, last_seen_at, _, meta, identifiers, merged = held[profile_id]
        known = [_present_held(one, sources, principal) for one in orjson.loads(identifiers or "[]")]
        shown[profile_id] = {
            "id": public_id,
            "first_seen_at": first_seen_at,
            "last_seen_at": last_seen_at,
            "traits": {
                **_present_traits(orjson.loads(traits_of[profile_id] or "{}"), orjson.loads(meta), sources, principal),
                **present_computed_traits(orders.get(profile_id), principal=principal),
                **{
                    name: {"value": show(principal, value), "source": COMPUTED, "occurred_at": now, "received_at": now}
                    for name, value in computed.get(profile_id, {}).items()
                },
            },
            "identifiers": known,
            "segments": list(segments.get(profile_id, [])),
            "merged_ids": merged,
            "anonymous": not any(one["type"] not in {"anonymous_id", "device_id"} for one in known),
        }
    return shown


def list_identifiers(*, profile_ids: Sequence[int]) -> QuerySet[Identifier]:
    """Return the identifiers of profiles, strongest first."""
    return (
        Identifier.objects.filter(profile_id__in=profile_ids)
        .select_related("type")
        .order_by("type__priority", "first_seen_at", "id")
    )


def present_identifier(identifier: Identifier, sources: Mapping[int, str], principal: Principal) -> dict[str, Any]:
    """Return one identifier in the shape of the contract."""
    held = (identifier.type.key, identifier.value, identifier.first_seen_at, identifier.source_id)
    return _present_identifier(*held, sources, principal)


def _present_held(held: list[Any], sources: Mapping[int, str], principal: Principal) -> dict[str, Any]:
    type_key, value, first_seen_at, source_id = held
    moment = datetime.fromisoformat(first_seen_at).astimezone(UTC)
    return _present_identifier(type_key, value, moment, source_id, sources, principal)


def _present_identifier(
    type_key: str,
    value: str,
    first_seen_at: datetime,
    source_id: int,
    sources: Mapping[int, str],
    principal: Principal,
) -> dict[str, Any]:
    return {
        "type": type_key,
        "value": show(principal, value, PERSONAL_KINDS.get(type_key, "text")),
        "first_seen_at": first_seen_at,
        "source": sources.get(source_id, ""),
    }


def present_traits(profile: Profile, sources: Mapping[int, str], principal: Principal) -> dict[str, Any]:
    """Return the traits with where and when each came from."""
    traits = open_values([profile.traits])[0] if principal.sees_personal_data else profile.traits
    return _present_traits(traits, profile.trait_meta, sources, principal)


def _present_traits(
    traits: Mapping[str, Any], meta: Mapping[str, Any], sources: Mapping[int, str], principal: Principal
) -> dict[str, Any]:
    shown = {}
    for name, value in sorted(traits.items()):
        shown[name] = present_trait(name, value, meta.get(name, [0, 0, 0]), sources, principal)
    return shown


def present_trait(
    name: str, value: Any, meta: Sequence[int], sources: Mapping[int, str], principal: Principal
) -> dict[str, Any]:
    """Return one trait in the shape of the contract; a correction by hand was said when it was made."""
    source_id, occurred, received = meta[:3]
    corrected = occurred == BY_HAND
    return {
        "value": show(principal, value, PERSONAL_KINDS.get(name, "text")),
        "source": CORRECTION if corrected else sources.get(source_id, ""),
        "occurred_at": from_micros(received if corrected else occurred),
        "received_at": from_micros(received),
    }
