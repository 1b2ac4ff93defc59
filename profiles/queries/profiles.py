"""Profiles as REST and the pages show them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from cdp.core.access import Principal, show
from cdp.core.registries import profile_sections, source_keys
from profiles.models import AbsorbedId, Activity, Identifier, Profile
from profiles.queries.orders import present_computed_traits, read_order_summaries
from profiles.services.traits import from_micros

PERSONAL_KINDS = {"email": "email", "phone": "phone"}


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
    profiles: Sequence[Profile], *, principal: Principal, now: datetime, sources: Mapping[int, str] | None = None
) -> list[dict[str, Any]]:
    """Return profiles in the shape of the contract, in a constant number of statements.

    Parameters
    ----------
    principal : Principal
        Without `personal_data:read` values are masked.
    sources : mapping, optional
        The keys of all sources, where they are known already.
    """
    ids = [profile.pk for profile in profiles]
    sources = read_source_names() if sources is None else sources
    activity = {row.pk: row for row in Activity.objects.filter(pk__in=ids)}
    identifiers: dict[int, list[dict[str, Any]]] = {}
    for identifier in list_identifiers(profile_ids=ids):
        identifiers.setdefault(identifier.profile_id, []).append(present_identifier(identifier, sources, principal))
    merged: dict[int, list[str]] = {}
    for profile_id, absorbed in (
        AbsorbedId.objects.filter(profile_id__in=ids).order_by("uuid").values_list("profile_id", "uuid")
    ):
        merged.setdefault(profile_id, []).append(str(absorbed))
    segments: Mapping[int, Any] = {}
    for section in profile_sections:
        if section.key == "segments":
            segments = section.read(profile_ids=ids, now=now)
    orders = read_order_summaries(profile_ids=ids)
    shown = []
    for profile in profiles:
        seen = activity.get(profile.pk)
        held = identifiers.get(profile.pk, [])
        shown.append(
            {
                "id": str(profile.uuid),
                "first_seen_at": seen.first_event_at if seen else profile.created_at,
                "last_seen_at": seen.last_event_at if seen else profile.created_at,
                "traits": {
                    **present_traits(profile, sources, principal),
                    **present_computed_traits(orders.get(profile.pk), principal=principal),
                },
                "identifiers": held,
                "segments": list(segments.get(profile.pk, [])),
                "merged_ids": merged.get(profile.pk, []),
                "anonymous": not any(one["type"] not in {"anonymous_id", "device_id"} for one in held),
            }
        )
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
    kind = PERSONAL_KINDS.get(identifier.type.key, "text")
    return {
        "type": identifier.type.key,
        "value": show(principal, identifier.value, kind),
        "first_seen_at": identifier.first_seen_at,
        "source": sources.get(identifier.source_id, ""),
    }


def present_traits(profile: Profile, sources: Mapping[int, str], principal: Principal) -> dict[str, Any]:
    """Return the traits with where and when each came from."""
    shown = {}
    for name, value in sorted(profile.traits.items()):
        source_id, occurred, received = profile.trait_meta.get(name, (0, 0, 0))
        shown[name] = {
            "value": show(principal, value, PERSONAL_KINDS.get(name, "text")),
            "source": sources.get(source_id, ""),
            "occurred_at": from_micros(occurred),
            "received_at": from_micros(received),
        }
    return shown
