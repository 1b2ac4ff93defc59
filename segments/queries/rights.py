"""Who may see or change single segments, and which of them somebody was given."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from guardian.shortcuts import get_users_with_perms

from cdp.core.access import Principal
from cdp.core.models import User
from cdp.core.queries.rights import rows_within_rights
from segments.models import Segment
from segments.queries.exports import list_exports
from segments.sending_models import Export


@dataclass(frozen=True, slots=True)
class Right:
    """A person with a right on one segment."""

    name: str
    email: str
    changes: bool


def list_rights(*, segment: Segment) -> list[Right]:
    """Return the people who were given a right on a segment, by name."""
    held: Any = get_users_with_perms(segment, attach_perms=True, with_group_users=False)
    found = [Right(user.get_full_name(), user.email, "change_segment" in names) for user, names in held.items()]
    return sorted(found, key=lambda right: (right.name.lower(), right.email))


def list_staff() -> list[User]:
    """Return everybody who can be given a right, by e-mail."""
    return list(User.objects.filter(is_active=True).order_by("email"))


def visible_segments(*, principal: Principal) -> QuerySet[Segment]:
    """Return the segments that somebody may see: all with `segments:read`, else those that they were given."""
    return rows_within_rights(Segment.objects.all(), principal=principal, scope="segments:read")


def changeable_segments(*, principal: Principal) -> QuerySet[Segment]:
    """Return the segments that somebody may change, and so export."""
    return rows_within_rights(Segment.objects.all(), principal=principal, scope="segments:write")


def within_sight(told: list[dict[str, Any]], *, principal: Principal) -> list[dict[str, Any]]:
    """Return what is told of other segments, each by its ``key``, without those that somebody may not see."""
    if principal.may("segments:read"):
        return told
    keys = [one["key"] for one in told]
    seen = set(visible_segments(principal=principal).filter(key__in=keys).values_list("key", flat=True))
    return [one for one in told if one["key"] in seen]


def visible_exports(*, principal: Principal, segment: str | None = None, status: str | None = None) -> QuerySet[Export]:
    """Return the exports that somebody may see: those of the segments that they may see."""
    rows = list_exports(segment=segment, status=status)
    if principal.may("segments:read"):
        return rows
    seen = visible_segments(principal=principal)
    return rows.filter(Exists(seen.filter(pk=OuterRef("segment_id"))))
