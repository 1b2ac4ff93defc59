"""Who may see or change single segments, and which of them somebody was given."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from guardian.shortcuts import get_objects_for_user, get_users_with_perms

from cdp.core.access import Principal
from cdp.core.models import User
from segments.models import Segment


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
    if principal.may("segments:read"):
        return Segment.objects.all()
    user = User.objects.filter(pk=principal.user_id or 0, is_active=True).first()
    if user is None:
        return Segment.objects.none()
    found: QuerySet[Segment] = get_objects_for_user(user, "segments.view_segment", with_superuser=False)
    return found
