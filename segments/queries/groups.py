"""How small a group may be that is told of."""

from django.conf import settings

from cdp.core.access import Principal


def smallest_group(principal: Principal) -> int:
    """Return how many people a value must have to be named to somebody."""
    smallest: int = settings.CDP_SMALLEST_GROUP
    return 1 if principal.sees_personal_data else smallest


def shown_size(principal: Principal, size: int) -> int | None:
    """Return the size of a group as it may be told: None for a small one, unless its people may be seen."""
    hidden = 0 < size < settings.CDP_SMALLEST_GROUP and not principal.may("profiles:read")
    return None if hidden else size


def shown_difference(principal: Principal, size: int, whole: int) -> int | None:
    """Return the size of a group beside another; a small difference tells as much of a few people as a small group."""
    known = {shown_size(principal, size), shown_size(principal, abs(size - whole))}
    return None if None in known else size
