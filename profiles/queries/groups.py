"""Reading groups and who belongs to them."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Max, Min, QuerySet

from cdp.core.access import Principal, show
from profiles.errors import NoSuchGroup
from profiles.models import Group, GroupMembership, Profile
from profiles.services.traits import from_micros


def list_groups() -> QuerySet[Group]:
    """Return all groups; the caller orders them."""
    return Group.objects.all()


def get_group(*, group_id: str) -> Group:
    """Return a group by the id that its calls name.

    Raises
    ------
    NoSuchGroup
        If no call named it.
    """
    group = Group.objects.filter(group_id=group_id).first() if "\0" not in group_id else None
    if group is None:
        message = "No group has this id. A group call with this groupId makes it."
        raise NoSuchGroup(message)
    return group


def list_members(*, group: Group) -> QuerySet[Profile]:
    """Return the profiles of a group with `since` and `last_at`; the caller orders them."""
    return Profile.objects.filter(group_memberships__group=group).annotate(
        since=Min("group_memberships__first_at"), last_at=Max("group_memberships__last_at")
    )


def count_members(*, groups: Sequence[Group]) -> dict[int, int]:
    """Return how many profiles belong to each group (one statement)."""
    counts: dict[int, int] = {}
    rows = GroupMembership.objects.filter(group__in=groups).values_list("group_id", "profile_id").distinct()
    for row_id, _ in rows:
        counts[row_id] = counts.get(row_id, 0) + 1
    return counts


def present_group(group: Group, *, members: int, sources: Mapping[int, str], principal: Principal) -> dict[str, Any]:
    """Return a group as JSON; values are masked without `personal_data:read`."""
    traits = {}
    for name, value in sorted(group.traits.items()):
        source_id, occurred, received = group.trait_meta.get(name, (0, 0, 0))
        traits[name] = {
            "value": show(principal, value),
            "source": sources.get(source_id, ""),
            "occurred_at": from_micros(occurred),
            "received_at": from_micros(received),
        }
    return {"id": group.group_id, "created_at": group.created_at, "members": members, "traits": traits}


def read_groups_of(*, profile_ids: Sequence[int], principal: Principal) -> list[dict[str, Any]]:
    """Return the groups of profiles, last named first: id, name if one is known, since and last time."""
    rows = (
        GroupMembership.objects.filter(profile_id__in=profile_ids)
        .values("group__group_id", "group__traits__name")
        .annotate(since=Min("first_at"), last=Max("last_at"))
        .order_by("-last", "group__group_id")
    )
    return [
        {
            "id": row["group__group_id"],
            "name": show(principal, name) if isinstance(name := row["group__traits__name"], str) else "",
            "since": row["since"],
            "last_at": row["last"],
        }
        for row in rows
    ]
